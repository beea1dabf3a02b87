/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may stand in a line of the log. Called by log.c. Pure. log_quote(), of log.h, is here too.
 */
#ifndef AGENT_LOG_TEXT_H
#define AGENT_LOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies text to line, escaping what would not stay in it: control characters and bytes that are not UTF-8 become
 * \xNN. was_cut: text is not all of it. What does not fit is cut off. Returns the length, less than size.
 */
size_t log_text_line(char *line, size_t size, const char *text, bool was_cut);
/* Ends a line that was cut to length bytes with "...", never within a character; returns its length. */
size_t log_text_mark_cut(char *line, size_t length);

#endif
