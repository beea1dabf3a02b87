/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the configuration means, with every default filled in and every reference resolved: the language of all the
 * rooms behind the parser. Built by config/, read by health/, agent/ and control/; read-only once built.
 * Knows nothing of files, maps, sockets or time.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/vec.h"

enum model_limit {
	MODEL_NAME_MAX = 64,      /* bytes of a section's or server's name, without the NUL */
	MODEL_WEIGHT_MAX = 256,   /* as in HAProxy */
	MODEL_HTTP_URI_MAX = 1024,
	MODEL_STATUS_RANGES_MAX = 16,
	MODEL_CHECK_STEPS_MAX = 64, /* of a tcp-check */
	MODEL_CHECK_DATA_MAX = 4096, /* bytes that a step sends or expects */
	MODEL_CHECK_ANSWER_MAX = 16384, /* bytes of an answer that an expect can look at; HAProxy's tune.bufsize */
	MODEL_TRACK_DEPTH_MAX = 16, /* servers that track one another in a row */
	MODEL_CHECK_REGEX_MAX = 256, /* bytes of a regular expression */
	MODEL_AGENT_SEND_MAX = 256,
	MODEL_COMMAND_MAX = 1024, /* bytes of external-check's command and of its path */
	MODEL_DNS_NAME_MAX = 253,
	MODEL_FLAPS_MAX = 16,     /* flap-damping's count */
	MODEL_SOURCES_MAX = 16,   /* source-pool lines of one backend, and pools of one peer */
	MODEL_TUNNEL_BITS_MAX = 32, /* bits of a tunnel-source that a flow's hash fills */
	MODEL_POOL_PORT_LOW = 10240, /* own ports towards servers without source-pool */
	MODEL_POOL_PORT_HIGH = 32767,
	MODEL_INTERFACES_MAX = 32,
	MODEL_XDP_PRIORITY = 50,   /* libxdp's own default */
	MODEL_XDP_PRIORITY_MAX = INT32_MAX,
	MODEL_LOGS_MAX = 8,
	MODEL_COUNT_MAX = 65535,  /* rise, fall */
	MODEL_TIME_MAX_MS = 86400000, /* 24 h: every time that works here; what a flow's record can measure */
	MODEL_SOCKET_PATH_MAX = 107, /* sun_path without its NUL */
	MODEL_BACKENDS_MAX = 8192,
	MODEL_SERVERS_MAX = 16384, /* of all backends: half of abi.h's ids, so that a reload may replace them all */
	MODEL_SERVICES_MAX = 8192,
	MODEL_ACLS_MAX = 4096,     /* lists of addresses */
	MODEL_RULES_MAX = 8,      /* tcp-request lines of a frontend */
	MODEL_RULE_LISTS_MAX = 8, /* lists in one condition */
	MODEL_POLICIES_MAX = 256, /* different sets of such lines */
	MODEL_PREFIXES4_MAX = 65000, /* of all policies: twice their bounds fit into abi.h's ACCESS_BOUNDS4 ... */
	MODEL_PREFIXES6_MAX = 32000, /* ... and ACCESS_BOUNDS6 */
	MODEL_RATE_MAX = 1000000, /* connections of a source in a time; abi.h counts a little further */
	MODEL_RATE_PERIOD_MIN_MS = 1000,
	MODEL_RATE_SOURCES = 131072, /* abi.h's RATE_BUCKETS, four each */
	MODEL_QUIC_ID_MAX = 15,   /* bytes of a quic-id; abi.h's QUIC_SERVER_ID_MAX */
	MODEL_QUIC_CONFIG_MAX = 6, /* 7 means that an id names nobody */
	MODEL_PORTS_MAX = 65536,  /* of all services together */
	MODEL_IDLE_TIMEOUT_DEFAULT_MS = 3600000,
	MODEL_CONNECT_TIMEOUT_DEFAULT_MS = 5000,
	MODEL_IDLE_TIMEOUT_MYSQL_MS = 28800000, /* with a mysql-check: 8 h, MySQL's own wait_timeout */
	MODEL_PLUGIN_WORDS_MAX = 8192, /* bytes of a plugin's name, words and password */
	MODEL_ROLE_SERVERS_MAX = 64, /* servers of a backend that has a role */
	MODEL_WRITERS_MAX = 16,   /* max-writers */
	MODEL_PEERS_MAX = 16,     /* balancers of a peers section, this one among them */
	MODEL_ANNOUNCE_NEED_MAX = 256, /* announce ... need N */
	MODEL_ANNOUNCE_WAIT_MS = 3000, /* announce ... wait T, where it is not written */
	MODEL_ANNOUNCE_WAIT_MAX_MS = 60000,
	MODEL_WATCHDOG_MS = 15000, /* where it is not written */
	MODEL_WATCHDOG_MIN_MS = 2000,
	MODEL_WATCHDOG_MAX_MS = 3600000,
	MODEL_FLOWS_MIN = 1000,    /* records that the flow table has room for */
	MODEL_FLOWS_MAX = 20000000,
	MODEL_FLOWS4 = 349525,     /* where it is not written */
	MODEL_FLOWS6 = 87381,
};

