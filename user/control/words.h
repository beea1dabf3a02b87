/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request line as words, and the verb they name. Pure: called by peer.c and the tests; runs nothing.
 */
#ifndef CONTROL_WORDS_H
#define CONTROL_WORDS_H

#include "control/control.h"

enum { CONTROL_ERROR_MAX = 2048 };

struct control_words {
	unsigned count;
	const char *word[CONTROL_WORDS_MAX];
};

/*
 * Cuts a line of length bytes (the newline is not part of it; line[length] is writable) into words, in place, and takes
 * off the version word. 0, or -EINVAL and what is wrong in error.
 */
int control_words_split(char *line, size_t length, struct control_words *ret, char error[static CONTROL_ERROR_MAX]);
/*
 * The verb the words name, and how many of them are its name. NULL and what would be right in error when there is none,
 * or the number of its arguments is wrong.
 */
const struct control_verb *control_words_match(const struct control_words *w, const struct control_verb *verbs,
					       size_t count, unsigned *ret_used, char error[static CONTROL_ERROR_MAX]);

#endif
