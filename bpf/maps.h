/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps and the switches of the program. Who writes and who reads each is said in alwayson/abi.h. All but `devices`
 * are memory-mapped by the agent. Sizes that depend on the machine or the configuration are set by the loader.
 */
#ifndef BPF_MAPS_H
#define BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <alwayson/abi.h>
#include <alwayson/hash.h>

#define ARRAY(name, value_type, count)             \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, count);        \
		__type(key, __u32);                \
		__type(value, value_type);         \
	} name SEC(".maps")

ARRAY(control, struct control, 1);
ARRAY(services4, struct service_entry4, 2 * SERVICE_TABLE_MAX);
ARRAY(services6, struct service_entry6, 2 * SERVICE_TABLE_MAX);
ARRAY(services, struct service, 2 * MAX_SERVICES);
ARRAY(slots, __u64, 1);    /* sized by the loader */
ARRAY(servers, struct server, 2 * MAX_SERVERS);
ARRAY(addresses, struct address, MAX_ADDRESSES);
ARRAY(ports, struct own_port, 1); /* sized by the loader */
ARRAY(hops, struct hop, MAX_HOPS);
ARRAY(cursors, struct cursor, MAX_BACKENDS);
ARRAY(use, struct server_use, MAX_SERVERS);
ARRAY(flows4, struct bucket4, 1); /* sized by the loader */
ARRAY(flows6, struct bucket6, 1); /* sized by the loader */
ARRAY(locks, __u64, LOCK_COUNT);
ARRAY(rates, struct rate_bucket, RATE_BUCKETS);
ARRAY(access4, __u64, ACCESS_BOUNDS4);
ARRAY(access6, struct access_bound6, ACCESS_BOUNDS6);
/* Entries for each CPU, the CPU's number in the index: sized by the loader. */
ARRAY(verdict_counters, struct counter, VERDICT_MAX);
ARRAY(event_counters, __u64, EVENT_MAX);
ARRAY(service_counters, struct traffic, MAX_SERVICES);
ARRAY(server_counters, struct traffic, MAX_SERVERS);

/* NICs that frames may be redirected to, by ifindex. agent. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, MAX_DEVICES);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

/* The token bucket of our own answers. program, each CPU its own. */
struct reset_budget {
	__u64 jiffy;
	__u64 sent;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reset_budget);
} reset_budgets SEC(".maps");

/* Set before load, constant for the verifier, which removes what they switch off. */
const volatile __u32 tick_shift = 10;      /* tick = jiffies >> tick_shift */
const volatile __u32 flow_mask4;           /* buckets of flows4, less one; a power of two less one */
const volatile __u32 flow_mask6;
const volatile __u32 resets_per_jiffy = 40; /* RESETS_PER_SECOND / HZ */
const volatile struct hash_key flow_key;   /* of the flow table; new at every creation of it */
const volatile __u32 death_jiffies;        /* an agent silent for longer is dead, and packets are the host's; 0 = nobody asks */
const volatile __u8 with_ipv6 = 1;
const volatile __u8 with_nat = 1;
const volatile __u8 with_dsr = 1;  /* dsr and ipip: no address is translated */
const volatile __u8 with_transparent = 1; /* the destination alone is: `source 0.0.0.0 usesrc clientip` */
const volatile __u8 with_quic = 1; /* some service is steered by connection ids */
const volatile __u8 dry_run;       /* the second load: says what becomes of a packet (explain.h) */

static __always_inline __u64 load_u64(const __u64 *p)
{
	return *(const volatile __u64 *)p;
}

static __always_inline __u16 tick_now(void)
{
	return bpf_jiffies64() >> tick_shift;
}

#endif