enum model_protocol { MODEL_TCP, MODEL_UDP };
enum model_mode { MODEL_MODE_TCP, MODEL_MODE_HTTP };
/* The first and the last deal new connections out from a sequence and remember each; the others hash. */
enum model_balance { MODEL_ROUNDROBIN, MODEL_MAGLEV, MODEL_SOURCE, MODEL_LEASTCONN };
/* TRANSPARENT: nat of the destination alone, `source 0.0.0.0 usesrc clientip`. */
enum model_forward { MODEL_NAT, MODEL_DSR, MODEL_IPIP, MODEL_TRANSPARENT };
enum model_all_down { MODEL_REJECT, MODEL_DROP, MODEL_LAST_KNOWN };
enum model_check { MODEL_CHECK_TCP, MODEL_CHECK_HTTP, MODEL_CHECK_SCRIPT, MODEL_CHECK_DNS, MODEL_CHECK_EXTERNAL, MODEL_CHECK_PLUGIN };
enum model_xdp_mode { MODEL_XDP_AUTO, MODEL_XDP_NATIVE, MODEL_XDP_GENERIC, MODEL_XDP_SHARED };
enum model_level { MODEL_LEVEL_USER, MODEL_LEVEL_ADMIN };
/*
 * What a server's state is before its first check result; HAProxy's init-state (3.1). DEFAULT, where the file says
 * nothing: unknown, no traffic until the first result, which alone decides. UP: traffic at once, one bad result ends
 * it; FULLY_UP: traffic at once, `fall` bad ones end it. DOWN: one good result brings it up; FULLY_DOWN: `rise` do.
 */
enum model_init_state {
	MODEL_INIT_DEFAULT,
	MODEL_INIT_UP,
	MODEL_INIT_DOWN,
	MODEL_INIT_FULLY_UP,
	MODEL_INIT_FULLY_DOWN,
};

/* Where a thing was written, for messages and for `explain config`. line 0 = a built-in default or the command line. */
struct model_place {
	const char *file; /* owned by the model */
	unsigned line;
};

/* Where the word that is in force was written: "timeout " and "connect". What is not among them is a default. */
struct model_origin {
	const char *before, *word; /* of the keyword tables: not freed */
	struct model_place place;
};

struct model_origins {
	struct model_origin *items;
	size_t count, capacity;
};

/* HAProxy 2.6 reads a check's answer as good when the status is 2xx or 3xx; `http-check expect` replaces that. */
struct model_status_range {
	uint16_t low, high;
};

struct model_http_check {
	char method[16];
	char uri[MODEL_HTTP_URI_MAX + 1];
	char version[16];  /* "HTTP/1.0" or "HTTP/1.1" */
	char *host;        /* value of the Host header; NULL = none given */
	bool expect_negated; /* `! status ...` */
	struct model_status_range expect[MODEL_STATUS_RANGES_MAX];
	size_t expect_count; /* 0 = the default, 200-399 */
	bool disable_on_404; /* a server that is up and answers 404 takes no new connections */
};

