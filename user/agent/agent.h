/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent from the inside: everything it owns, and what its files call of each other. Only agent/ wires rooms together.
 *   main.c       command line, start, stop
 *   agent.c      the life of the parts and the events between them
 *   interfaces.c which NICs are steered on
 *   shared.c     libxdp's answers, where others steer there too
 *   reload.c     a new configuration
 *   monitor.c    what is served at the port of `metrics`
 *   notices.c    what the operator ought to know of configuration and host
 *   watch.c      who waits for an event
 *   peers.c      records of connections go to other balancers, and come from them
 *   announce.c   service addresses brought up and taken down
 *   told.c       what health tells, put down and passed on
 *   drained.c    who waits for a server's last connection
 *   verbs.c, show.c   the control socket's verbs
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <event2/util.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/log.h"
#include "agent/options.h"
#include "agent/reconcile.h"
#include "agent/state.h"
#include "agent/sweep.h"
#include "base/vec.h"
#include "config/config.h"
#include "control/control.h"
#include "dataplane/dataplane.h"
#include "dataplane/grace.h"
#include "health/health.h"
#include "model/model.h"
#include "net/challenge.h"
#include "net/net.h"

struct event;
struct event_base;

enum agent_limit {
	AGENT_ERROR_MAX = 512,
	AGENT_FIRST_ROUND_MS = 10000, /* a start waits no longer than this for the first round of checks ... */
	AGENT_WAYS_MS = 1000,         /* ... and after it no longer than this for the servers' neighbours */
	AGENT_BEAT_MS = 200,          /* how often the program is told that the agent lives */
	AGENT_INCONCLUSIVE_MS = 10000, /* checks that can't be made are told of no more often than that */
	AGENT_RESTART_LEAVE_MS = 30000, /* how long it need not be told while the agent becomes another program */
	AGENT_TAKEOVER_ROUND_MS = 2000, /* the same where an earlier agent's knowledge holds until there is a newer one */
};

/* A NIC that is, or ought to be, steered on. */
struct agent_interface {
	char name[16];
	enum model_xdp_mode mode;
	bool configured;        /* the file or -i names it now; else `alwayson load` brought it */
	bool from_file;         /* ... or did once */
	char renamed[16];       /* to this, as was told; "" = it is not */
	bool wanted;            /* false: `alwayson unload` took it away */
	bool refused;           /* by libxdp: it is not asked again before something changes */
	bool let_go;            /* for libxdp's dispatcher, which it may not come into ... */
	bool kept_alone;        /* ... and did not: it is not let go again for the same configuration */
	bool told_unshared;     /* it is steered on otherwise than the configuration says */
	unsigned priority;      /* SHARED: in libxdp's dispatcher */
};

struct agent_reload {
	uint64_t at_ms;         /* wall clock; 0 = none since start */
	bool ok;
	uint64_t count, failures; /* since start */
	char error[AGENT_ERROR_MAX];
};

struct agent_drain_wait;
struct announce;
struct bases;
struct probing;
struct plugins;
struct program;
struct reload;
struct restart;
struct shared;
struct peers;
struct monitor;
struct watchdog;
struct watches;
struct explainer;
struct tracer;

/* Of a NIC: what was switched off for the sake of VLAN tags. */
struct vlan_offloads {
	unsigned ifindex;
	unsigned off; /* bits: vlan.c */
};

struct agent {
	const struct agent_options *options;
	struct event_base *base;
	struct log *log;
	struct state *state;    /* NULL: the directory can't be used; nothing is kept */
	struct model *model;
	struct config_report report; /* of the configuration in force */
	struct hash_key secret;
	struct dataplane *dataplane;
	struct grace *grace;
	struct net *net;
	struct reconcile *reconcile;
	struct sweep *sweep;
	struct challenge *challenge; /* ends connections */
	struct health *health;
	struct announce *announce;
	struct peers *peers, *peers_next; /* with whom records are exchanged; next: not yet speaking. NULL = nobody */
	struct bases *bases;    /* being built since the start; NULL = done, or there were none */
	struct plugins *plugins; /* who runs the checks that plugins make */
	struct shared *shared;  /* NULL: nobody asks libxdp */
	struct probing *probing; /* who sends checks via a service's address */
	struct control *control;
	struct monitor *monitor;
	struct watches *watches;
	struct watchdog *watchdog; /* NULL before the loop turns, and after */
	struct tracer *tracer; /* NULL until one is asked for */
	struct explainer *explainer; /* NULL until a packet is to be explained */
	struct event *run_event, *more, *beat, *first_round_timer, *stop_timer, *signals[4];
	struct vec(struct agent_interface) interfaces;
	struct vec(struct vlan_offloads) vlan_offloads; /* vlan.c */
	struct vec(char *) notices;
	struct agent_drain_wait *waits;
	struct agent_reload last_reload;
	struct reload *reload;  /* under way; else NULL */
	struct program *program; /* the same; the first of several */
	struct restart *restart; /* the same */
	uint64_t attach_failures; /* since start */
	uint64_t started_ms;    /* monotonic */
	uint64_t inconclusive_told_ms; /* the same; 0 = never */
	bool round_over;        /* every checked server has its first result */
	bool start_is_late;     /* no longer waited for what is missing of it */
	bool save_due;          /* state has changed in this turn of the loop */
	bool attaching;         /* the first round is over, interfaces are attached ... */
	bool running;           /* ... and packets are steered */
	bool detach;            /* asked to stop: nothing is left in the kernel */
	bool leave;             /* asked to make room for the next agent: all is */
	int exit_code;
};

