/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An HTTP/1.x answer in a buffer: its status, its body, and whether it is all there (RFC 9112, sections 4 to 6). Called by
 * script.c each time more of it has come. Pure; what a server sends is hostile, and nothing here looks beyond `count`.
 */
#ifndef HEALTH_HTTP_ANSWER_H
#define HEALTH_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum http_answer_limit {
	HTTP_REASON_MAX = 64,
};

struct http_answer {
	bool bad;             /* no HTTP/1.x, or lengths that can't be */
	unsigned status;      /* 0 = its line is not complete */
	char reason[HTTP_REASON_MAX]; /* printable ASCII */
	bool head;            /* all header lines are there */
	bool complete;        /* the body too, as far as the headers tell: never, where it ends with the connection */
	size_t body_length;   /* bytes of the body that are there, written to `body` */
};

/* Reads bytes; `body` has room for count bytes. to_head: the answer to HEAD, which has no body. */
void http_answer_read(const char *bytes, size_t count, bool to_head, char *body, struct http_answer *ret);

#endif