/* One line of a tcp-check, or one half of an udp-check. Steps hold what is needed to write them down again. */
enum model_step { MODEL_STEP_CONNECT, MODEL_STEP_SEND, MODEL_STEP_EXPECT };
/* STATUS: of HTTP; data is an array of struct model_status_range. STATUS_REGEX: of its three digits. */
enum model_match { MODEL_MATCH_STRING, MODEL_MATCH_BINARY, MODEL_MATCH_REGEX, MODEL_MATCH_STATUS, MODEL_MATCH_STATUS_REGEX };

struct model_check_step {
	enum model_step kind;
	char *comment;             /* NULL = none */
	/* connect */
	bool server_options;       /* `default`: what is not given here is as the server's line has it */
	struct addr addr;          /* family 0 = the server's own */
	uint16_t port;             /* 0 = the server's own */
	bool tls, linger;
	char *sni, *alpn;          /* NULL = none */
	/* send, expect */
	uint8_t *data;             /* bytes; a regular expression's text; a NUL that `length` does not count */
	size_t length;
	enum model_match match;    /* of a send: written as a string or as hexadecimal digits */
	bool negated;
	unsigned min_recv;         /* decide once so many bytes are there; 0 = not given */
};

struct model_dns_check {
	char *name;                /* without the last dot; NULL = the root, which any answer will do for */
	uint16_t type;             /* RFC 1035's number */
};

struct model_external_check {
	char *command, *path;      /* path: PATH of its environment; NULL = HAProxy's, none */
	unsigned proxy_id;         /* 1 = the first backend */
	char *proxy_addr, *proxy_port; /* its first two arguments: those of the listen section's first bind */
};

/* The words about TLS on a server's line: they concern its checks alone. */
struct model_tls {
	bool verify_none;
	char *ca_file;             /* PEM; "@system-ca" = those of the system; NULL only with verify_none */
	char *crt;                 /* PEM, the client's certificate and key; NULL = none */
	char *sni, *alpn;          /* check-sni, check-alpn; NULL = none */
	char *verify_host;         /* name the certificate must have where no SNI is sent; NULL = any */
};

/* Own address and ports towards backends, for forward nat. addr.family 0 = the interface's address, found by route. */
struct model_source {
	struct addr addr;
	uint16_t port_low, port_high; /* inclusive */
	struct model_place place;
};

/* Source of the outer header, for forward ipip: the prefix's low bits are each flow's hash. */
struct model_tunnel_source {
	struct addr addr;          /* the low `bits` are zero */
	unsigned bits;             /* low bits that the hash fills: 0 .. MODEL_TUNNEL_BITS_MAX */
	struct model_place place;
};

/* `check via vip`: the check goes to a service's address by way of the server, as clients' packets do. */
struct model_via {
	struct addr service;       /* family 0 = not so; else that of the server's address */
	bool tunnel;               /* forward ipip */
	struct addr source;        /* tunnel-source; family 0 = the check's own */
	unsigned source_bits;
};

struct model_server {
	char *name;
	struct endpoint at;        /* port 0 = the packet's own destination port is kept */
	unsigned weight;           /* 0..256, default 1; 0 takes no new connections */
	bool backup;
	bool disabled;             /* starts in admin state maint */
	bool check;
	enum model_init_state init_state;
	bool shutdown_sessions;    /* on-marked-down shutdown-sessions */
	struct endpoint check_at;  /* where the check goes; complete when check is set. With `via`: the server's address, */
	struct model_via via;      /* ... the service's port */
	struct addr check_source;  /* nat: from where the check comes, as clients' packets; family 0 = the kernel chooses */
	uint32_t inter_ms, fastinter_ms, downinter_ms; /* the latter two: 0 = as inter, like HAProxy */
	unsigned rise, fall;
	bool check_ssl;            /* the check's connection is TLS */
	bool tls_used;             /* check_ssl, or a connect step of the backend has ssl: `tls` is complete */
	struct model_tls tls;
	bool agent;                /* agent-check */
	struct endpoint agent_at;  /* complete when agent is set */
	uint32_t agent_inter_ms;
	char *agent_send;          /* NULL = nothing */
	char *track;               /* "BACKEND/SERVER" whose state this one shares; NULL = its own */
	uint32_t slowstart_ms;     /* 0 = none */
	unsigned flap_count;       /* flap-damping: after so many downs within flap_ms ...; 0 = off */
	uint32_t flap_ms;          /* ... it must be well for as long before it is up */
	uint8_t quic_id[MODEL_QUIC_ID_MAX]; /* backend.quic_length bytes of it */
	struct model_origins origins; /* of the line, and of default-server */
	struct model_place place;
};

