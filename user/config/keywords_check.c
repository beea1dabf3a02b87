/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of `http-check`, `tcp-check` and `external-check`. Read through keywords.h; rows only, sorted.
 */
#include "config/keywords_table.h"

static const struct keyword keywords_http_check_items[] = {
	NOTICE("comment", 0, 0, "it is kept as a comment"),
	WORKS("connect", 0, 0, KEYWORD_ANY, "[OPTION ...]", http_connect),
	WORKS("disable-on-404", 0, 0, 0, NULL, disable_on_404),
	WORKS("expect", 0, 1, KEYWORD_ANY, "[!] status CODES|rstatus REGEX|string TEXT|rstring REGEX", expect),
	WORKS("send", 0, 1, KEYWORD_ANY, "[meth METHOD] [uri URI] [ver VERSION] [hdr NAME VALUE] [body TEXT]", send),
	REFUSED("send-state", 0, 0, "a server is not told how it is seen: each balancer may see it otherwise"),
	REFUSED("set-var", 0, 0, WHY_EXPRESSION),
	REFUSED("set-var-fmt", 0, 0, WHY_EXPRESSION),
	REFUSED("unset-var", 0, 0, WHY_EXPRESSION),
};

KEYWORD_TABLE(keywords_http_check, "http-check keyword", "http-check ", "");

static const struct keyword keywords_http_check_expect_items[] = {
	WORKS("!", 0, 1, 2, "status CODES", expect_not),
	REFUSED("!fhdr", 0, 1, WHY_HEADERS),
	REFUSED("!hdr", 0, 1, WHY_HEADERS),
	WORKS("!rstatus", 0, 1, 1, "REGEX", expect_not_rstatus),
	WORKS("!rstring", 0, 1, 1, "REGEX", expect_not_rstring),
	WORKS("!status", 0, 1, 1, "CODES", expect_not_status),
	WORKS("!string", 0, 1, 1, "TEXT", expect_not_string),
	REFUSED("!string-lf", 0, 1, WHY_EXPRESSION),
	WORKS("comment", 0, 1, 1, "TEXT", step_comment),
	REFUSED("error-status", 0, 1, WHY_STATUS),
	REFUSED("fhdr", 0, 1, WHY_HEADERS),
	REFUSED("hdr", 0, 1, WHY_HEADERS),
	REFUSED("min-recv", 0, 1, "an HTTP answer says itself how long it is"),
	REFUSED("ok-status", 0, 1, WHY_STATUS),
	REFUSED("on-error", 0, 1, WHY_EXPRESSION),
	REFUSED("on-success", 0, 1, WHY_EXPRESSION),
	WORKS("rstatus", 0, 1, 1, "REGEX", expect_rstatus),
	WORKS("rstring", 0, 1, 1, "REGEX", expect_rstring),
	WORKS("status", 0, 1, 1, "CODES", expect_status),
	REFUSED("status-code", 0, 1, WHY_EXPRESSION),
	WORKS("string", 0, 1, 1, "TEXT", expect_string),
	REFUSED("string-lf", 0, 1, WHY_EXPRESSION),
	REFUSED("tout-status", 0, 1, WHY_STATUS),
};

KEYWORD_TABLE(keywords_http_check_expect, "word", "", " of http-check expect");

static const struct keyword keywords_http_check_send_items[] = {
	WORKS("body", 0, 1, 1, "TEXT", send_body),
	REFUSED("body-lf", 0, 1, WHY_EXPRESSION),
	NOTICE("comment", 0, 1, "it is kept as a comment"),
	WORKS("hdr", 0, 2, 2, "NAME VALUE", send_hdr),
	WORKS("meth", 0, 1, 1, "METHOD", send_meth),
	WORKS("uri", 0, 1, 1, "URI", send_uri),
	REFUSED("uri-lf", 0, 1, WHY_EXPRESSION),
	WORKS("ver", 0, 1, 1, "VERSION", send_ver),
};

KEYWORD_TABLE(keywords_http_check_send, "word", "", " of http-check send");

