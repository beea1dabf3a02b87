/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From files in HAProxy's language to a model. Called by the agent at start, on reload and for `-c`.
 * Reads files and the environment; opens nothing else, changes nothing, logs nothing: what it has to say is in the report.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stddef.h>
#include <stdio.h>

#include "base/vec.h"
#include "model/model.h"

enum config_severity { CONFIG_NOTICE, CONFIG_ERROR };

struct config_message {
	enum config_severity severity;
	char *file;
	unsigned line, column; /* 1-based; column in bytes; 0 = the whole file */
	char *text;            /* what is wrong, and what would be right */
};

struct config_report {
	struct vec(struct config_message) messages; /* in the order of the files' lines */
	size_t errors;
};

/*
 * Loads the files in order, as if they were one text (HAProxy's -f semantics); a path that is a directory stands for
 * its *.cfg files in lexical order. All errors are found in one pass. 0 and *ret_model; -EINVAL when the report holds
 * errors (then *ret_model is untouched); -ENOMEM. The report is filled in either case and owned by the caller.
 */
int config_load(const char *const *paths, size_t count, struct model **ret_model, struct config_report *report);
/* One message a line: "FILE:LINE:COLUMN: error: TEXT" (or notice:). */
void config_report_print(const struct config_report *report, FILE *to);
void config_report_done(struct config_report *report);

#endif
