/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of `http-check` and `tcp-check`. Read through keywords.h; rows only, sorted.
 */
#include "config/keywords_table.h"

static const struct keyword keywords_http_check_items[] = {
	NOTICE("comment", 0, 0, "it is kept as a comment"),
	REFUSED("connect", 0, 0, WHY_SEQUENCE),
	REFUSED("disable-on-404", 0, 0, WHY_LATER),
	WORKS("expect", 0, 1, KEYWORD_ANY, "[!] status CODES", expect),
	WORKS("send", 0, 1, KEYWORD_ANY, "[meth METHOD] [uri URI] [ver VERSION] [hdr Host NAME]", send),
	REFUSED("send-state", 0, 0, WHY_LAYER7),
	REFUSED("set-var", 0, 0, WHY_SEQUENCE),
	REFUSED("set-var-fmt", 0, 0, WHY_SEQUENCE),
	REFUSED("unset-var", 0, 0, WHY_SEQUENCE),
};

KEYWORD_TABLE(keywords_http_check, "http-check keyword", "http-check ", "");

static const struct keyword keywords_http_check_expect_items[] = {
	WORKS("!", 0, 1, 2, "status CODES", expect_not),
	REFUSED("!fhdr", 0, 1, WHY_EXPECT),
	REFUSED("!hdr", 0, 1, WHY_EXPECT),
	REFUSED("!rstatus", 0, 1, WHY_EXPECT),
	REFUSED("!rstring", 0, 1, WHY_EXPECT),
	WORKS("!status", 0, 1, 1, "CODES", expect_not_status),
	REFUSED("!string", 0, 1, WHY_EXPECT),
	REFUSED("!string-lf", 0, 1, WHY_EXPECT),
	NOTICE("comment", 0, 1, "it is kept as a comment"),
	REFUSED("error-status", 0, 1, WHY_EXPECT),
	REFUSED("fhdr", 0, 1, WHY_EXPECT),
	REFUSED("hdr", 0, 1, WHY_EXPECT),
	REFUSED("min-recv", 0, 1, WHY_EXPECT),
	REFUSED("ok-status", 0, 1, WHY_EXPECT),
	REFUSED("on-error", 0, 1, WHY_EXPECT),
	REFUSED("on-success", 0, 1, WHY_EXPECT),
	REFUSED("rstatus", 0, 1, WHY_EXPECT),
	REFUSED("rstring", 0, 1, WHY_EXPECT),
	WORKS("status", 0, 1, 1, "CODES", expect_status),
	REFUSED("status-code", 0, 1, WHY_EXPECT),
	REFUSED("string", 0, 1, WHY_EXPECT),
	REFUSED("string-lf", 0, 1, WHY_EXPECT),
	REFUSED("tout-status", 0, 1, WHY_EXPECT),
};

KEYWORD_TABLE(keywords_http_check_expect, "word", "", " of http-check expect");

static const struct keyword keywords_http_check_send_items[] = {
	REFUSED("body", 0, 1, WHY_LATER_BODY),
	REFUSED("body-lf", 0, 1, WHY_LATER_BODY),
	NOTICE("comment", 0, 1, "it is kept as a comment"),
	WORKS("hdr", 0, 2, 2, "Host NAME", send_hdr),
	WORKS("meth", 0, 1, 1, "METHOD", send_meth),
	WORKS("uri", 0, 1, 1, "URI", send_uri),
	REFUSED("uri-lf", 0, 1, WHY_LATER_BODY),
	WORKS("ver", 0, 1, 1, "VERSION", send_ver),
};

KEYWORD_TABLE(keywords_http_check_send, "word", "", " of http-check send");

static const struct keyword keywords_tcp_check_items[] = {
	NOTICE("comment", 0, 0, "it is kept as a comment"),
	REFUSED("connect", 0, 0, "a check connects anyway, to the server's `addr` and `port`"),
	REFUSED("expect", 0, 0, WHY_LATER_TALK),
	REFUSED("send", 0, 0, WHY_LATER_TALK),
	REFUSED("send-binary", 0, 0, WHY_LATER_TALK),
	REFUSED("send-binary-lf", 0, 0, WHY_LATER_TALK),
	REFUSED("send-lf", 0, 0, WHY_LATER_TALK),
	REFUSED("set-var", 0, 0, WHY_LATER_TALK),
	REFUSED("set-var-fmt", 0, 0, WHY_LATER_TALK),
	REFUSED("unset-var", 0, 0, WHY_LATER_TALK),
};

KEYWORD_TABLE(keywords_tcp_check, "tcp-check keyword", "tcp-check ", "");
