/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program in the kernel and its maps: loads it, pins it, attaches it, and gives the agent the maps as memory. The
 * only user of libbpf and libxdp. Does not know what the contents mean (agent/reconcile does) and never logs.
 *
 * Everything of an instance is pinned under DATAPLANE_PIN_ROOT/NAME, so that a new agent finds what an earlier one left:
 * maps of the same layout are taken over with all flows, a link that is still attached gets the new program atomically.
 */
#ifndef DATAPLANE_DATAPLANE_H
#define DATAPLANE_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <alwayson/abi.h>
#include <alwayson/explain.h>
#include <alwayson/hash.h>
#include <alwayson/trace.h>

#include "model/model.h"

#define DATAPLANE_PIN_ROOT "/sys/fs/bpf/alwayson"

enum dataplane_limit {
	DATAPLANE_ERROR_MAX = 512,
	DATAPLANE_DEATH_MS = 5000,        /* without a heartbeat for so long the agent is dead */
	DATAPLANE_SLOTS = 1 << 20,        /* 8 MiB; a configuration that wants more at start gets it ... */
	DATAPLANE_SLOTS_MAX = 1 << 27,    /* ... up to 1 GiB */
	DATAPLANE_PORTS = 1 << 20,        /* 8 MiB */
};

struct dataplane;

/* A port of a bond. The program on a bond runs at its ports, and sees a port where others see the bond. */
struct dataplane_port {
	unsigned ifindex, bond;
};

/*
 * Buckets for so many records: a power of two, three entries or more for each. Of two choices among four the first to find
 * no room is one that comes when 34 to 42 of 100 entries are taken (tests/bench/table).
 */
static inline uint32_t dataplane_buckets(uint32_t records)
{
	uint32_t buckets = 2;

	while ((uint64_t)buckets * FLOW_WAYS < 3ULL * records)
		buckets *= 2;
	return buckets;
}

struct dataplane_options {
	const char *name;         /* instance */
	const struct dataplane_port *bond_ports; /* those there are; for attachments that are taken over */
	size_t bond_port_count;
	uint32_t slots, ports;    /* entries; 0 = the defaults above */
	uint32_t buckets4, buckets6; /* powers of two; 0 = those of MODEL_FLOWS4 and MODEL_FLOWS6. Tables that are taken over keep their size */
	bool fresh;               /* take nothing over: what there is goes, with its connections */
	struct dataplane_switches {
		bool heartbeat;   /* packets are left to the host while the agent is dead (dataplane_beat()) */
		bool shared;      /* it can be attached in libxdp's dispatcher (dispatcher.h) */
		/* What the program is loaded without: what is not used costs nothing, nor does the verifier look at it. */
		bool without_ipv6, without_nat, without_dsr, without_transparent, without_quic; /* dsr: and ipip */
		bool without_access, without_rates; /* no matter of the program: their tables are spared */
	} switches;
};

/* What an id stands for, pinned: an id is the same thing's across restarts, and its generation is never repeated. */
struct dataplane_identity {
	uint64_t identity;        /* hash of what the id stands for; 0 = free */
	uint8_t generation;       /* servers: of the id */
	uint8_t state;            /* the agent's */
	uint16_t zero;
	uint32_t zero2;
};

/* The maps as memory, shared with the program. Writing them is the reconciler's (and the sweep's) alone. */
struct dataplane_maps {
	struct control *control;
	struct service_entry4 *services4; /* two halves of SERVICE_TABLE_MAX */
	struct service_entry6 *services6;
	struct service *services;         /* two halves of MAX_SERVICES */
	uint64_t *slots;
	struct server *servers;           /* two halves of MAX_SERVERS */
	struct address *addresses;
	struct own_port *ports;
	const struct rate_bucket *rates;  /* RATE_BUCKETS */
	uint64_t *access4;                /* ACCESS_BOUNDS4 */
	struct access_bound6 *access6;    /* ACCESS_BOUNDS6 */
	struct hop *hops;
	struct server_use *use;
	struct bucket4 *flows4;
	struct bucket6 *flows6;
	const struct counter *verdict_counters; /* [cpu * VERDICT_MAX + verdict] */
	struct trace_filter *trace_filter;
	struct trace_state *trace_state;
	const uint64_t *event_counters;         /* [cpu * EVENT_MAX + event] */
	struct traffic *service_counters; /* [cpu * MAX_SERVICES + id] */
	struct traffic *server_counters;  /* [cpu * MAX_SERVERS + id] */
	struct dataplane_identity *server_ids;  /* MAX_SERVERS */
	struct dataplane_identity *service_ids; /* MAX_SERVICES */
	struct dataplane_identity *backend_ids; /* MAX_BACKENDS */
	uint32_t slot_count, port_count, bucket4_count, bucket6_count, cpu_count;
	struct hash_key flow_key;
	unsigned tick_shift;
	unsigned hz;
	bool taken_over;                  /* found, not made */
};

/* A number for how the tables are laid out: agents of one number can take over each other's. */
uint64_t dataplane_layout(void);
/*
 * Loads everything; attaches nothing. -EEXIST: what an earlier agent left steers and can't be taken over, error says why
 * and what to do. 0 or -errno with a line for people in error.
 */
int dataplane_open(const struct dataplane_options *options, struct dataplane **ret, char error[DATAPLANE_ERROR_MAX]);
/* Releases what this process holds. `leave`: program, pins and attachments stay and go on steering; else all is removed. */
void dataplane_close(struct dataplane *d, bool leave); /* takes NULL */

/*
 * Is there something of an instance that steers without an agent? How many NICs; their names in text. And its end.
 */
unsigned dataplane_left_behind(const char *name, char *text, size_t size);
void dataplane_discard(const char *name);
/* Has an instance left an entry in libxdp's dispatcher? */
bool dataplane_is_shared(const char *name);

