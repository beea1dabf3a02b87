/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of text into words, by HAProxy's rules of quoting, escapes, comments and environment variables.
 * Called by the parser for each line. Knows no keyword and no file; reads the environment, nothing else.
 */
#ifndef CONFIG_LEXER_H
#define CONFIG_LEXER_H

#include <stddef.h>

#include "config/config.h"

struct config_word {
	const char *text;  /* without quotes and escapes */
	unsigned column;   /* 1-based byte of its first character, quotes included */
};

struct lexer_line {
	struct config_word words[CONFIG_WORDS_MAX];
	size_t count;
	size_t used;       /* bytes of text in use */
	char text[CONFIG_LINE_MAX + CONFIG_WORDS_MAX + 1];
};

/* What ${.FILE}, ${.LINE} and ${.SECTION} stand for. */
struct lexer_context {
	const char *file;
	unsigned line;
	const char *section;
};

struct lexer_error {
	unsigned column;
	char text[256];
};

/*
 * Splits a line given without its newline. 0 with the words in *ret, which live as long as it does and until it is
 * used again; or -EINVAL with what is wrong in *ret_error.
 */
int lexer_split(const char *line, size_t length, const struct lexer_context *context, struct lexer_line *ret,
		struct lexer_error *ret_error);

#endif
