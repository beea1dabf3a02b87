/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words that values are chosen from, and the names of the sections. Read through keywords.h; rows only, sorted.
 */
#include "config/keywords_table.h"

static const struct keyword values_mode_items[] = {
	VALUE_REFUSED("health", "HAProxy removed it"),
	VALUE_NOTICE("http", MODEL_MODE_HTTP,
		"HTTP is balanced as TCP, connection by connection; words about requests are refused"),
	VALUE("tcp", MODEL_MODE_TCP),
};

KEYWORD_TABLE(values_mode, "mode", "mode ", "");

static const struct keyword values_balance_items[] = {
	VALUE_REFUSED("first", "it needs `maxconn` of the servers, which is not enforced at layer 4"),
	VALUE_REFUSED("hash", "expressions are not evaluated; `maglev` hashes the connection, `source` the client"),
	VALUE_REFUSED("hdr", WHY_LAYER7),
	VALUE("leastconn", MODEL_LEASTCONN),
	VALUE("maglev", MODEL_MAGLEV),
	VALUE_REFUSED("random", "write `roundrobin`, or `maglev` for an even spread without an order"),
	VALUE_REFUSED("rdp-cookie", WHY_STICK),
	VALUE("roundrobin", MODEL_ROUNDROBIN),
	VALUE("source", MODEL_SOURCE),
	VALUE_NOTICE("static-rr", MODEL_ROUNDROBIN,
		"it is `roundrobin` here, where weights can be changed at run time as well"),
	VALUE_REFUSED("uri", WHY_LAYER7),
	VALUE_REFUSED("url_param", WHY_LAYER7),
};

KEYWORD_TABLE(values_balance, "balance algorithm", "balance ", "");

static const struct keyword values_forward_items[] = {
	VALUE("dsr", MODEL_DSR),
	VALUE("ipip", MODEL_IPIP),
	VALUE("nat", MODEL_NAT),
	VALUE_REFUSED("transparent", "write `forward nat`, which is the default, and `source 0.0.0.0 usesrc clientip`"),
};

KEYWORD_TABLE(values_forward, "forwarding", "forward ", "");

static const struct keyword values_hash_type_items[] = {
	VALUE_NOTICE("consistent", 0, "the tables of `maglev` and `source` are always consistent"),
	VALUE_NOTICE("map-based", 0,
		"the tables of `maglev` and `source` are always consistent: fewer clients move than with it"),
};

KEYWORD_TABLE(values_hash_type, "hash type", "hash-type ", "");

static const struct keyword values_hash_function_items[] = {
	VALUE("avalanche", 0),
	VALUE("crc32", 0),
	VALUE("djb2", 0),
	VALUE("none", 0),
	VALUE("sdbm", 0),
	VALUE("wt6", 0),
};

KEYWORD_TABLE(values_hash_function, "hash function", "", "");

static const struct keyword values_on_all_down_items[] = {
	VALUE("drop", MODEL_DROP),
	VALUE("last-known", MODEL_LAST_KNOWN),
	VALUE("reject", MODEL_REJECT),
};

KEYWORD_TABLE(values_on_all_down, "action", "on-all-down ", "");

static const struct keyword values_on_marked_down_items[] = {
	VALUE("shutdown-sessions", true),
};

KEYWORD_TABLE(values_on_marked_down, "action", "on-marked-down ", "");

static const struct keyword values_via_items[] = {
	VALUE("server", false),
	VALUE("vip", true),
};
KEYWORD_TABLE(values_via, "way", "via ", "");

static const struct keyword values_init_state_items[] = {
	VALUE("down", MODEL_INIT_DOWN),
	VALUE("fully-down", MODEL_INIT_FULLY_DOWN),
	VALUE("fully-up", MODEL_INIT_FULLY_UP),
	VALUE("up", MODEL_INIT_UP),
};

KEYWORD_TABLE(values_init_state, "state", "init-state ", "");

static const struct keyword values_verify_items[] = {
	VALUE("none", true),
	VALUE("required", false),
};

KEYWORD_TABLE(values_verify, "verification", "verify ", "");

