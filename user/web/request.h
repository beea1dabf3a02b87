/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The head of an HTTP request, taken apart. Called by server.c; pure, so that it can be tested with anything. Strict:
 * what RFC 9112 lets a server refuse is refused, since nothing but GET and HEAD without a body is ever answered here.
 */
#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum web_request_limit {
	WEB_REQUEST_MAX = 8192, /* bytes of a head, blank line included: more is answered 431 */
	WEB_TARGET_MAX = 1024,  /* bytes of path and query: more is answered 414 */
	WEB_FIELDS_MAX = 64,    /* header lines: more are answered 431 */
};

/* Points into the head. */
struct web_request {
	bool head;                 /* HEAD: the reply has no body */
	bool http10;
	bool keep_alive;
	const char *path;          /* without the query, not decoded */
	const char *query;         /* behind the `?`; "" = none */
	const char *accept;        /* header fields; NULL = not there */
	const char *if_none_match;
};

/* Bytes of a complete head at the beginning of data, blank line included; 0 = there is none yet. */
size_t web_request_length(const char *data, size_t length);
/* Takes a complete head apart, in place. 0 and *ret; or the status (400 ... 505) to answer with. */
int web_request_parse(char *head, size_t length, struct web_request *ret);
/* The value of a parameter of the query; NULL = not there. *ret_length excludes the `&` behind it. Not decoded. */
const char *web_query_find(const char *query, const char *name, size_t *ret_length);

#endif
