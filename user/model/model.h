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
	MODEL_SOURCES_MAX = 16,   /* source-pool lines of one backend */
	MODEL_INTERFACES_MAX = 32,
};

enum model_protocol { MODEL_TCP, MODEL_UDP };
enum model_mode { MODEL_MODE_TCP, MODEL_MODE_HTTP };
enum model_balance { MODEL_ROUNDROBIN, MODEL_MAGLEV, MODEL_SOURCE };
enum model_forward { MODEL_NAT, MODEL_DSR };
enum model_all_down { MODEL_REJECT, MODEL_DROP };
enum model_check { MODEL_CHECK_TCP, MODEL_CHECK_HTTP };
enum model_xdp_mode { MODEL_XDP_AUTO, MODEL_XDP_NATIVE, MODEL_XDP_GENERIC, MODEL_XDP_SHARED };
enum model_level { MODEL_LEVEL_USER, MODEL_LEVEL_ADMIN };
/* What a server's state is before its first check result; HAProxy's init-state (3.1). */
enum model_init_state { MODEL_INIT_UP, MODEL_INIT_DOWN, MODEL_INIT_FULLY_UP, MODEL_INIT_FULLY_DOWN };

/* Where a thing was written, for messages and for `explain config`. line 0 = a built-in default or the command line. */
struct model_place {
	const char *file; /* owned by the model */
	unsigned line;
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
};

/* Own address and ports towards backends, for forward nat. addr.family 0 = the interface's address, found by route. */
struct model_source {
	struct addr addr;
	uint16_t port_low, port_high; /* inclusive */
	struct model_place place;
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
	struct endpoint check_at;  /* where the check goes; complete when check is set */
	uint32_t inter_ms, fastinter_ms, downinter_ms; /* the latter two: 0 = as inter, like HAProxy */
	unsigned rise, fall;
	struct model_place place;
};

struct model_backend {
	char *name;
	enum model_mode mode;
	enum model_balance balance;
	enum model_forward forward;
	enum model_all_down on_all_down;
	bool all_backups;          /* option allbackups */
	uint32_t connect_timeout_ms; /* life of a half-open connection; limit of a check's connect */
	uint32_t idle_timeout_ms;  /* timeout tunnel, else max(client, server); default 1 h */
	uint32_t check_timeout_ms; /* timeout check; 0 = not set */
	enum model_check check;
	struct model_http_check http;
	struct vec(struct model_server) servers;
	struct vec(struct model_source) sources;
	struct model_place place;
};

/*
 * One bind of a frontend or listen section: an address, one or more ports of it, a protocol. `bind` lists and port
 * ranges that share one bind line and address stay one service each address; `:: v4v6` gives two (one a family).
 */
struct model_service {
	char *name;                /* unique: FRONTEND, or FRONTEND/ADDR:PORT where a frontend has several binds */
	char *frontend;
	bool any_addr;             /* `*`, an empty address, 0.0.0.0 or `::`: every address of the attached interfaces */
	struct addr addr;          /* family always set; bytes zero when any_addr */
	uint16_t port_low, port_high; /* inclusive, host order */
	enum model_protocol protocol;
	uint32_t client_timeout_ms; /* timeout client of the frontend: idle time together with the backend's */
	size_t backend;            /* index into model.backends */
	struct model_place place;
};

struct model_interface {
	char name[16];             /* IFNAMSIZ */
	enum model_xdp_mode mode;
	struct model_place place;
};

struct model_stats_socket {
	char *path;                /* NULL = the default path */
	mode_t mode;               /* default 0660 */
	uid_t uid;                 /* (uid_t)-1 = unchanged */
	gid_t gid;                 /* (gid_t)-1 = unchanged */
	enum model_level level;    /* what a peer that is not root may do; default user. Root is always admin */
};

struct model_global {
	struct vec(struct model_interface) interfaces;
	struct model_stats_socket stats;
	char *hash_secret_file;    /* NULL = generated in the state directory */
	char *state_dir;           /* NULL = /var/lib/alwayson */
	char *log;                 /* the log line's words as given; NULL = stderr only */
};

struct model {
	struct model_global global;
	struct vec(struct model_backend) backends;
	struct vec(struct model_service) services;
	struct vec(char *) files;  /* names that places point into */
};

void model_free(struct model *m); /* takes NULL */
/* Looks up "BACKEND/SERVER". Returns the server and fills *ret_backend (may be NULL), or NULL. */
const struct model_server *model_find_server(const struct model *m, const char *path,
					     const struct model_backend **ret_backend);
/* Idle time of a remembered flow of this service. */
uint32_t model_idle_timeout_ms(const struct model *m, const struct model_service *s);

const char *model_balance_name(enum model_balance b);
const char *model_forward_name(enum model_forward f);
const char *model_protocol_name(enum model_protocol p);

#endif