static const struct keyword values_on_agent_death_items[] = {
	VALUE("keep", MODEL_DEATH_KEEP),
	VALUE("pass", MODEL_DEATH_PASS),
	VALUE("withdraw", MODEL_DEATH_WITHDRAW),
};
KEYWORD_TABLE(values_on_agent_death, "action", "on-agent-death ", "");

static const struct keyword values_xdp_items[] = {
	VALUE("auto", MODEL_XDP_AUTO),
	VALUE("generic", MODEL_XDP_GENERIC),
	VALUE("native", MODEL_XDP_NATIVE),
	VALUE("shared", MODEL_XDP_SHARED),
};

KEYWORD_TABLE(values_xdp, "xdp mode", "xdp ", "");

static const struct keyword values_level_items[] = {
	VALUE("admin", MODEL_LEVEL_ADMIN),
	VALUE_REFUSED("operator", "there are two levels: `user` reads, `admin` changes"),
	VALUE("user", MODEL_LEVEL_USER),
};

KEYWORD_TABLE(values_level, "level", "level ", "");

static const struct keyword values_facility_items[] = {
	VALUE("alert", 14),
	VALUE("audit", 13),
	VALUE("auth", 4),
	VALUE("auth2", 10),
	VALUE("cron", 9),
	VALUE("cron2", 15),
	VALUE("daemon", 3),
	VALUE("ftp", 11),
	VALUE("kern", 0),
	VALUE("local0", 16),
	VALUE("local1", 17),
	VALUE("local2", 18),
	VALUE("local3", 19),
	VALUE("local4", 20),
	VALUE("local5", 21),
	VALUE("local6", 22),
	VALUE("local7", 23),
	VALUE("lpr", 6),
	VALUE("mail", 2),
	VALUE("news", 7),
	VALUE("ntp", 12),
	VALUE("syslog", 5),
	VALUE("user", 1),
	VALUE("uucp", 8),
};

KEYWORD_TABLE(values_facility, "log facility", "", "");

static const struct keyword values_log_level_items[] = {
	VALUE("alert", 1),
	VALUE("crit", 2),
	VALUE("debug", 7),
	VALUE("emerg", 0),
	VALUE("err", 3),
	VALUE("info", 6),
	VALUE("notice", 5),
	VALUE("warning", 4),
};

KEYWORD_TABLE(values_log_level, "log level", "", "");

static const struct keyword values_log_format_items[] = {
	VALUE_REFUSED("iso", "lines are written as `rfc3164`"),
	VALUE("local", 0),
	VALUE_REFUSED("priority", "lines are written as `rfc3164`"),
	VALUE_REFUSED("raw", "lines are written as `rfc3164`"),
	VALUE("rfc3164", 0),
	VALUE_REFUSED("rfc5424", "lines are written as `rfc3164`"),
	VALUE_REFUSED("short", "lines are written as `rfc3164`"),
	VALUE_REFUSED("timed", "lines are written as `rfc3164`"),
};

KEYWORD_TABLE(values_log_format, "log format", "log format ", "");

static const struct keyword values_section_items[] = {
	VALUE("backend", SECTION_BACKEND),
	VALUE_REFUSED("cache", WHY_LAYER7),
	VALUE_REFUSED("crt-list", WHY_TLS),
	VALUE("defaults", SECTION_DEFAULTS),
	VALUE_REFUSED("fcgi-app", WHY_LAYER7),
	VALUE("frontend", SECTION_FRONTEND),
	VALUE("global", SECTION_GLOBAL),
	VALUE_REFUSED("http-errors", WHY_LAYER7),
	VALUE("listen", SECTION_LISTEN),
	VALUE_REFUSED("log-forward", "logs are not forwarded"),
	VALUE_REFUSED("mailers", "no mail is sent"),
	VALUE("peers", SECTION_PEERS),
	VALUE_REFUSED("program", "no programs are started; use systemd"),
	VALUE_REFUSED("resolvers", WHY_LATER_NAMES),
	VALUE_REFUSED("ring", "write a `log` line in the global section"),
	VALUE_REFUSED("userlist", WHY_LAYER7),
};

KEYWORD_TABLE(values_section, "section", "", "");
