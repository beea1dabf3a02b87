/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a row of the keyword tables is written, and the reasons that many rows share. Included by keywords_*.c only.
 */
#ifndef CONFIG_KEYWORDS_TABLE_H
#define CONFIG_KEYWORDS_TABLE_H

#include "base/cleanup.h"
#include "config/keywords.h"
#include "config/parser.h"

#define ALL            (SECTION_DEFAULTS | SECTION_FRONTEND | SECTION_LISTEN | SECTION_BACKEND)
#define DEFAULTS_FRONT (SECTION_DEFAULTS | SECTION_FRONTEND | SECTION_LISTEN)
#define DEFAULTS_BACK  (SECTION_DEFAULTS | SECTION_LISTEN | SECTION_BACKEND)
#define PROXIES        (SECTION_FRONTEND | SECTION_LISTEN | SECTION_BACKEND)
#define FRONT          (SECTION_FRONTEND | SECTION_LISTEN)
#define BACK           (SECTION_LISTEN | SECTION_BACKEND)

#define WORKS(w, s, low, high, arguments, handler)                                                                    \
	{ .word = w, .class = KEYWORD_WORKS, .sections = s, .args_min = low, .args_max = high, .usage = arguments,    \
	  .parse = parse_##handler }
#define NOTICE(w, s, args, why)                                                                                       \
	{ .word = w, .class = KEYWORD_NOTICE, .sections = s, .args_min = args, .args_max = KEYWORD_ANY, .text = why }
#define REFUSED(w, s, args, why)                                                                                      \
	{ .word = w, .class = KEYWORD_REFUSED, .sections = s, .args_min = args, .args_max = KEYWORD_ANY, .text = why }
#define NOTICE_NO(w, s, args, why)                                                                                    \
	{ .word = w, .class = KEYWORD_NOTICE, .sections = s, .args_min = args, .args_max = KEYWORD_ANY,               \
	  .negatable = true, .text = why }
#define REFUSED_NO(w, s, args, why)                                                                                   \
	{ .word = w, .class = KEYWORD_REFUSED, .sections = s, .args_min = args, .args_max = KEYWORD_ANY,              \
	  .negatable = true, .text = why }

#define VALUE(w, v) { .word = w, .class = KEYWORD_WORKS, .value = v }
#define VALUE_NOTICE(w, v, why) { .word = w, .class = KEYWORD_NOTICE, .value = v, .text = why }
#define VALUE_REFUSED(w, why) { .word = w, .class = KEYWORD_REFUSED, .text = why }

/* The table made of NAME_items: what its words are called, and what stands around one in a message. */
#define KEYWORD_TABLE(name, called, ahead, behind)                                                                    \
	const struct keyword_table name = {                                                                           \
		.what = called,                                                                                       \
		.before = ahead,                                                                                      \
		.after = behind,                                                                                      \
		.items = name##_items,                                                                                \
		.count = array_size(name##_items),                                                                    \
	}

#define WHY_LAYER7 "it concerns HTTP requests; a layer-4 balancer forwards packets and reads none"
#define WHY_TLS "TLS is not terminated here; packets pass as they are, and the servers speak TLS themselves"
#define WHY_TUNES "it tunes HAProxy's own process and has no effect here"
#define WHY_LOGGED "connections are counted, not logged one by one; events go where the global `log` lines say"
#define WHY_CONDITION "conditions and rules on connections are not evaluated at layer 4"
#define WHY_LATER "a later version brings it"
#define WHY_LATER_NAMES "host names and DNS come in a later version; write the server's IP address"
#define WHY_LATER_CHECK "checks of this kind come in a later version; `option httpchk` and plain TCP checks work"
#define WHY_OLD_TLS_CHECK "it speaks SSLv3, which no server should answer; write `check-ssl` on the server lines"
#define WHY_CHECK_TLS "TLS is not terminated here; checks over TLS speak 1.2 and 1.3 as OpenSSL's defaults have it"
#define WHY_PROXY "the PROXY protocol needs a proxy; with `forward dsr` the servers see the client's address anyway"
#define WHY_STICK "stick tables and cookies need a proxy; `balance source` keeps a client with its server"
#define WHY_ANSWER "no HTTP answers are made here: with no server up a connection is reset"
#define WHY_KEEPALIVE "there are no sockets of ours to keep alive: client and server speak to each other directly"
#define WHY_LIMIT "it is not enforced: connections are not limited at layer 4"
#define WHY_SOCKET "it concerns HAProxy's listening sockets; packets are taken in the kernel before any socket"
#define WHY_REQUESTS "it concerns HTTP requests; connections are balanced here, not requests"
#define WHY_UNIX "it belongs to a UNIX socket: write it on the `stats socket` line"
#define WHY_ENVIRONMENT "it changes the environment of the process; set the variable where alwaysond is started"
#define WHY_OFF "it is off anyway"
#define WHY_HEADERS "headers of an answer are not looked at: expect a status, or a text of the body"
#define WHY_EXPRESSION "variables and log-format expressions are not evaluated in checks"
#define WHY_STATUS "a result has the name that HAProxy gives it by default; `comment` names the step"

#endif