uint64_t agent_wall_ms(void);
uint64_t agent_monotonic_ms(void);

/* agent.c */
/* Makes all parts of a loaded configuration. 0, or -errno with a line for people. */
int agent_start(struct agent *a, char error[AGENT_ERROR_MAX]);
/* The maps are made true in the loop's next turn. */
void agent_run_soon(struct agent *a);
void agent_save_state(struct agent *a);
/* An interface can't be attached. At a fresh start that is its end. */
void agent_attach_failed(struct agent *a, const char *text);

/* stop.c */
void agent_stop(struct agent *a);
/* Of SIGTERM and SIGINT, and of SIGUSR2: `ctx` is the agent. */
void stop_asked(evutil_socket_t fd, short what, void *ctx);
void leave_asked(evutil_socket_t fd, short what, void *ctx);

/* interfaces.c */
/* Takes those of the model and of -i. 0 or -ENOMEM. */
int interfaces_configure(struct agent *a);
/* All ports of bonds that there are. */
struct interfaces_ports vec(struct dataplane_port);
void interfaces_ports(const struct net *n, struct interfaces_ports *ret);
/*
 * Attaches what ought to be and is there, leaves what ought not; what fails is told of and counted. NICs that libxdp has to
 * be asked for are attached, or free again, when it has answered (shared.h).
 */
void interfaces_apply(struct agent *a);
/* libxdp has answered. After all answers that are there, interfaces_go_on() applies: not what it has just refused. */
void interfaces_heard(struct agent *a, const struct dataplane_heard *h);
void interfaces_go_on(struct agent *a);
/* Before anything is changed: each must exist and be free. 0, or -errno with a line for people. */
int interfaces_check(struct agent *a, char error[AGENT_ERROR_MAX]);
/* What `load` and `unload` have changed, for an agent that takes over; NULL when out of memory. And back: not trusted. */
json_t *interfaces_save(const struct agent *a);
void interfaces_restore(struct agent *a, const json_t *from);
/* The NIC itself: the one that is steered on, whatever its name is now, else that of the name; NULL when there is none. */
const struct net_interface *interfaces_nic(struct agent *a, const struct agent_interface *i);
struct agent_interface *interfaces_find(struct agent *a, const char *name);
/* 0; -EINPROGRESS: libxdp is asked (shared.h); -errno with a line for people. */
int interfaces_load(struct agent *a, const char *name, enum model_xdp_mode mode, char error[AGENT_ERROR_MAX]);
/* Names of the NICs that own the addresses of the model's binds, for a start without -i. "" = none. */
void interfaces_suggest(const struct net *n, const struct model *m, char *text, size_t size);

/* notices.c */
void notices_collect(struct agent *a);
void notices_done(struct agent *a);
/* Own ports must not be those the kernel gives to sockets. 0, or -EINVAL with a line for people. */
int notices_check_ports(const struct model *m, char error[AGENT_ERROR_MAX]);

/* reload.c */
struct agent_reload_result {
	int r;                  /* 0, or -errno: the report holds the errors, or error what else is in the way */
	bool changed;
	uint64_t took_ms;
	const struct config_report *report;
	const char *error;
};
struct agent_reload_ops {
	void (*done)(const struct agent_reload_result *result, void *ctx); /* may be NULL */
	void *ctx;
};
/*
 * Reads the configuration anew. done is called once, from within or later; when it failed, nothing has changed. One at a
 * time: another meanwhile fails with -EBUSY.
 */
void agent_reload(struct agent *a, const struct agent_reload_ops *ops);
/* The same for somebody who waits for no answer: another meanwhile is made when that one is over. */
void agent_reload_again(struct agent *a);
/* The agent stops: one under way fails. */
void agent_reload_done(struct agent *a);
struct dataplane_switches agent_switches(const struct model *m);
/* Says so where the flow table, which keeps its size, is not as large as the configuration wants. */
void agent_note_flow_table(struct agent *a);

/* told.c: whom health tells; of the end of the first round, who is named. */
struct health_ops told_ops(struct agent *a, void (*on_first_round)(void *ctx));

/* drained.c */
void drained_wait(struct agent *a, struct control_request *r, const char *path, uint32_t timeout_ms);
/* A pass of the sweep is over, or a server's state changed: who has waited long enough? */
void drained_check(struct agent *a);
void drained_done(struct agent *a);

/* verbs.c, show.c */
extern const struct control_verb agent_verbs[];
extern const size_t agent_verb_count;
json_t *show_server(struct agent *a, size_t backend, size_t server);
/* show_health.c */
void show_server_health(const struct health_view *v, json_t *to);
json_t *show_server_history(struct agent *a, size_t backend, size_t server);
json_t *show_interface(struct agent *a, const struct agent_interface *i);
void verb_status(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_show_services(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_show_servers(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_show_flows(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_show_config(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_show_verdicts(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
/* show_peers.c */
void verb_show_peers(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
/* show_log.c */
void verb_show_log(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_log_level(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
/* rate_verbs.c */
void verb_show_table(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
/* acl_verbs.c */
void verb_show_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_get_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_add_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_del_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_clear_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
/* explain.c */
void verb_explain_server(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_explain_config(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
/* show_announce.c */
void verb_show_announce(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_ready(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_show_interfaces(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
/* Indices of BACKEND/SERVER in the model; false when there is none. */
bool agent_find_server(const struct agent *a, const char *path, size_t *ret_backend, size_t *ret_server);

#endif