/* A check made by a plugin. `words` is what goes to it: "NAME\0PASSWORD\0WORD\0...", count texts in all. */
struct model_plugin_check {
	char *words;
	size_t length;
	unsigned count;
	char *password_file;       /* where the password was read from; NULL = there is none */
	struct model_place place;
};

/* mysql-check: what a server has to be among the servers of its backend. Decided by health/roles.c. */
enum model_role { MODEL_ROLE_ANY, MODEL_ROLE_PRIMARY, MODEL_ROLE_REPLICA };

struct model_roles {
	enum model_role role;
	bool or_primary;           /* replica: the primary too, while no replica is fit */
	bool keep;                 /* on-conflict keep: the writer in service stays; else none serves */
	bool weight_by_lag;
	unsigned max_writers;
	uint32_t max_lag_ms;       /* 0 = no bound, but the lag must be known */
	uint32_t recover_lag_ms;   /* 0 = as max_lag_ms */
};

struct model_backend {
	char *name;
	enum model_mode mode;
	enum model_balance balance;
	enum model_forward forward;
	enum model_all_down on_all_down;
	bool all_backups;          /* option allbackups */
	uint32_t connect_timeout_ms; /* life of a half-open connection; limit of a check's connect */
	uint32_t server_timeout_ms; /* timeout server; default 1 h */
	uint32_t tunnel_timeout_ms; /* timeout tunnel, which wins over client and server; 0 = not set */
	uint32_t idle_timeout_ms;  /* the longest model_idle_timeout_ms() of its services; never 0 */
	uint32_t check_timeout_ms; /* timeout check; 0 = not set */
	bool flow_peers;           /* flows peers: records of its connections travel */
	unsigned quic_length;      /* quic-lb: bytes of the servers' quic_id; 0 = none */
	unsigned quic_config;      /* config rotation, 0 .. MODEL_QUIC_CONFIG_MAX */
	uint32_t udp_persist_ms;   /* udp-persist: pause after which a UDP flow is forgotten; 0 = not set */
	enum model_check check;
	bool check_datagram;       /* MODEL_CHECK_SCRIPT over UDP: option udp-check */
	bool check_http;           /* MODEL_CHECK_SCRIPT whose answers are HTTP's: several http-check lines */
	struct model_http_check http;
	struct vec(struct model_check_step) steps; /* MODEL_CHECK_SCRIPT */
	struct model_dns_check dns;
	struct model_external_check external;
	struct model_plugin_check plugin; /* MODEL_CHECK_PLUGIN */
	struct model_roles roles;
	unsigned panic_percent;    /* panic-threshold; 0 = none */
	struct vec(struct model_server) servers;
	struct vec(struct model_source) sources;
	struct vec(struct model_tunnel_source) tunnel_sources; /* at most one a family; none: the interface's own address */
	struct model_origins origins;
	struct model_place place;
};

/* Addresses by prefix; bits behind the length are zero. */
struct model_prefix {
	struct addr addr;
	uint8_t length;
};

/* A list of addresses that rules name: a file's, or those written in a line (name "#N"). */
struct model_acl {
	char *name;
	bool file;
	struct vec(struct model_prefix) prefixes;
};

/* tcp-request connection reject: whoever is in one of the lists, or, negated, in none of them. */
struct model_rule {
	bool negated;
	size_t lists[MODEL_RULE_LISTS_MAX]; /* indices into model.acls */
	size_t list_count;
	char *text;                /* "if !{ src -f FILE }" */
	struct model_place place;
};

