/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of every server: check state, admin state, effective weight; and the checks that find it out.
 * Owned by the agent, which wires on_change to the reconciler. Health never touches a map and never logs: events say
 * what happened, in words. Only health decides up and down.
 * Runs on the agent's event loop and never blocks it.
 */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/model.h"

struct event_base;
struct health;

enum health_check_state {
	HEALTH_UNCHECKED, /* no check configured: always up */
	HEALTH_INIT,      /* no result yet: takes no traffic; the first result makes it up or down at once */
	HEALTH_UP,
	HEALTH_DOWN,
};

enum health_admin_state { HEALTH_READY, HEALTH_DRAIN, HEALTH_MAINT }; /* in order of strictness */

enum health_limit {
	HEALTH_HISTORY_MAX = 16,
	HEALTH_REASON_MAX = 192,
	HEALTH_ERROR_MAX = 512,
	HEALTH_RECENT_MS = 60000,    /* last-known, panic-threshold: who went down longer before is not kept */
	HEALTH_PANIC_MARGIN = 10,    /* percent above panic-threshold at which the panic is over */
};

/* A server's state as shown to people and to the reconciler. Pointers live until the next health_configure(). */
struct health_view {
	const char *backend, *server;
	enum health_check_state check;
	enum health_admin_state admin;
	bool admin_is_override;      /* set at run time, not by the file */
	unsigned weight;             /* in force, but for share_percent */
	bool weight_is_override;
	unsigned weight_configured;
	unsigned share_percent;      /* 1..100: the part of the weight it has now (slowstart, agent-check) */
	bool up;                     /* unchecked or up, no agent says down, and not maint */
	bool held;                   /* down, but kept in service: panic-threshold, on-all-down last-known */
	bool accepts_new;            /* up or held, ready, weight > 0; that it is a backup is the caller's matter */
	bool damped;                 /* flap-damping keeps it down */
	const char *track;           /* whose state it shares; NULL = its own */
	bool agent;                  /* has an agent-check; what follows is what its agent said last */
	bool agent_down;
	enum health_admin_state agent_admin;
	unsigned agent_percent;      /* 100 unless it said otherwise */
	char agent_result[128];      /* as last_result; "" = none yet */
	unsigned rise_count, fall_count; /* consecutive results towards the next transition */
	uint64_t changed_at_ms;      /* wall clock, ms since the epoch: check or admin last changed; 0 = never */
	uint64_t checks, failures, transitions; /* since start; transitions of the check state */
	uint32_t last_duration_ms;
	uint32_t last_duration_us;   /* the same, finer */
	char last_result[128];       /* "L4OK", "L7STS/503: ...", "L4CON: Connection refused" ...; "" = none yet */
	bool has_role;               /* checked by a plugin that tells; what follows is of the last check that did */
	bool misplaced;              /* not what its backend wants: check is DOWN for that, not for what checks find */
	const char *role;            /* "primary", "replica", "cluster", "unknown" */
	char role_text[96];          /* what it is, and why it does not serve */
	bool lag_known;
	uint32_t lag_ms;
	uint64_t server_id;          /* the database's own; 0 = not known */
};

/* What a server changed to. */
struct health_transition {
	uint64_t at_ms;              /* wall clock */
	uint64_t lasted_ms;          /* until the next one, or until now */
	enum health_check_state check;
	enum health_admin_state admin;
	bool up, held, accepts_new;
	char reason[96];
};

struct health_event {
	const char *backend, *server;
	const struct health_view *view; /* after the event */
	bool went_up, went_down;        /* effective up changed; who is held does not go down */
	char reason[HEALTH_REASON_MAX]; /* in words */
};

/* More servers of a backend take writes than may: mysql-check's max-writers. */
struct health_conflict {
	const char *backend;
	bool begins;                    /* false: it is over */
	size_t writers;                 /* how many take writes */
	char kept[HEALTH_REASON_MAX];   /* names of those in service; "" = none is */
};

