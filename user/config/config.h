/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From files in HAProxy's language to a model. Called by the agent at start, on reload and for `-c`.
 * Reads files and the environment; opens nothing else, changes nothing, logs nothing: what it has to say is in the
 * report.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stddef.h>
#include <stdio.h>

#include "base/vec.h"
#include "model/model.h"

enum config_limit {
	CONFIG_LINE_MAX = 8192,          /* bytes of a line, and of its words once variables are expanded */
	CONFIG_WORDS_MAX = 64,           /* words of a line, as in HAProxy */
	CONFIG_FILE_MAX = 16 << 20,      /* bytes of a file */
	CONFIG_FILES_MAX = 1024,         /* files of a load, those of directories included */
	CONFIG_MESSAGES_MAX = 1000,      /* messages of a report; the last one then counts those left out */
};

enum config_severity { CONFIG_NOTICE, CONFIG_ERROR };

struct config_message {
	enum config_severity severity;
	char *file;
	unsigned line, column; /* 1-based; column in bytes; 0 = the whole file */
	char *text;            /* what is wrong, and what would be right */
};

struct config_report {
	struct vec(struct config_message) messages; /* in the order of the files' lines */
	size_t errors; /* all of them, also those that are left out of messages */
};

/*
 * Loads the files in order, as if they were one text (HAProxy's -f semantics); a path that is a directory stands for
 * its *.cfg files in lexical order. All errors are found in one pass. 0 and *ret_model; -EINVAL when the report holds
 * errors (then *ret_model is untouched); -ENOMEM. The report is filled in either case and owned by the caller.
 */
int config_load(const char *const *paths, size_t count, struct model **ret_model, struct config_report *report);
/*
 * The same for one text in memory; `name` stands for the file in messages and places. For tests and fuzzers: the text
 * need not end in a NUL, and may hold anything.
 */
int config_load_text(const char *name, const char *text, size_t length, struct model **ret_model,
		     struct config_report *report);
/* One message a line: "FILE:LINE:COLUMN: error: TEXT" (or notice:). */
void config_report_print(const struct config_report *report, FILE *to);
void config_report_done(struct config_report *report);

#endif