/* A frontend's rules; frontends with equal ones share a policy. Rejected is whom one of them rejects. */
struct model_policy {
	struct vec(struct model_rule) rules;
};

/* How many connections a source may open; a source is an address's prefix. */
struct model_rate {
	bool used, v6;             /* v6: the table is of `type ipv6` */
	uint32_t max, period_ms;   /* at most so many in that time */
	uint8_t length4, length6;
	struct model_place place;
};

/* Where a service's address is brought up while its servers are fit, and taken down when they are not. */
struct model_announce {
	char interface[16];        /* "" = nowhere: others look after the address */
	unsigned need;             /* servers that must take new connections; 0 = none */
	uint32_t wait_ms;          /* between the withdrawal and the end of steering, when the agent stops */
};

/*
 * One bind of a frontend or listen section: an address, one or more ports of it, a protocol. `bind` lists and port
 * ranges that share one bind line and address stay one service each address; `:: v4v6` gives two (one a family).
 */
struct model_service {
	char *name; /* unique: FRONTEND[/NAME of the bind], and /[udp@]ADDR:PORT behind it where that fits several */
	char *frontend;
	bool any_addr; /* `*`, an empty address, 0.0.0.0 or `::`: all addresses of the attached interfaces */
	struct addr addr;          /* family always set; bytes zero when any_addr */
	uint16_t port_low, port_high; /* inclusive, host order; 1 and 65535: model_service_has_all_ports() */
	enum model_protocol protocol;
	uint32_t client_timeout_ms; /* timeout client of the frontend; default 1 h. See model_idle_timeout_ms() */
	size_t backend;            /* index into model.backends */
	size_t policy;             /* 1 + index into model.policies; 0 = everybody may */
	struct model_rate rate;
	struct model_announce announce;
	struct model_origins origins; /* of its frontend */
	struct model_place place;
};

struct model_interface {
	char name[16];             /* IFNAMSIZ */
	enum model_xdp_mode mode;
	unsigned priority;         /* SHARED: in libxdp's dispatcher; lower ones run earlier */
	struct model_place place;
};

struct model_stats_socket {
	char *path;                /* NULL = the default path */
	mode_t mode;               /* default 0660 */
	uid_t uid;                 /* (uid_t)-1 = unchanged */
	gid_t gid;                 /* (gid_t)-1 = unchanged */
	enum model_level level;    /* what a peer that is not root may do; default user. Root is always admin */
};

/* One `log` line of global: where events of this weight go, as RFC 3164 datagrams or as lines. */
enum model_log_kind { MODEL_LOG_SOCKET, MODEL_LOG_UDP, MODEL_LOG_STDOUT, MODEL_LOG_STDERR };

struct model_log {
	enum model_log_kind kind;
	char *path;                /* MODEL_LOG_SOCKET: a datagram socket such as /dev/log */
	struct endpoint at;        /* MODEL_LOG_UDP; port 514 unless given */
	unsigned length_max;       /* bytes of a line, default 1024 */
	unsigned facility;         /* syslog's number, not shifted: 0 kern .. 23 local7 */
	unsigned level;            /* events up to this level: 0 emerg .. 7 debug (default) */
	unsigned level_min;        /* what is graver is sent as this level; default 0 */
	struct model_place place;
};

/* One balancer of a peers section. */
struct model_peer {
	char *name;
	struct endpoint at;
	struct vec(struct model_source) sources; /* its own addresses towards servers (nat) */
	struct model_place place;
};

/* Whom records of connections are exchanged with. */
struct model_peers {
	char *name;                /* NULL = there is no such section */
	struct vec(struct model_peer) all;
	size_t local;              /* which of them this one is */
	struct endpoint bind;      /* where it listens */
	struct model_place bind_place; /* line 0 = at its own peer line's address */
	struct model_place place;
};

enum model_death { MODEL_DEATH_KEEP, MODEL_DEATH_PASS, MODEL_DEATH_WITHDRAW };

