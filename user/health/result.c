/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Check results: their outcome, their text, and whose fault an errno is. Called by attempt.c and server.c.
 * Opens nothing; the classification of errors is the whole policy of "a local failure never counts against a server".
 */
#include "health/result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
	const char *name;
	enum check_outcome outcome;
} codes[] = {
#define CHECK_CODE_ROW(name, outcome) [CHECK_##name] = { #name, CHECK_##outcome },
	CHECK_CODES(CHECK_CODE_ROW)
#undef CHECK_CODE_ROW
};

_Static_assert(array_size(codes) == CHECK_CODE_COUNT, "every code has its row");

enum check_outcome check_result_outcome(const struct check_result *r)
{
	return codes[r->code].outcome;
}

void check_result_set(struct check_result *ret, enum check_code code, const char *detail)
{
	*ret = (struct check_result){ .code = code };
	snprintf(ret->detail, sizeof(ret->detail), "%s", detail ? detail : "");
}

static const char *error_text(int error)
{
	const char *text = strerrordesc_np(error);

	return text ? text : "unknown error";
}

/* Errors that a peer, a router or an ARP/ND time-out causes. What is not listed is ours. */
static bool is_remote(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENONET:
	case ENOPROTOOPT: /* ICMP protocol unreachable */
	case EPROTO:
		return true;
	default:
		return false;
	}
}

void check_result_from_connect(struct check_result *ret, int error, bool came_late)
{
	enum check_code code = CHECK_SOCKERR;

	if (error == ETIMEDOUT)
		code = CHECK_L4TOUT;
	else if (is_remote(error) || (came_late && error == EACCES))
		code = CHECK_L4CON;
	check_result_set(ret, code, error_text(error));
}

void check_result_from_io(struct check_result *ret, int error)
{
	check_result_set(ret, is_remote(error) || error == EACCES ? CHECK_L7RSP : CHECK_SOCKERR, error_text(error));
}

const char *check_result_format(const struct check_result *r, char buf[static CHECK_TEXT_MAX])
{
	char status[16] = "";

	if (r->http_status)
		snprintf(status, sizeof(status), "/%u", r->http_status);
	snprintf(buf, CHECK_TEXT_MAX, "%s%s%s%s%s", codes[r->code].name, status, r->detail[0] ? ": " : "", r->detail,
		 codes[r->code].outcome == CHECK_UNKNOWN ? " (state kept)" : "");
	return buf;
}
