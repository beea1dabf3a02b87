/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bench on which the suites of tests/packet try the real program: loads it under a private instance, in a network
 * namespace of its own, lays out a small world in its maps as the agent does, gives it packets by BPF_PROG_TEST_RUN and
 * looks at everything that came of each: action, verdict, bytes, counters, events and every byte that leaves.
 * Needs root and bpffs. Nothing is left behind, however the process ends.
 */
#ifndef PACKET_RIG_H
#define PACKET_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/bpf.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/vec.h"
#include "dataplane/dataplane.h"
#include "dataplane/flows.h"
#include "table/services.h"

#include "packet.h"

enum rig_limit {
	RIG_BUCKETS = 4096,     /* of each family's flow table: 16384 entries */
	RIG_SLOTS = 1 << 17,
	RIG_PORTS = 1 << 14,
	RIG_SERVERS = 64,       /* ids 1 .. RIG_SERVERS-1 of a world */
	RIG_CPUS_MAX = 256,
};

/* The last bytes of the MACs, and the interface that is always there. */
enum rig_l2 { L2_LB = 0x01, L2_CLIENT = 0x02, L2_ROUTER = 0x03, L2_SERVER = 0x40 /* + id */ };
enum { NIC = 1, MTU = 1500, PORT_LOW = 20000 };

/* Address of each kind in both families. */
#define VIP4    "192.0.2.10"
#define VIP6    "2001:db8::10"
#define OWN4    "192.0.2.2"
#define OWN6    "2001:db8::2"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

struct rig_server {
	struct addr addr;
	struct server entry;
	uint32_t weight;
	bool up;                /* its slots are its own */
};

struct rig_service {
	struct service entry;
	struct vec(uint32_t) servers;
};

/* Sums over all CPUs. */
struct rig_sums {
	struct counter verdicts[VERDICT_MAX];
	uint64_t events[EVENT_MAX];
	struct vec(struct traffic) services; /* by id */
	struct traffic servers[RIG_SERVERS];
};

struct rig {
	struct dataplane *dataplane;
	struct dataplane_maps *m;
	struct cursor *cursors;
	uint64_t *locks;
	int program_fd, devices_fd, budgets_fd, fragments_fd[2];
	/* The world. */
	struct vec(struct rig_service) services;
	struct vec(struct services_entry) entries;
	struct rig_server servers[RIG_SERVERS];
	uint32_t server_count, address_count, slots_used, ports_used;
	struct rig_sums seen;   /* the counters after the last packet */
};

/* What came of one packet. */
struct outcome {
	uint32_t action;
	enum verdict verdict;
	int service;            /* whose counters moved; -1 = no service's */
	uint32_t server;        /* likewise; 0 */
	struct traffic traffic; /* by how much */
	uint64_t events[EVENT_MAX];
	struct frame out;
};

/*
 * One packet and what must come of it. Every field counts: what is not named must not happen. `out` with no addresses:
 * nothing is sent, or, of a verdict that passes, the frame goes on byte for byte as it came.
 */
struct step {
	const char *what;
	struct packet in;
	enum verdict verdict;
	struct packet out;
	uint32_t server;        /* whose counters move; 0 = whichever */
	unsigned connections, refused;
	unsigned early_reuse, unrecorded, hops_full;
	bool redirected;        /* leaves by another NIC */
};

/* For cmocka: open and close around a suite; an empty world before each test, the tables' soundness after it. */
int rig_open(void **state);
int rig_open_sized(void **state, uint32_t buckets4); /* with another flow table for IPv4 than RIG_BUCKETS */
int rig_close(void **state);
int rig_clear(void **state);
int rig_check(void **state);
#define rig_test(f) cmocka_unit_test_setup_teardown(f, rig_clear, rig_check)

/*
 * Gives one frame to the program and checks what is true of every packet. The budget of our own answers is full each
 * time: what limits them is a test of its own.
 */
void rig_run(struct rig *r, const struct frame *in, unsigned nic, struct outcome *ret);
/* Without looking at counters, from any thread; returns the action. The counters are read anew by rig_catch_up(). */
uint32_t rig_run_raw(const struct rig *r, const struct frame *in, unsigned nic, struct frame *out);
void rig_catch_up(struct rig *r);
/* How often a verdict was given, over all CPUs. */
uint64_t rig_verdicts(const struct rig *r, enum verdict v);
/* Makes this NIC one that frames may be redirected to. */
void rig_add_device(struct rig *r, unsigned nic);

void rig_step(struct rig *r, const struct step *step);
/* expect(r, "what", packet, NAT_REQUEST, .out = another, .connections = 1): reads like a line of the specification. */
#define expect(r, text, packet, name, ...) \
	rig_step(r, &(struct step){ .what = text, .in = packet, .verdict = VERDICT_##name, __VA_ARGS__ })
/* Fails the test, showing both, unless they are the same bytes. */
void rig_same_frame(const char *what, const struct frame *got, const struct frame *wanted);

const char *verdict_name(enum verdict v);
/* Whether this verdict's packets leave (SEND, TX). */
bool verdict_sends(enum verdict v);

/* The flow table by memory. */
size_t rig_live_flows(const struct rig *r, bool v6);
/* The live entry that a packet from the client would find; fails the test when there is none. */
struct flow_view rig_flow(const struct rig *r, const struct packet *request);
bool rig_has_flow(const struct rig *r, const struct packet *request);
/* Frees what is dead, as the agent does after a grace period. */
void rig_sweep(const struct rig *r);
/* Fails the test with a line for each thing that is wrong in flow tables, locks and half-open counters. */
void rig_check_tables(const struct rig *r);

#endif