struct model_global {
	struct vec(struct model_interface) interfaces;
	struct model_stats_socket stats;
	char *hash_secret_file;    /* NULL = generated in the state directory */
	bool external_check;       /* commands may be started */
	enum model_death on_agent_death;
	uint32_t watchdog_ms;      /* a loop that stands still for so long ends the process; 0 = off */
	uint32_t flows4, flows6;   /* records that the flow tables have room for */
	char *state_dir;           /* NULL = /var/lib/alwayson */
	struct endpoint metrics;   /* where metrics and status page are served; port 0 = nowhere */
	struct vec(struct model_log) logs; /* none = stderr only */
	char *localpeer;           /* NULL = the host's name */
	struct model_peers peers;
	struct model_announce announce; /* of the services whose section says nothing; need 1 */
	struct model_origins origins;
};

struct model {
	struct model_global global;
	struct vec(struct model_backend) backends;
	struct vec(struct model_service) services;
	struct vec(struct model_acl) acls;
	struct vec(struct model_policy) policies;
	struct vec(char *) files;  /* names that places point into */
};

void model_free(struct model *m); /* takes NULL */
/* The list called so: a file's name, or "#N", the N-th list whatever it is. Returns its index, or -ENOENT. */
int model_find_acl(const struct model *m, const char *name);
/* Prefixes of all policies, a list counted as often as policies name it. */
void model_count_prefixes(const struct model *m, size_t *ret4, size_t *ret6);
/* Looks up "BACKEND/SERVER". Returns the server and fills *ret_backend (may be NULL), or NULL. */
const struct model_server *model_find_server(const struct model *m, const char *path,
					     const struct model_backend **ret_backend);
/* Where a backend's own ports towards servers come from: its own pools, else its peer's; none = the interface's address. */
const struct model_source *model_sources(const struct model *m, const struct model_backend *b, size_t *ret_count);
/* Do the peers' own addresses move from one to the other? */
bool model_moves_sources(const struct model *m);
/*
 * A backend whose own ports towards servers (forward nat) lie in low..high, the kernel's range for sockets that don't
 * care, and those ports; NULL = none.
 */
const struct model_backend *model_find_port_clash(const struct model *m, uint16_t low, uint16_t high, uint16_t *ret_low,
						  uint16_t *ret_high);
/* The whole range 1-65535: one entry of the table, and any other bind of the address and protocol beats it. */
bool model_service_has_all_ports(const struct model_service *s);
/* Idle time of a remembered flow of this service: timeout tunnel, else the longer of client and server. */
uint32_t model_idle_timeout_ms(const struct model *m, const struct model_service *s);

const char *model_balance_name(enum model_balance b);
bool model_balance_deals(enum model_balance b); /* from a sequence; else it hashes */
const char *model_forward_name(enum model_forward f);
const char *model_protocol_name(enum model_protocol p);
const char *model_all_down_name(enum model_all_down a);
const char *model_xdp_mode_name(enum model_xdp_mode m);
const char *model_init_state_name(enum model_init_state s);
const char *model_check_name(enum model_check c);
const char *model_role_name(enum model_role r);
const char *model_death_name(enum model_death d);
/* Is this a name that can be asked for: labels of 1 to 63 bytes, MODEL_DNS_NAME_MAX in all, a last dot set aside? */
bool model_dns_name_is_valid(const char *name);
/* Is this a list of comma-separated protocol names that fits into a TLS handshake (RFC 7301)? */
bool model_alpn_is_valid(const char *list);
/* "A", "SOA", ...; NULL for a type that has no name here. */
const char *model_dns_type_name(uint16_t type);
/* 0, or -EINVAL. */
int model_dns_type_parse(const char *name, uint16_t *ret);

/* The whole model as JSON, for `alwayson show config`: a new reference, or NULL when out of memory. */
struct json_t;
struct json_t *model_to_json(const struct model *m);
/* The same with "origins" in global, services, backends and servers: word -> place. For `alwayson explain config`. */
struct json_t *model_to_json_explained(const struct model *m);
/* The same in parts: all but "backends", and one of these. */
struct json_t *model_head_to_json(const struct model *m, bool explained);
struct json_t *model_backend_to_json(const struct model *m, size_t backend, bool explained);

#endif
