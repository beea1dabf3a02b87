/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything there is to say about the balancer, as plain numbers of one moment (or of the few ms in which a large one
 * is gathered). Filled by agent/monitor.c, written out by metrics/prometheus.c and web/status.c, which so know nothing
 * of maps, checks or the agent. Strings that do not belong to `names` are literals or are copied.
 */
#ifndef METRICS_SNAPSHOT_H
#define METRICS_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include <alwayson/abi.h>

#include "health/health.h"
#include "metrics/histogram.h"
#include "metrics/names.h"

enum snapshot_limit {
	SNAPSHOT_RESULT_MAX = 128,
	SNAPSHOT_ROLE_MAX = 96,
	SNAPSHOT_TEXT_MAX = 512,
};

struct snapshot_service {
	struct traffic traffic;
	uint32_t connections;
};

struct snapshot_backend {
	struct histogram checks;      /* how long they took, and how many there were */
	uint64_t slots;               /* 0 = it has none */
	uint32_t digest;              /* of who owns each slot, and of the secret: equal on balancers that agree */
	uint32_t up, accepting;       /* servers that are up, and those that take new connections */
	uint32_t misplaced;           /* servers that are well, but not what the backend wants */
	bool has_roles;               /* its checks tell what a server is: primary, replica, ... */
	bool conflict;                /* more of them take writes than may */
	uint32_t writers;
};

struct snapshot_server {
	struct traffic traffic;
	uint64_t checks, failures, transitions;
	uint64_t changed_at_ms;       /* wall clock; 0 = never */
	uint32_t connections;
	uint32_t half_open;
	uint32_t slots;               /* of its backend's */
	uint32_t ports_used, ports;   /* own ports towards it; 0 = none (dsr) */
	uint32_t duration_us;         /* of the last check */
	uint16_t weight, weight_configured;
	uint8_t check;                /* enum health_check_state */
	uint8_t admin;                /* enum health_admin_state */
	bool admin_is_override, weight_is_override;
	bool up, accepts_new, backup, resolved;
	bool held;                    /* down, but kept in service */
	bool damped;                  /* kept down, as it flaps */
	bool check_via;               /* checked via the service's address */
	bool misplaced;               /* well, but not what its backend wants */
	bool lag_known;
	uint32_t lag_ms;
	const char *role;             /* a literal, as in health_view; NULL = its checks do not tell */
	char role_text[SNAPSHOT_ROLE_MAX];
	char result[SNAPSHOT_RESULT_MAX]; /* of the last check; "" = none yet */
};

struct snapshot_interface {
	char name[16];
	const char *mode;             /* "native", "generic", "shared", "detached" */
	bool attached;
};

/* A service address that is brought up and withdrawn here. */
struct snapshot_announced {
	char address[ADDR_TEXT_MAX], interface[16];
	bool up;
	uint32_t need, fit;
	uint64_t changes;
};

/* A balancer that records of connections are exchanged with. */
struct snapshot_peer {
	char name[MODEL_NAME_MAX + 1];
	bool up, copied, heard;
	uint64_t heard_ms;            /* ago */
	uint64_t sent, received, sent_bytes, received_bytes, sent_records, send_failures, missing, copies;
	uint64_t drops[8], results[12];
};

struct snapshot_table {
	uint64_t used, capacity, connections;
};

/* What there is one of. */
struct snapshot_agent {
	const char *version;
	char name[64];                /* of the instance */
	uint64_t now_ms;              /* wall clock */
	uint64_t started_at_ms;       /* wall clock */
	bool ready;
	struct counter verdicts[VERDICT_MAX];
	uint64_t events[EVENT_MAX];
	struct snapshot_table flows4, flows6;
	uint64_t flows_expired, sweep_passes;
	uint64_t connections_reset;
	struct vec(struct snapshot_announced) announced;
	struct vec(struct snapshot_peer) peers;
	const char *const *peer_drops, *const *peer_results; /* labels of their counters, NULL at the end */
	uint64_t peer_strangers;
	bool withdrawn;               /* by the operator */
	struct snapshot_interface interfaces[MODEL_INTERFACES_MAX];
	size_t interface_count;
	uint32_t verified_instructions;
	bool taken_over;
	uint64_t attach_failures;
	uint64_t reloads, reloads_failed;
	bool reload_ok;               /* of the last one; true when there was none */
	uint64_t reload_at_ms;        /* 0 = none since start */
	char reload_error[SNAPSHOT_TEXT_MAX];
	struct histogram lateness;    /* of the event loop */
	uint64_t inconclusive;        /* checks that said nothing about their server */
	uint64_t overruns;            /* of what the kernel tells about the network */
	uint64_t stalls;              /* times it stood still for half the watchdog's time */
	uint64_t log_dropped, log_suppressed;
	uint64_t state_saves, state_failures;
	bool keeps_state;
	uint64_t cpu_us, resident_bytes, open_files, max_files;
	uint64_t http_requests, http_refused, http_evicted;
	uint32_t http_connections;
};

struct snapshot {
	struct names *names;          /* a reference; NULL = nothing is gathered yet */
	struct snapshot_agent agent;
	struct snapshot_service *services;
	struct snapshot_backend *backends;
	struct snapshot_server *servers;
	size_t backends_done, servers_done, services_done; /* how far the gathering has got */
};

/* Makes room for what the names name and starts over. Takes a reference. 0 or -ENOMEM. */
int snapshot_begin(struct snapshot *s, struct names *names);
void snapshot_done(struct snapshot *s);

/* The states' names as they stand in labels and JSON. */
extern const char *const snapshot_checks[HEALTH_DOWN + 1], *const snapshot_admins[HEALTH_MAINT + 1];

#endif
