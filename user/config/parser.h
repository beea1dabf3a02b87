/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser's state, and what its parts offer each other. Used inside config/ only: parser.c reads lines and finds
 * keywords, the parse_*.c hold the handlers that the keyword tables name, build.c and validate.c make the model.
 */
#ifndef CONFIG_PARSER_H
#define CONFIG_PARSER_H

#include "config/arena.h"
#include "config/config.h"
#include "config/keywords.h"
#include "config/lexer.h"

struct place {
	size_t file; /* index into model.files */
	unsigned line, column;
};

/* A value, and where it was written; line 0 = it was not. */
struct time_setting {
	uint32_t ms;
	struct place place;
};

struct name_setting {
	const char *name; /* NULL = none */
	struct place place;
};

/* Where a word was written: the newest first. In the arena; who inherits shares the rest of the list. */
struct origin {
	const char *before, *word; /* of the keyword table */
	struct place place;
	const struct origin *next;
};

/* What `server` and `default-server` lines can say. */
struct server_settings {
	unsigned weight, rise, fall;
	bool backup, disabled, check, shutdown_sessions;
	enum model_init_state init_state;
	uint32_t inter_ms, fastinter_ms, downinter_ms;
	struct addr check_addr; /* family 0 = the server's own */
	uint16_t check_port;    /* 0 = the server's own */
	bool via;               /* via vip */
	bool check_detail;      /* this line has a word that only means something with `check` */
	struct place check_detail_place;
	bool check_ssl, verify_none;
	const char *ca_file, *crt, *check_sni, *check_alpn, *verify_host; /* NULL = none */
	struct place tls_place; /* of the first word about TLS in this line; line 0 = none */
	bool agent;
	struct addr agent_addr; /* family 0 = the server's own */
	uint16_t agent_port;    /* 0 = none */
	uint32_t agent_inter_ms;
	const char *agent_send;
	struct place agent_place; /* of this line's first word about the agent; line 0 = none */
	struct name_setting track;
	uint32_t slowstart_ms, flap_ms;
	unsigned flap_count;
	bool transparent;          /* source 0.0.0.0 usesrc clientip */
	struct place source_place; /* of this line's `source`; line 0 = none */
	uint8_t quic_id[MODEL_QUIC_ID_MAX];
	unsigned quic_length;   /* 0 = none */
	struct place quic_place;
	const struct origin *origins;
};

/* A request of an HTTP check; all but `host` and what is NULL has a default. */
struct request_setting {
	const char *method, *uri, *version;
	struct name_setting host;
	const char *headers; /* others, "NAME: VALUE\r\n" each; NULL = none */
	const char *body;    /* NULL = none */
};

struct script_settings {
	bool own; /* this section has a line about it, and so inherits nothing of it */
	struct place place; /* of the section's own first line */
	struct step_setting *steps;
	size_t count;
};

struct http_settings {
	bool own; /* likewise */
	struct request_setting request; /* the first one: option httpchk, and the first http-check send */
	bool sent;     /* there is an http-check send */
	bool sequence; /* more than one request and one status */
	bool disable_on_404;
	struct place expect_place, send_place; /* of this section's own lines; line 0 = inherited or none */
	struct script_settings script; /* steps but for the first request */
};

/* A step of a tcp-check or udp-check; its strings are in the arena. See struct model_check_step. */
struct step_setting {
	enum model_step kind;
	const char *comment, *sni, *alpn;
	bool server_options, tls, linger, negated;
	struct addr addr;
	uint16_t port;
	const uint8_t *data;
	size_t length;
	enum model_match match;
	unsigned min_recv;
	const struct request_setting *request; /* http-check send */
};

struct external_settings {
	const char *command, *path; /* NULL = none */
	struct place place; /* of option external-check */
};

struct dns_settings {
	const char *name; /* NULL = the root */
	uint16_t type;
};

/* A check by a plugin; its strings are in the arena. */
struct plugin_settings {
	const char *name, *secret, *file; /* file: the secret's; NULL = none */
	const char **words;
	size_t count;
	struct place place;
};