static const struct keyword keywords_external_check_items[] = {
	WORKS("command", 0, 1, 1, "PATH", external_command),
	WORKS("path", 0, 1, 1, "PATH[:PATH...]", external_path),
};

KEYWORD_TABLE(keywords_external_check, "external-check keyword", "external-check ", "");

static const struct keyword keywords_tcp_check_items[] = {
	NOTICE("comment", 0, 0, "it is kept as a comment"),
	WORKS("connect", 0, 0, KEYWORD_ANY, "[OPTION ...]", step_connect),
	WORKS("expect", 0, 2, KEYWORD_ANY, "[min-recv N] [comment TEXT] [!] string|rstring|binary PATTERN",
	      step_expect),
	WORKS("send", 0, 1, 3, "TEXT [comment TEXT]", step_send),
	WORKS("send-binary", 0, 1, 3, "HEX [comment TEXT]", step_send_binary),
	REFUSED("send-binary-lf", 0, 0, WHY_EXPRESSION),
	REFUSED("send-lf", 0, 0, WHY_EXPRESSION),
	REFUSED("set-var", 0, 0, WHY_EXPRESSION),
	REFUSED("set-var-fmt", 0, 0, WHY_EXPRESSION),
	REFUSED("unset-var", 0, 0, WHY_EXPRESSION),
};

KEYWORD_TABLE(keywords_tcp_check, "tcp-check keyword", "tcp-check ", "");

static const struct keyword keywords_tcp_check_connect_items[] = {
	WORKS("addr", 0, 1, 1, "ADDRESS", connect_addr),
	WORKS("alpn", 0, 1, 1, "PROTOCOL[,...]", connect_alpn),
	WORKS("comment", 0, 1, 1, "TEXT", step_comment),
	WORKS("default", 0, 0, 0, NULL, connect_default),
	WORKS("linger", 0, 0, 0, NULL, connect_linger),
	WORKS("port", 0, 1, 1, "PORT", connect_port),
	REFUSED("proto", 0, 1, WHY_LAYER7),
	REFUSED("send-proxy", 0, 0, WHY_PROXY),
	WORKS("sni", 0, 1, 1, "NAME", connect_sni),
	WORKS("ssl", 0, 0, 0, NULL, connect_ssl),
	REFUSED("via-socks4", 0, 0, "a layer-4 balancer cannot speak SOCKS"),
};

KEYWORD_TABLE(keywords_tcp_check_connect, "word", "", " of connect");

static const struct keyword keywords_tcp_check_expect_items[] = {
	WORKS("!", 0, 2, 2, "string|rstring|binary PATTERN", match_not),
	WORKS("!binary", 0, 1, 1, "HEX", match_not_binary),
	WORKS("!rstring", 0, 1, 1, "REGEX", match_not_rstring),
	WORKS("!string", 0, 1, 1, "TEXT", match_not_string),
	WORKS("binary", 0, 1, 1, "HEX", match_binary),
	REFUSED("binary-lf", 0, 1, WHY_EXPRESSION),
	WORKS("comment", 0, 1, 1, "TEXT", step_comment),
	REFUSED("error-status", 0, 1, WHY_STATUS),
	WORKS("min-recv", 0, 1, 1, "BYTES", expect_min_recv),
	REFUSED("ok-status", 0, 1, WHY_STATUS),
	REFUSED("on-error", 0, 1, WHY_EXPRESSION),
	REFUSED("on-success", 0, 1, WHY_EXPRESSION),
	REFUSED("rbinary", 0, 1, "write `binary`, or `rstring` with the bytes as they are"),
	WORKS("rstring", 0, 1, 1, "REGEX", match_rstring),
	REFUSED("status-code", 0, 1, WHY_EXPRESSION),
	WORKS("string", 0, 1, 1, "TEXT", match_string),
	REFUSED("string-lf", 0, 1, WHY_EXPRESSION),
	REFUSED("tout-status", 0, 1, WHY_STATUS),
};

KEYWORD_TABLE(keywords_tcp_check_expect, "word", "", " of tcp-check expect");
