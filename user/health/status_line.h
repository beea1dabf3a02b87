/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status line of an HTTP/1.x answer, read byte by byte as it comes. Called by attempt.c with what a server,
 * perhaps a hostile one, sends. Pure; keeps nothing but the reason phrase, takes at most STATUS_LINE_MAX bytes.
 */
#ifndef HEALTH_STATUS_LINE_H
#define HEALTH_STATUS_LINE_H

#include <stddef.h>
#include <stdint.h>

enum status_line_limit {
	STATUS_LINE_MAX = 1024, /* bytes up to and including the newline */
	STATUS_REASON_MAX = 64, /* bytes kept of the reason phrase, with the NUL */
};

enum status_line_state {
	STATUS_LINE_MORE, /* so far so good, not complete */
	STATUS_LINE_DONE, /* code and reason are valid */
	STATUS_LINE_BAD,  /* no HTTP/1.x status line */
	STATUS_LINE_LONG, /* no newline within STATUS_LINE_MAX bytes */
};

struct status_line {
	enum status_line_state state;
	uint16_t length;                /* bytes read */
	uint16_t code;                  /* 100..999 */
	uint8_t reason_length;
	char reason[STATUS_REASON_MAX]; /* printable ASCII; other bytes are shown as '?' */
};

void status_line_init(struct status_line *l);
/* Takes the next bytes; those after the end of the line are not looked at. Returns the state. */
enum status_line_state status_line_feed(struct status_line *l, const void *bytes, size_t count);

#endif