/* What the words of `option mysql-check` say; see struct model_roles. */
struct mysql_settings {
	bool used;
	const char *user, *heartbeat, *channel, *ca_file, *crt; /* NULL = none */
	bool tls, tls_verify;
	enum model_role role;
	bool or_primary, keep, weight_by_lag;
	unsigned max_writers;
	uint32_t max_lag_ms, recover_lag_ms;
	bool lag_source_open; /* `lag-source` was read, its value was not */
	struct place replica_detail, primary_detail, tls_detail; /* of a word that needs that role, or tls */
	struct place recover_lag_place, weight_by_lag_place;
};

struct source_setting {
	struct addr addr;
	uint16_t port_low, port_high;
	struct place place;
};

struct tunnel_setting {
	struct addr addr;
	unsigned bits; /* behind the prefix */
	struct place place;
};

/* quic-lb. */
struct quic_settings {
	unsigned length, config; /* length 0 = not written */
	struct place place;
};

/* What a section inherits from its defaults: copied by assignment, its strings are in the arena. */
struct proxy_settings {
	enum model_mode mode;
	enum model_balance balance;
	enum model_forward forward;
	enum model_all_down on_all_down;
	bool all_backups, disabled;
	struct time_setting client, server, connect, tunnel, check;
	enum model_check check_kind;
	struct http_settings http;
	bool tcp_check; /* check_kind is what `option tcp-check` asks for, not what is so anyway */
	struct script_settings script, datagram;
	struct dns_settings dns;
	struct external_settings external;
	struct plugin_settings plugin;
	struct mysql_settings mysql;
	unsigned panic_percent;
	uint32_t udp_persist_ms; /* 0 = not written */
	struct name_setting flow_peers;
	struct quic_settings quic;
	struct name_setting default_backend;
	struct server_settings default_server;
	struct source_setting sources[MODEL_SOURCES_MAX];
	size_t source_count;
	bool sources_own; /* written in this section, not inherited */
	bool transparent; /* source 0.0.0.0 usesrc clientip */
	struct place source_place; /* of the section's own `source`; line 0 = inherited or none */
	struct tunnel_setting tunnel_sources[2]; /* one a family */
	size_t tunnel_source_count;
	struct place tunnel_any;  /* of `*`; line 0 = not written */
	bool tunnel_sources_own;
	const struct origin *origins;
};

/* announce, of a section or of global. line 0 = not written. */
struct announce_setting {
	struct model_announce announce;
	struct place place;
};

struct bind_draft {
	struct addr addr;
	bool any;
	uint16_t port_low, port_high;
	enum model_protocol protocol;
	const char *name; /* NULL = none */
	struct place place;
};

struct server_draft {
	const char *name;
	struct endpoint at;
	struct server_settings settings;
	struct place place;
};

/* A tcp-request line. */
struct rule_setting {
	bool negated;
	uint16_t lists[MODEL_RULE_LISTS_MAX]; /* indices into the model's acls */
	uint16_t list_count;
	const char *text;
	struct place place;
};

/* stick-table, track-sc0 and sc0_conn_rate; a place's line 0 = the line is not there. */
struct rate_setting {
	struct place table_place, track_place, limit_place;
	bool v6;
	uint32_t period_ms;
	uint8_t length4, length6;
	unsigned max;
};

/* A frontend, backend or listen section as written. */
struct proxy {
	enum section section;
	const char *name;
	struct place place;
	struct proxy_settings settings;
	struct vec(struct bind_draft) binds;
	struct vec(struct server_draft) servers;
	struct name_setting use_backend;
	struct rule_setting rules[MODEL_RULES_MAX];
	size_t rule_count;
	struct rate_setting rate;
	struct announce_setting announce;
	bool broken; /* has an error: what it lacks may be what could not be read */
	/* Filled by build.c. */
	struct proxy *target; /* where its packets go; NULL = nowhere */
	bool referenced;      /* is the target of one */
	size_t backend;       /* its index in the model's backends */
};

/* What a service of the model was made of, for messages. */
struct service_origin {
	const struct proxy *frontend;
	const struct bind_draft *bind;
};

struct defaults {
	const char *name; /* NULL = none */
	struct place place;
	struct proxy_settings settings;
};

struct message_draft {
	enum config_severity severity;
	struct place place;
	size_t sequence;
	const char *text; /* in the arena */
};

/* A notice is given once; what follows is counted. */
struct notice_count {
	const struct keyword *keyword;
	struct place place;
	const char *text;
	unsigned count;
};

