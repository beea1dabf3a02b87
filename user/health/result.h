/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one check found, in HAProxy's terms. Filled by attempt.c, judged by tally.c, shown by everybody as text.
 * One line of CHECK_CODES makes a code known everywhere. Decides nothing about up and down.
 */
#ifndef HEALTH_RESULT_H
#define HEALTH_RESULT_H

#include <stdbool.h>
#include <stdint.h>

enum check_outcome {
	CHECK_PASSED,
	CHECK_FAILED,
	CHECK_UNKNOWN, /* the balancer's own trouble: says nothing about the server */
};

#define CHECK_CODES(X)                                                          \
	X(L4OK, PASSED)    /* connection accepted */                            \
	X(L4TOUT, FAILED)  /* no connection in time */                          \
	X(L4CON, FAILED)   /* refused, unreachable */                           \
	X(L6OK, PASSED)    /* TLS agreed upon */                                \
	X(L6TOUT, FAILED)  /* connected, but no TLS in time */                  \
	X(L6RSP, FAILED)   /* TLS refused, broken, or a bad certificate */      \
	X(L7OK, PASSED)    /* an answer that was expected */                    \
	X(L7OKC, PASSED)   /* 404 with disable-on-404: no new connections */    \
	X(L7TOUT, FAILED)  /* connected, but no complete answer in time */      \
	X(L7RSP, FAILED)   /* an answer that is none, or a broken connection */ \
	X(L7STS, FAILED)   /* an answer with another status */                  \
	X(PROCOK, PASSED)  /* a command ended with 0 */                         \
	X(PROCERR, FAILED) /* ... with something else */                        \
	X(PROCTOUT, FAILED) /* ... not in time */                               \
	X(SOCKERR, UNKNOWN) /* no descriptor, memory, local port, ... */

enum check_code {
#define CHECK_CODE_ENUM(name, outcome) CHECK_##name,
	CHECK_CODES(CHECK_CODE_ENUM)
#undef CHECK_CODE_ENUM
	CHECK_CODE_COUNT,
};

enum check_result_limit {
	CHECK_DETAIL_MAX = 96,
	CHECK_TEXT_MAX = 128,
};

struct role_facts;

struct check_result {
	enum check_code code;
	unsigned http_status; /* 0 = none was read */
	char detail[CHECK_DETAIL_MAX]; /* printable ASCII; "" = nothing to add */
	const struct role_facts *facts; /* what a plugin found out besides; NULL = none. Lives as long as the call it comes in */
};

enum check_outcome check_result_outcome(const struct check_result *r);
void check_result_set(struct check_result *ret, enum check_code code, const char *detail);
/*
 * A failed connect(). Errors that the network or the peer caused are the server's (L4CON, L4TOUT), all others are
 * our own (SOCKERR). came_late: told by the socket, not by connect() itself; ICMPv6 "prohibited" is EACCES then.
 */
void check_result_from_connect(struct check_result *ret, int error, bool came_late);
/* A failed send() or recv() on an established connection. */
void check_result_from_io(struct check_result *ret, int error);
/* "L4OK", "L7OK/200", "L7STS/503: Service Unavailable", "L4CON: Connection refused", ... Returns buf. */
const char *check_result_format(const struct check_result *r, char buf[static CHECK_TEXT_MAX]);

#endif