/*
 * The program anew, with all tables as they are but for more slots (fewer than there are: as many as there are), those
 * that come into use with it, or other switches: prepare loads it, which takes a second or so, and may be called from another thread while the program that
 * there is goes on; commit gives it to all NICs, each in one step, and is the loop's. After it dataplane_maps()->slots
 * and slot_count are new; the further slots are zero. A dry run (dry_run.h) of before knows the former slots: to be opened
 * anew. On failure nothing has changed. 0, or -errno with error.
 */
struct dataplane_next;
int dataplane_prepare(const struct dataplane *d, uint32_t slots, const struct dataplane_switches *s,
		      struct dataplane_next **ret, char error[DATAPLANE_ERROR_MAX]);
int dataplane_commit(struct dataplane *d, struct dataplane_next *next, char error[DATAPLANE_ERROR_MAX]);
void dataplane_next_free(struct dataplane_next *next); /* takes NULL; after a commit too */
const struct dataplane_switches *dataplane_switches(const struct dataplane *d);

/* The agent lives, and will for so long without another word. */
void dataplane_beat(struct dataplane *d, uint32_t ms);

struct dataplane_maps *dataplane_maps(struct dataplane *d);
/* File descriptor of the program, for test runs. */
int dataplane_program_fd(const struct dataplane *d);
/* File descriptor of the map of NICs that frames may be redirected to. */
int dataplane_devices_fd(const struct dataplane *d);
/* How many instructions the verifier looked at. */
unsigned dataplane_verified_instructions(const struct dataplane *d);

/* The kernel's jiffies now, all 64 bits. */
uint64_t dataplane_jiffies(const struct dataplane *d);
/* The program's clock now, as it stamps flows. */
uint16_t dataplane_tick(const struct dataplane *d);
uint32_t dataplane_ticks_from_ms(const struct dataplane *d, uint64_t ms); /* rounded up */
uint64_t dataplane_ms_from_ticks(const struct dataplane *d, uint32_t ticks);

struct dataplane_attachment {
	unsigned ifindex;
	char name[16];
	bool native;
	bool shared;              /* in libxdp's dispatcher, ... */
	bool priority_known;
	unsigned priority;        /* ... where it runs after those with a lower one */
	uint64_t since_ms;        /* wall clock */
};

/* "native", "generic" or "shared"; "detached" for NULL. */
const char *dataplane_mode_name(const struct dataplane_attachment *a);

/*
 * Attaches to a NIC: natively if the driver can (AUTO) or must (NATIVE), else in generic mode; not SHARED. -EBUSY: another
 * program is there (named in error); -EALREADY; -EINPROGRESS: libxdp is being asked for the NIC, dataplane_hear() tells.
 */
int dataplane_attach(struct dataplane *d, unsigned ifindex, const char *name, enum model_xdp_mode mode,
		     char error[DATAPLANE_ERROR_MAX]);
/* Could it be attached there? 0; -EBUSY: another program is there, named in error. */
int dataplane_check(struct dataplane *d, unsigned ifindex, const char *name, enum model_xdp_mode mode,
		    char error[DATAPLANE_ERROR_MAX]);
/* Has nobody taken it away? Another tool can take it out of the dispatcher; what is not shared is the agent's alone. */
bool dataplane_holds(const struct dataplane *d, const struct dataplane_attachment *a);
/*
 * Attaches to a NIC in libxdp's dispatcher, for which the program must be loaded (switches.shared). It never waits: 0 means
 * that libxdp is asked, or is being asked for this NIC already. Until dataplane_hear() has told what came of it, it is no
 * attachment. So is what dataplane_detach() leaves there until it is taken out: it steers no more at once.
 */
int dataplane_share(struct dataplane *d, unsigned ifindex, const char *name, unsigned priority,
		    char error[DATAPLANE_ERROR_MAX]);
struct dataplane_heard {
	unsigned ifindex;
	char name[16];
	bool add;                  /* to be attached, else to be taken out */
	int r;                     /* 0: it is done. -errno, with error: it is not */
	char error[DATAPLANE_ERROR_MAX];
};
/* What libxdp's answer was, when dataplane_sharing() can be read: 1; 0: none (any more); -EPIPE: nobody asks it any more. */
int dataplane_hear(struct dataplane *d, struct dataplane_heard *ret);
/* Is libxdp being asked for any NIC? */
bool dataplane_is_asking(const struct dataplane *d);
/*
 * Who asks it from now on: sharing_start()'s descriptor, the dataplane's. Before the loop: it waits for some answers.
 * refused: why sharing_try() failed; "" = it did not.
 */
void dataplane_set_sharing(struct dataplane *d, int fd, const char *refused);
/* Why what is attached otherwise would be let go for nothing, or NULL: libxdp can be asked, and would take it. */
const char *dataplane_sharing_refused(const struct dataplane *d);
/* The same, for the loop, and for the program that this one becomes; -1: nobody asks it. */
int dataplane_sharing(const struct dataplane *d);
/* 0 or -ENOENT. */
int dataplane_detach(struct dataplane *d, unsigned ifindex);
/*
 * What is to leave by the way that a frame came leaves by the bond, where it came by a port of one: for as long as the bond
 * is attached, also when the port is none any more. 1: it is new, 0: it is known, or not that bond's but attached itself;
 * -ENOENT: the bond is not attached; -errno.
 */
int dataplane_add_port(struct dataplane *d, const struct dataplane_port *port);
/* The NIC is called so now. */
void dataplane_rename(struct dataplane *d, unsigned ifindex, const char *name);
size_t dataplane_attachments(const struct dataplane *d, const struct dataplane_attachment **ret);

#endif