/* `no option X`, `default option X` */
enum form { FORM_PLAIN, FORM_NO, FORM_DEFAULT };

struct parser {
	struct arena arena;
	int failed;                /* -ENOMEM once memory ran out; looked at at the end */
	struct vec(struct message_draft) messages;
	size_t errors, errors_kept, left_out; /* errors: all of them; errors_kept: those among messages */
	struct vec(struct notice_count) notices;

	struct place at;           /* the line being read */
	struct lexer_line line;
	enum section section;
	const char *section_name;
	enum form form;

	struct vec(struct defaults *) defaults;
	struct vec(struct proxy *) proxies;
	struct proxy *proxy;       /* of this section; NULL in global and defaults */
	struct proxy_settings *settings; /* of this section; NULL in global */
	struct bind_draft *bind;   /* what the options of a `bind` line apply to */
	bool bind_v4v6, bind_v6only;
	struct server_settings *server; /* ... of a `server` or `default-server` line */
	struct step_setting *step; /* ... of a `tcp-check` line */
	struct request_setting *request; /* ... of an `http-check send` line */
	struct mysql_settings *mysql; /* ... of an `option mysql-check` line */

	struct model *model;       /* files and global are filled as they are read */
	struct vec(struct service_origin) services; /* beside model.services */
	struct vec(const struct proxy *) backends;  /* beside model.backends */
	const struct origin *origins;               /* of global sections */
	struct announce_setting announce;           /* of global */
	struct place peers_place, localpeer_place;  /* line 0 = not written */
	bool stats_seen, hash_secret_seen, metrics_seen, state_dir_seen, agent_death_seen, watchdog_seen;
	bool flow_table_seen;
};

/* "Did you mean" costs a look at every candidate: a text that is no configuration at all gets it for its first errors.
 */
bool parser_suggests(const struct parser *p);

