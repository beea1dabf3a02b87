/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server from the inside of health/: its settings, its state, its timer, its running check. Seen by the files of this
 * room only. All results go through server.c's one funnel.
 */
#ifndef HEALTH_SERVER_H
#define HEALTH_SERVER_H

#include "health/agent_check.h"
#include "health/attempt.h"
#include "health/damping.h"
#include "health/health.h"
#include "health/history.h"
#include "health/pool.h"
#include "health/roles.h"
#include "health/schedule.h"
#include "health/tally.h"

/* What the configuration says of a server. Replaced as a whole by health_configure(). */
struct server_settings {
	char *path;      /* "BACKEND/SERVER", and behind its NUL what `backend` points at */
	size_t index;    /* of its backend in the model */
	const char *backend, *server; /* parts of `path` */
	struct endpoint at;
	bool check, disabled, backup;
	enum model_init_state init_state;
	unsigned weight, rise, fall;
	unsigned flap_count;
	uint32_t flap_ms, slowstart_ms;
	char *track;     /* path of the server whose state it shares; NULL = its own */
	struct schedule schedule;
	struct attempt_target target;
	struct agent_check *agent; /* these two: until its server takes them */
	struct role_member *role;
};

/* What others act on: what is to be told of when it changes. */
struct server_status {
	enum health_check_state check;
	enum health_admin_state admin;
	unsigned weight;
	bool up, held, accepts_new;
};

struct health_server {
	struct server_settings settings;
	struct health *health;
	struct health_server *hash_next;
	bool claimed;            /* during health_configure(): the new model has it too */

	struct tally tally;
	bool admin_is_override, weight_is_override;
	enum health_admin_state admin_override;
	unsigned weight_override;

	struct server_status told; /* what others know; its part in the pool's counts */
	bool disabled_by_404;    /* up, but its last check says that it wants no new connections: disable-on-404 */
	bool held;               /* down, but kept in service by its pool */
	uint64_t down_ms;        /* when it went down, having been up before; 0 = it was never up, or is */
	struct health_server *tracked, *trackers, *tracker_next; /* whom it follows; who follows it */
	bool rippling;           /* it is to be looked at, since another's change may have changed it: */
	struct health_server *ripple_next;
	struct damping damping;
	struct history history;
	struct agent_check *agent; /* NULL = none */
	struct event *ramp;      /* the next step of a slowstart; NULL = there never was one */
	uint64_t ramp_ms;        /* its begin; 0 = none is under way */
	unsigned ramp_told;      /* the percentage that others know */
	bool cold;               /* it has been down or in maint: coming back it starts slowly */

	bool awaited;            /* the first round waits for its check to end */
	bool settling;           /* its next check starts early, to leave the crowd of the first round */
	struct event timer;      /* the next check's start */
	uint64_t started_ms;     /* of the last check; 0 = none yet */
	uint64_t started_us;
	uint64_t next_ms;        /* of the next check, while the timer runs */
	struct attempt *attempt; /* NULL = none is under way */
	struct role_member *role; /* what it is among the others; NULL = its checks are no plugin's, nor ever were */

	uint64_t changed_at_ms, checks, failures, transitions;
	uint32_t last_duration_us;
	char *last_result;       /* NULL = none yet; see health_server_last() */
};

struct health_index {
	struct health_server **buckets;
	size_t mask;
};

struct health {
	struct event_base *base;
	struct health_ops ops;
	struct health_server **servers; /* in the model's order, backend by backend */
	size_t count;
	struct health_pool *pools;      /* by backend */
	size_t backends;
	const struct attempt_elsewhere *elsewhere;
	const struct attempt_via *via;
	struct health_server *ripples;
	struct event ripple;            /* looks at them from the loop */
	struct health_index index;
	size_t awaited;                 /* servers whose first check the round waits for */
	bool round_open;                /* on_first_round is owed */
	struct event round;             /* tells of the round's end from the loop, never from within a call */
	uint64_t random;
};

/* Takes over the settings. NULL when out of memory. */
struct health_server *health_server_new(struct health *h, struct server_settings *settings);
void health_server_free(struct health_server *s);
/* The result of its last check in words; "" = none yet. */
const char *health_server_last(const struct health_server *s);
/* Without memory for it the former text stays. */
void health_server_set_last(struct health_server *s, const char *text);
void server_settings_done(struct server_settings *s);

struct server_status health_server_status(const struct health_server *s);
void health_server_view(const struct health_server *s, struct health_view *ret);
/*
 * Something about it may have changed: what follows for its pool and for those that track it is seen to, and others are
 * told if there is something to tell. Last act of its callers: the callback may reconfigure.
 */
void health_server_notify(struct health_server *s, const char *reason);
/* The same, where its share may have moved alone. */
void health_server_moved(struct health_server *s, const char *reason, bool share);
/* After a configuration or restored states: all servers are settled, the pools counted anew. */
void health_settle(struct health *h);
/* Of the event `ripple`. */
void health_on_ripple(evutil_socket_t fd, short what, void *arg);

/* Another's change may have changed it: it is looked at from the loop. */
void health_server_ripple(struct health_server *s);
void health_ripple_soon(struct health *h);

/* server_role.c: a check by a plugin has ended; facts NULL = it found out nothing. */
void health_roles_result(struct health_server *s, bool passed, const struct role_facts *facts);
/* All roles of a backend anew; what changes for others than `but` ripples. */
void health_roles_decide(struct health *h, size_t backend, struct health_server *but);
bool health_server_has_role(const struct health_server *s);
/* It is not what its backend wants: no traffic, however well it is. */
bool health_server_is_misplaced(const struct health_server *s);
/* Puts the role into the last result's text, where that was a good one. */
void health_server_show_role(struct health_server *s);
void health_server_view_role(const struct health_server *s, struct health_view *ret);
/* The next backend whose conflict has begun or ended since the last call; false: there is none. */
bool health_next_conflict(struct health *h, struct health_conflict *ret);

bool health_server_is_checked(const struct health_server *s); /* check configured, and not in maint */
/* The next check starts in delay_ms; one under way is cancelled. */
void health_server_check_in(struct health_server *s, uint32_t delay_ms);
/* The next check starts now, unless one is under way. */
void health_server_check_soon(struct health_server *s);
/* The first round waits for the next check to end. */
void health_server_await(struct health_server *s);
void health_server_stop_checks(struct health_server *s);
/*
 * After a change of the admin state: maint stops the checks; who leaves it starts over like a new server. True in the
 * latter case: the caller sets the time of the first check.
 */
bool health_server_follow_maint(struct health_server *s, bool was_maint);
/* New timings: the check that is due never starts later than they say. */
void health_server_hasten(struct health_server *s);

/* Makes on_first_round follow, from the loop, once nothing is awaited. */
void health_round_open(struct health *h);
uint32_t health_random(struct health *h);
uint64_t health_wall_ms(void);

/* The index by path. Room for count servers is made at once, so that adding can't fail. 0 or -ENOMEM. */
int health_index_init(struct health_index *i, size_t count);
void health_index_done(struct health_index *i);
void health_index_add(struct health_index *i, struct health_server *s);
struct health_server *health_index_find(const struct health_index *i, const char *path);

#endif