struct health_ops {
	/*
	 * A server's check state, admin state, up, held, accepts_new or weight changed: from the loop after a check,
	 * or from within an admin verb. Several in one turn of the loop are several calls. It may call anything but
	 * health_free(); health_configure() ends the life of the event's strings.
	 */
	void (*on_change)(const struct health_event *e, void *ctx);
	/*
	 * Every server that is checked has had its first check (a local failure such as EMFILE is one too, so that
	 * it can't hold readiness up for ever). Once after each health_configure(), from the loop, never from within
	 * a call. Several health_configure() before it are answered by one.
	 */
	void (*on_first_round)(void *ctx);
	/*
	 * A share_percent moved, and nothing else that is worth a line: the tables are to follow. From the loop. May be
	 * NULL. It may do what on_change may.
	 */
	void (*on_share)(void *ctx);
	/*
	 * A check has ended, whatever it found; may be NULL. backend is its index in the model given last, result is in
	 * HAProxy's words; inconclusive: the balancer's own trouble, it says nothing about the server. For counting and
	 * telling: it must not call back into health.
	 */
	void (*on_result)(size_t backend, const char *server, const char *result, bool inconclusive, uint32_t duration_us,
			  void *ctx);
	/*
	 * Has the interface towards an address had no carrier, now or since since_ms (CLOCK_MONOTONIC)? A check that
	 * failed meanwhile says nothing about the server. May be NULL: never. It must not call back into health.
	 */
	bool (*was_cut_off)(const struct addr *address, uint64_t since_ms, void *ctx);
	/* A conflict of writers begins or ends. From the loop. May be NULL. It may do what on_change may. */
	void (*on_conflict)(const struct health_conflict *c, void *ctx);
	void *ctx;
};

/* Creates it without servers. NULL when out of memory. */
struct health *health_new(struct event_base *base, const struct health_ops *ops);
void health_free(struct health *h); /* takes NULL; checks in flight are cancelled */

/*
 * Takes a new model: a server of the same BACKEND/SERVER name, address and port keeps its check state, counts, history
 * and run-time overrides; changed timings apply from its next check, which comes no later than they say; one whose
 * check asks something else or elsewhere (port, addr, httpchk, expect) keeps its state and is checked anew at once; one
 * whose `check` is new stays up until its first result. A new one starts at HEALTH_INIT (or as init-state says) and is
 * checked at once. Removed servers are forgotten. on_change is called for none of it: the caller reconciles after.
 * Nothing of the model is referred to afterwards. 0 or -errno; on failure nothing has changed.
 */
int health_configure(struct health *h, const struct model *m);

/*
 * Can the files that the checks of a model name (ca-file, crt) be used? To be asked before anything is changed:
 * health_configure() fails without words otherwise. 0, -ENOMEM, or -EINVAL with "FILE:LINE: what" in error.
 */
int health_check_files(const struct model *m, char error[HEALTH_ERROR_MAX]);

/* State of server `server` of backend `backend` (indices of the model given last). */
void health_view(const struct health *h, size_t backend, size_t server, struct health_view *ret);
/* Do more servers of a backend take writes than may? *ret_writers: how many do. */
bool health_conflict(const struct health *h, size_t backend, size_t *ret_writers);

/* Its last transitions, the newest first; returns how many, at most HEALTH_HISTORY_MAX and max. */
size_t health_history(const struct health *h, size_t backend, size_t server, struct health_transition *ret,
		      size_t max);

struct attempt_elsewhere;
/* Who makes the checks that are not made over a connection of ours (attempt.h). To be set before health_configure(). */
void health_set_elsewhere(struct health *h, const struct attempt_elsewhere *e);
struct attempt_via;
/* Who sends checks via a service's address. Likewise. */
void health_set_via(struct health *h, const struct attempt_via *v);

/*
 * Admin verbs; path is BACKEND/SERVER. 0, -ENOENT, or -ERANGE (weight > 256). on_change is called from within where
 * something changed. `ready` clears drain, maint and (HAProxy: a drained weight 0) a weight override of 0. A server
 * that leaves maint starts over like a new one. A weight equal to the file's ends the override.
 */
int health_set_admin(struct health *h, const char *path, enum health_admin_state state);
int health_set_weight(struct health *h, const char *path, unsigned weight);

/*
 * What should outlive the agent: overrides and last check states, as JSON (the format is in persist.c). 0 or -ENOMEM.
 */
int health_save(const struct health *h, json_t **ret);
/*
 * Takes saved state over, for servers of the same name, address and port; to be called right after the first
 * health_configure(). A restored check state holds until the first new result, which decides alone. Unknown servers
 * are passed over. on_change is called for none of it. 0, or -EINVAL (health_save() can't have written it; nothing has
 * changed).
 */
int health_restore(struct health *h, const json_t *from);

/* Somebody who has seen whether a server was given new connections before this agent came. False: he can't tell. */
struct health_witness {
	bool (*saw)(size_t backend, size_t server, bool *ret_serves, void *ctx);
	void *ctx;
};
/*
 * What was saved may be older than what an earlier agent did last, or lost: where they differ, the witness is right,
 * until the first new result. To be called after health_restore(). Admin states and weights stay. on_change is called for
 * none of it.
 */
void health_assume(struct health *h, const struct health_witness *w);

#endif