/* report.c. Places without a word: column 1 of the line being read. */
void parser_error(struct parser *p, const struct config_word *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void parser_notice(struct parser *p, const struct config_word *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void parser_error_at(struct parser *p, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void parser_notice_at(struct parser *p, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A keyword of the notice class was used: says so once for all its uses. */
void parser_notice_keyword(struct parser *p, const struct keyword_table *t, const struct keyword *k,
			   const struct config_word *at);
/* Sorts all messages by place and moves them into the report. */
int parser_report(struct parser *p, struct config_report *report);
struct place parser_place(const struct parser *p, const struct config_word *at);
/* A copy that lives as long as the parser; "" when out of memory. */
const char *parser_keep(struct parser *p, const char *text);
/* "line N", or "FILE:N" where it is another file than `from`'s: for messages that point elsewhere. */
const char *parser_where(struct parser *p, struct place from, struct place at);
/* A place as the model holds it. */
struct model_place parser_model_place(const struct parser *p, struct place at);
/* A copy for the model; NULL when out of memory. */
char *parser_model_string(struct parser *p, const char *text);

/* parser.c: reading lines */
int parser_init(struct parser *p);
void parser_done(struct parser *p);
/* Reads one text as the next file. */
void parser_read(struct parser *p, const char *name, const char *text, size_t length);

/* statement.c: from words to handlers */
/* Looks the first word up, admits it or says why not, and hands the rest to its handler. */
void statement_run(struct parser *p, const struct keyword_table *t, const struct config_word *words, size_t count);
/* The same for the options that follow on a line, each with its arguments. */
void statement_options(struct parser *p, const struct keyword_table *t, const struct config_word *words, size_t count);
/* Looks up the word of an enumeration; false after an error. */
bool statement_choice(struct parser *p, const struct keyword_table *t, const struct config_word *word, int *ret);
/* Numbers and times with their limits; false after an error. */
bool statement_number(struct parser *p, const struct config_word *word, unsigned low, unsigned high,
		      const char *limit, unsigned *ret);
bool statement_time(struct parser *p, const struct config_word *word, uint32_t *ret_ms);
/* A name made of HAProxy's letters, at most MODEL_NAME_MAX bytes; false after an error. */
bool statement_name(struct parser *p, const struct config_word *word, const char *what);

/* parse_proxy.c: ADDRESS[:LOW-HIGH], own ports towards servers; `*` has no family. False after an error. */
bool statement_source(struct parser *p, const struct config_word *word, struct source_setting *ret);
/* parse_proxy.c: the two values of `source 0.0.0.0 usesrc clientip`; false after an error. */
bool statement_any_source(struct parser *p, const struct config_word *word);
bool statement_client_source(struct parser *p, const struct config_word *word);
/* A host name as it is sent in a handshake; false after an error. */
bool statement_host(struct parser *p, const struct config_word *word);

/* origin.c: where settings were written */
/* The line being read has this word. */
void origin_note(struct parser *p, const struct keyword_table *t, const struct keyword *k);
/* The same for the model: one for each word, the one in force. */
void origin_build(struct parser *p, const struct origin *from, struct model_origins *to);

/* The handlers that the tables name. */
#define PARSE_HANDLERS(X)                                                                                            \
	X(flow_table) X(hash_secret) X(interface) X(log_global) X(metrics) X(on_agent_death) X(state_dir) X(stats_socket) \
	X(watchdog)                                                                                                  \
	X(stats_mode) X(stats_user) X(stats_uid) X(stats_group) X(stats_gid) X(stats_level)                          \
	X(balance) X(bind) X(default_backend) X(default_server) X(disabled) X(enabled) X(forward) X(source) X(hash_type)       \
	X(mode) X(on_all_down) X(option_allbackups) X(option_httpchk) X(option_tcp_check) X(server) X(source_pool)   \
	X(stick_table) X(tcp_request) X(tunnel_source) X(udp_persist)                                                \
	X(timeout_check) X(timeout_client) X(timeout_connect) X(timeout_server) X(timeout_tunnel) X(use_backend)     \
	X(expect) X(expect_status) X(expect_not) X(expect_not_status) X(send) X(send_hdr) X(send_meth) X(send_uri)   \
	X(send_ver) X(send_body) X(http_connect) X(disable_on_404)                                                    \
	X(expect_rstatus) X(expect_string) X(expect_rstring) X(expect_not_rstatus) X(expect_not_string)               \
	X(expect_not_rstring)                                                                                                  \
	X(bind_name) X(bind_v4v6) X(bind_v6only)                                                                     \
	X(server_addr) X(server_backup) X(server_check) X(server_disabled) X(server_downinter) X(server_enabled)     \
	X(server_fall) X(server_fastinter) X(server_init_state) X(server_inter) X(server_no_backup) X(server_via)   \
	X(server_no_check) X(server_on_marked_down) X(server_port) X(server_rise) X(server_weight)      \
	X(server_source) X(server_usesrc)
/* parse_quic.c */
#define PARSE_QUIC_HANDLERS(X) X(quic_lb) X(server_quic_id)
/* parse_announce.c */
#define PARSE_ANNOUNCE_HANDLERS(X) X(announce)
/* parse_peers.c */
#define PARSE_PEERS_HANDLERS(X) X(localpeer) X(flows) X(peers_bind) X(peer)
/* Those of checks: parse_script.c, parse_server_check.c. */
#define PARSE_CHECK_HANDLERS(X)                                                                                      \
	X(option_dns_check) X(option_udp_check) X(panic_threshold)                                                   \
	X(option_external_check) X(external_check) X(external_command) X(external_path)                              \
	X(step_connect) X(step_send) X(step_send_binary) X(step_expect) X(step_comment)                              \
	X(connect_default) X(connect_ssl) X(connect_linger) X(connect_port) X(connect_addr) X(connect_sni)           \
	X(connect_alpn)                                                                                              \
	X(expect_min_recv) X(match_string) X(match_binary) X(match_rstring) X(match_not) X(match_not_string)         \
	X(match_not_binary) X(match_not_rstring)                                                                     \
	X(server_agent_addr) X(server_agent_check) X(server_agent_inter) X(server_agent_port) X(server_agent_send)   \
	X(server_ca_file) X(server_check_alpn) X(server_check_sni) X(server_check_ssl) X(server_crt)                 \
	X(server_flap_damping) X(server_no_agent_check) X(server_no_check_ssl) X(server_no_verifyhost)               \
	X(server_slowstart) X(server_track) X(server_verify) X(server_verifyhost)
/* Those of checks by plugins: parse_mysql.c. */
#define PARSE_PLUGIN_HANDLERS(X)                                                                                     \
	X(option_mysql_check) X(option_plugin_check)                                                                 \
	X(mysql_ca_file) X(mysql_channel) X(mysql_crt) X(mysql_heartbeat) X(mysql_lag_source) X(mysql_max_lag)       \
	X(mysql_max_writers) X(mysql_on_conflict) X(mysql_or_primary) X(mysql_password_file) X(mysql_post_41)        \
	X(mysql_recover_lag) X(mysql_role) X(mysql_seconds_behind) X(mysql_tls) X(mysql_user) X(mysql_weight_by_lag)
#define X(name) void parse_##name(struct parser *p, const struct config_word *args, size_t count);
PARSE_HANDLERS(X)
PARSE_ANNOUNCE_HANDLERS(X)
PARSE_PEERS_HANDLERS(X)
PARSE_QUIC_HANDLERS(X)
PARSE_CHECK_HANDLERS(X)
PARSE_PLUGIN_HANDLERS(X)
#undef X

/* parse_server.c, parse_check.c: what holds where nothing is written */
struct server_settings server_settings_default(void);
struct http_settings http_settings_default(void);

/* build_check.c: what a backend's servers are asked, and what one server's line says of it. Called by build.c. */
void build_check(struct parser *p, const struct proxy *x, struct model_backend *b);
void build_server_check(struct parser *p, const struct server_draft *draft, const struct model_backend *b,
			struct model_server *s);
/* parse_announce.c: of a service of this frontend; and, once all are there, whether they agree. Called by build.c. */
void build_announce(struct parser *p, const struct proxy *x, struct model_service *s);
void validate_announce(struct parser *p);
/* parse_peers.c */
void begin_peers(struct parser *p, const struct config_word *section, const struct config_word *name,
		 const struct config_word *from);
void build_peers(struct parser *p);
/* parse_quic.c: do quic-lb and the quic-ids of a backend's servers agree? */
void validate_quic(struct parser *p, size_t backend);
bool parser_interface_name_valid(const char *name); /* parse_global.c */
/* parse_mysql.c: the same for a check by a plugin. Called by build_check.c. */
void build_plugin_check(struct parser *p, const struct proxy *x, struct model_backend *b);
/* Wipes what was read from password files. */
void parser_forget_passwords(struct parser *p);
/* parse_script.c: what the steps of tcp-check and http-check share. NULL or false: an error was reported. */
struct step_setting *step_new(struct parser *p, struct script_settings *s, const struct config_word *word,
			      enum model_step kind);
void step_keep_bytes(struct parser *p, struct step_setting *s, const void *bytes, size_t length);
bool step_take_string(struct parser *p, const struct config_word *word, struct step_setting *s);
bool step_take_regex(struct parser *p, const struct config_word *word, struct step_setting *s);
void step_connect(struct parser *p, struct script_settings *to, const struct config_word *args, size_t count);
/* build_http.c */
void build_http(struct parser *p, const struct proxy *x, struct model_backend *b);
/* build_via.c: where checks via vip go; after all services. */
void build_vias(struct parser *p);
/* parse_access.c: the policy of a frontend, made of its rules unless there is an equal one; 0 = none. */
size_t build_policy(struct parser *p, const struct proxy *x);
/* parse_rate.c: called by parse_access.c with the words behind track-sc0, and between the braces of a comparison. */
void parse_track(struct parser *p, const struct config_word *track, const struct config_word *args, size_t count);
void parse_rate(struct parser *p, const struct config_word *words, size_t count, bool negated);
/* What a service's sources may do; and, once a frontend, what its lines lack. */
void build_rate(struct parser *p, const struct proxy *x, struct model_service *s);
void check_rate(struct parser *p, const struct proxy *x);
/* build_transparent.c: whether the servers see the client's address; and, once all services are there, what forbids it. */
void build_transparent(struct parser *p, const struct proxy *x, struct model_backend *b);
void validate_transparent(struct parser *p);
/* What a user writes for it: "forward dsr". */
const char *forward_words(enum model_forward f);
/* Once all backends are there: whom a server tracks. */
void build_tracks(struct parser *p);

/* build.c: from what was written to the model; reports what does not fit together. */
void build_model(struct parser *p);
/* validate.c: what only shows once the model is whole. Called by build_model(). */
void validate_model(struct parser *p);

#endif
