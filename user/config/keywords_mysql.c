/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of `option mysql-check`, and those that their values are chosen from. Read through keywords.h; rows only,
 * sorted.
 */
#include "config/keywords_table.h"

static const struct keyword keywords_mysql_check_items[] = {
	WORKS("ca-file", 0, 1, 1, "FILE", mysql_ca_file),
	WORKS("channel", 0, 1, 1, "NAME", mysql_channel),
	WORKS("crt", 0, 1, 1, "FILE", mysql_crt),
	WORKS("heartbeat", 0, 1, 1, "DATABASE.TABLE", mysql_heartbeat),
	WORKS("lag-source", 0, 0, 0, NULL, mysql_lag_source),
	WORKS("max-lag", 0, 1, 1, "TIME", mysql_max_lag),
	WORKS("max-writers", 0, 1, 1, "NUMBER", mysql_max_writers),
	WORKS("on-conflict", 0, 1, 1, "keep|none", mysql_on_conflict),
	WORKS("or-primary", 0, 0, 0, NULL, mysql_or_primary),
	WORKS("password-file", 0, 1, 1, "FILE", mysql_password_file),
	WORKS("post-41", 0, 0, 0, NULL, mysql_post_41),
	REFUSED("pre-41", 0, 0, "it is the login of MySQL before 4.1, which no server of today accepts"),
	WORKS("recover-lag", 0, 1, 1, "TIME", mysql_recover_lag),
	WORKS("role", 0, 1, 1, "any|primary|replica", mysql_role),
	WORKS("seconds-behind", 0, 0, 0, NULL, mysql_seconds_behind),
	WORKS("tls", 0, 1, 1, "verify|noverify", mysql_tls),
	WORKS("user", 0, 1, 1, "NAME", mysql_user),
	WORKS("weight-by-lag", 0, 0, 0, NULL, mysql_weight_by_lag),
};

KEYWORD_TABLE(keywords_mysql_check, "word", "", " of option mysql-check");

static const struct keyword values_role_items[] = {
	VALUE("any", MODEL_ROLE_ANY),
	VALUE("primary", MODEL_ROLE_PRIMARY),
	VALUE("replica", MODEL_ROLE_REPLICA),
};

KEYWORD_TABLE(values_role, "role", "role ", "");

static const struct keyword values_on_conflict_items[] = {
	VALUE("keep", true),
	VALUE("none", false),
};

KEYWORD_TABLE(values_on_conflict, "action", "on-conflict ", "");

static const struct keyword values_mysql_tls_items[] = {
	VALUE("noverify", false),
	VALUE("verify", true),
};

KEYWORD_TABLE(values_mysql_tls, "way of tls", "tls ", "");
