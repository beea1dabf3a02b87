/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the program in the kernel and the agent share: map keys and values, limits, and the verdicts. Compiled by gcc,
 * clang and clang -target bpf; a struct with a hole is refused by all three. Little-endian machines only (the words
 * below are taken apart by shifts; the Makefile and the loader refuse others).
 *
 * Who writes: "agent" = only the agent, by memory; "program" = only the program; where both do, the word says how.
 */
#ifndef ALWAYSON_ABI_H
#define ALWAYSON_ABI_H

#include <linux/types.h>

#define ABI_VERSION 5

/*
 * The verdicts: X(NAME, action, label, what it means). One line here is the counter's index, the metric's label, and,
 * by the table made from it, the XDP action. SEND is XDP_TX, or a redirect when the way out is another NIC.
 */
#define VERDICTS(X)                                                                                                 \
	X(NAT_REQUEST, SEND, "nat_request", "to a server, addresses translated")                                    \
	X(NAT_REPLY, SEND, "nat_reply", "from a server back to its client, addresses translated")                   \
	X(TRANSPARENT_REQUEST, SEND, "transparent_request", "to a server, the destination translated, the client's address kept") \
	X(TRANSPARENT_REPLY, SEND, "transparent_reply", "from such a server back to its client, the source translated back") \
	X(DSR, SEND, "dsr", "to a server, frame rewritten, answered by the server directly")                        \
	X(IPIP, SEND, "ipip", "to a server, in an outer IP header, answered by the server directly")                \
	X(ICMP_ERROR, SEND, "icmp_error", "an ICMP error about a steered flow, to the side it speaks to")           \
	X(REJECTED, TX, "rejected", "no server was up; the client was told (RST, ICMP unreachable)")                \
	X(ECHO, TX, "echo", "an ICMP echo request to a service's address that the host does not own; answered")     \
	X(TOO_BIG_TOLD, TX, "too_big_told", "larger than the MTU of the way out; the sender was told by ICMP")      \
	X(TTL_TOLD, TX, "ttl_told", "TTL or hop limit used up; the sender was told by ICMP")                        \
	X(ACCESS_DENIED, TX, "access_denied", "the client's address may not open connections to the service; told so") \
	X(RATE_LIMITED, TX, "rate_limited", "the client has opened too many connections lately; told so")              \
	X(NO_FLOW, TX, "no_flow", "a TCP packet that belongs to no known connection; answered with RST")            \
	X(NOT_IP, PASS, "not_ip", "neither IPv4 nor IPv6; given to the host")                                       \
	X(OTHER_PROTOCOL, PASS, "other_protocol", "neither TCP nor UDP; given to the host")                         \
	X(FRAGMENT, PASS, "fragment", "a fragment whose first one was not seen, or is for no service; to the host")  \
	X(EXTENSION, PASS, "extension_header", "IPv6 extension headers too deep or not known; given to the host")   \
	X(TRUNCATED, PASS, "truncated", "headers shorter than they say; given to the host, which drops them")       \
	X(AGENT_DEAD, PASS, "agent_dead", "the agent is dead, and the configuration says on-agent-death pass; to the host") \
	X(OTHER_HOST, PASS, "other_host", "the frame's destination MAC is none of this host's; to the host, which drops or bridges it") \
	X(NO_SERVICE, PASS, "no_service", "for no service of ours; given to the host untouched")                    \
	X(STRAY, DROP, "stray", "a RST that belongs to no known connection")                                        \
	X(MALFORMED, DROP, "malformed", "for a service, but its TCP or UDP header cannot be valid")                 \
	X(NO_SERVER, DROP, "no_server", "no server was up, and the backend says on-all-down drop")                  \
	X(LIMITED, DROP, "limited", "would have been answered with RST or ICMP, but the rate limit was reached")    \
	X(UNANSWERED, DROP, "unanswered", "would have been answered with RST or ICMP, but its source is no single host's") \
	X(NO_NEIGHBOUR, DROP, "no_neighbour", "the next hop's MAC address is not known")                            \
	X(TTL_EXCEEDED, DROP, "ttl_exceeded", "TTL or hop limit used up")                                           \
	X(NO_HEADROOM, DROP, "no_headroom", "the driver left no room in front of the frame for a tunnel's header")  \
	X(TOO_BIG, DROP, "too_big", "larger than the MTU of the way out")                                           \
	X(PORTS_EXHAUSTED, DROP, "ports_exhausted", "no free own port towards the server")                          \
	X(HALF_OPEN_LIMIT, DROP, "half_open_limit", "half of the own ports towards the server are half-open")       \
	X(FLOW_TABLE_FULL, DROP, "flow_table_full", "no room to remember the new connection")                       \
	X(LOCK_BUSY, DROP, "lock_busy", "another CPU held the flow's lock for too long")                            \
	X(INTERNAL, DROP, "internal", "a table had no entry where the agent had to put one: a defect")

enum verdict {
	VERDICT_CONTINUE = 0, /* no verdict yet: the next stage decides */
#define X(name, action, label, text) VERDICT_##name,
	VERDICTS(X)
#undef X
	VERDICT_MAX
};

/* Sizes of the tables. Each is named in docs/limits.md and tested at the limit and one above. */
#define MAX_SERVERS   32768   /* ids 1 .. MAX_SERVERS-1; 0 = none */
#define MAX_SERVICES  16384   /* ids 0 .. MAX_SERVICES-1 */
#define MAX_BACKENDS  16384
#define MAX_ADDRESSES 16384   /* service and own addresses; ids 1 .. MAX_ADDRESSES-1 */
#define MAX_HOPS      4096    /* next hops towards clients; ids 1 .. MAX_HOPS-1 */
#define MAX_DEVICES   64      /* NICs that can be redirected to */

#define SERVICE_TABLE_MAX   131072 /* entries of one half of one family's service table */
#define SERVICE_PROBES      8      /* an entry stands at most this far from its hash; the agent enlarges until it does */
#define HOP_PROBES          4
#define LEASTCONN_PROBES    8      /* turns of the sequence among which the server with the fewest connections is sought */
#define NAT_PROBES          8      /* own ports tried for one new connection */
#define LOCK_COUNT          4096
#define LOCK_SPINS          64
#define EXTENSIONS_MAX      4      /* IPv6 extension headers before TCP or UDP */
#define EXTENSION_BYTES_MAX 512    /* ... and their length together */
#define VLAN_TAGS_MAX       2      /* 802.1Q, 802.1ad */
#define FRAGMENTS_MAX       16384  /* datagrams in fragments that are remembered at a time, for each family */
#define ACCESS_BOUNDS4      262144 /* bounds of ranges of addresses that services refuse, in all ... */
#define ACCESS_BOUNDS6      131072 /* ... of IPv6 */
#define ACCESS_STEPS        18     /* of the search: 2^18 is more than a part can have */
#define RATE_BUCKETS        32768  /* of four: 131 072 sources whose new connections are counted */
#define QUIC_SERVER_ID_MAX  15     /* bytes (draft-ietf-quic-load-balancers) */
#define RESETS_PER_SECOND   10000  /* RST and ICMP answers of our own, for each CPU */

enum abi_forward { FORWARD_NAT, FORWARD_DSR, FORWARD_IPIP, FORWARD_TRANSPARENT };
enum abi_balance { BALANCE_ROUNDROBIN, BALANCE_MAGLEV, BALANCE_SOURCE, BALANCE_LEASTCONN };
enum abi_all_down { ALL_DOWN_REJECT, ALL_DOWN_DROP };

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

#define CONTROL_MACS_NEAR 4 /* MAC addresses that are found with the control word; others cost a look-up */

/* control[0]. agent. Read once a packet, one volatile load of `word`. */
struct control {
	__u64 word;        /* CONTROL_* below */
	__u16 nat_low;     /* lowest and highest own port of any source pool, host order; 1, 0 = none */
	__u16 nat_high;
	__u32 heartbeat;   /* jiffies when the agent last said that it lives; may lie ahead */
	__u64 macs[CONTROL_MACS_NEAR]; /* of those that CONTROL_MACS speaks of; places to spare repeat the first. Each in one store */
	__u64 zeros[2];
};

#define CONTROL_HALF            1ULL        /* which half of services4/6, services and servers is active */
#define CONTROL_TRACE_SHIFT     1
#define CONTROL_TRACE           2ULL        /* packets are told to the agent (trace.h) */
#define CONTROL_ALL_PORTS       4ULL        /* some service has all ports of its address */
#define CONTROL_MACS            8ULL        /* services4 has the ENTRY_MAC of each address that frames to this host name */
#define CONTROL_SIZE4_SHIFT     8           /* log2 of the entries in use of a half of services4 ... */
#define CONTROL_SIZE6_SHIFT     16          /* ... and of services6 */
#define CONTROL_SIZE_MASK       0xffULL

/* What an entry of the service tables is. */
#define ENTRY_EMPTY   0
#define ENTRY_SERVICE 1 /* address, port and protocol of a service */
#define ENTRY_OWN     2 /* an own address of a source pool; port and protocol are 0 */
#define ENTRY_ADDRESS 3 /* a service's address; port and protocol are 0; service: 1 = the host does not own it */
#define ENTRY_ALL_PORTS 4 /* address and protocol of a service on all ports; port is 0. An ENTRY_SERVICE beats it */
/*
 * FORWARD_TRANSPARENT: a server's address, port and protocol; port 0 = all (of a service on all ports). It sends for the
 * service's address `address`; `service` is ENTRY_SERVED below.
 */
#define ENTRY_SERVER 5
#define ENTRY_SERVED(service, port) ((__u32)(service) | (__u32)(__be16)(port) << 16) /* port 0: the packet's own */
#define ENTRY_SERVED_SERVICE(served) ((served) & 0xffff)
#define ENTRY_SERVED_PORT(served)    ((__be16)((served) >> 16))
#define ENTRY_QUIC 6 /* services6 only. addr: a connection id's first bytes; port: backend; service: the server's id */
#define ENTRY_MAC 7 /* services4 only. addr, port: the six bytes of a MAC address of this host, as they lie in a frame */

/* services4[half * SERVICE_TABLE_MAX + i]: open addressing, linear probing. agent, the inactive half only. */
struct service_entry4 {
	__be32 addr;       /* addr .. kind are the key, compared as one 64-bit word */
	__be16 port;
	__u8 protocol;
	__u8 kind;
	__u32 service;     /* service id */
	__u16 address;     /* address id */
	__u16 zero;
};

struct service_entry6 {
	__u64 addr[2];     /* as it lies in the packet */
	__be16 port;       /* port .. kind are the key's last 32 bits */
	__u8 protocol;
	__u8 kind;
	__u32 service;
	__u16 address;
	__u16 zero;
	__u32 zero2;
};

/*
 * Where a key's probe begins; not secret: only the agent chooses what is in the table. The low bits of it are used, and of
 * a product only the high bytes depend on every bit of the key: they are brought down.
 */
#define SERVICE_HASH(key) ((__u32)__builtin_bswap64((__u64)(key) * 0x9e3779b97f4a7c15ULL))
#define SERVICE_FOLD(word) ((__u64)(word) * 0xc2b2ae3d27d4eb4fULL)

#define SERVICE_RECORDS 1 /* every flow is remembered: nat, round robin and least connections need it */
#define SERVICE_PERSISTS 2 /* with SERVICE_RECORDS: only its datagrams are, by udp-persist; the slots have states */
#define SERVICE_ACCESS   4 /* some addresses may not open connections: `access` */
#define SERVICE_RATE     8 /* a source may open so many connections in a time: `rate_*` */
#define SERVICE_QUIC    16 /* UDP: a connection id may name the server: `quic_*` */
#define SERVICE_GUARDED (SERVICE_ACCESS | SERVICE_RATE) /* something is asked of who opens a connection */

/* services[half * MAX_SERVICES + id]: one bind of a frontend. agent; `slots` also in the active half, one store. */
struct service {
	__u64 slots;       /* offset of its backend's region in slots << 32 | number of slots; count 0 = no server */
	__u64 key[2];      /* struct hash_key of its slots */
	__u16 backend;     /* index of its backend's cursor */
	__u8 forward;      /* enum abi_forward */
	__u8 balance;      /* enum abi_balance */
	__u8 all_down;     /* enum abi_all_down */
	__u8 flags;        /* SERVICE_* */
	__u8 old_balance;  /* of old_slots */
	__u8 quic_length;  /* bytes of a connection id up to the end of the server id */
	__u64 old_slots;   /* of a table that was replaced less than X ago: what dirty slots without previous ask; else 0 */
	__u64 old_key[2];
	__u64 zeros[1];
	/* The second cache line: read for new connections only, and of services with SERVICE_GUARDED or SERVICE_QUIC. */
	__u64 access;      /* its part of access4 or access6: offset << 32 | number of bounds */
	__u64 rate_table;  /* whose sources: frontend and family */
	__u64 rate_mask[2]; /* of the source's address, in host order */
	__u32 rate_period; /* jiffies, not 0 */
	__u32 rate_max;    /* connections in that time */
	__u64 quic_mask[2]; /* what of a connection id's first 16 bytes is compared */
	__u64 zeros2[1];
};

/* rates[i]: sources by a keyed hash of table and address. program; the rest of an entry is for who looks at it. */
#define RATE_WAYS 4
#define RATE_COUNT_MAX   0xfffffULL
#define RATE_WINDOW_MASK 0xffffffULL
#define RATE_WINDOW(word)   ((word) >> 40)
#define RATE_CURRENT(word)  ((word) >> 20 & RATE_COUNT_MAX)
#define RATE_PREVIOUS(word) ((word) & RATE_COUNT_MAX)

struct rate_source {
	__u64 key;         /* 0 = free */
	__u64 word;        /* number of the window, 24 bits; connections in it and in the one before, 20 bits each */
	__u64 high, low;   /* the source, masked, in host order */
};

struct rate_bucket {
	struct rate_source sources[RATE_WAYS];
};

/* access6[i]: a bound, in host order. access4[i] is a plain __u64. agent; a part changes as slots do, by the flip. */
struct access_bound6 {
	__u64 high, low;
};

/* slots[offset + i]. agent, one release store. */
#define SLOT_CURRENT(slot)  ((__u32)((slot) & 0xffffff))
#define SLOT_PREVIOUS(slot) ((__u32)((slot) >> 24 & 0xffffff))
#define SLOT_STATE(slot)    ((__u32)((slot) >> 48))
#define SLOT(current, previous, state) ((__u64)(current) | (__u64)(previous) << 24 | (__u64)(state) << 48)

#define SLOT_CLEAN   0
#define SLOT_DIRTY   1 /* previous 0: the answer of the service's old region */
#define SLOT_TRACKED 2

#define SERVER_ACCEPTS  0x01 /* may be given new connections */
#define SERVER_RESOLVED 0x02 /* the MAC is known */
#define SERVER_DOWN     0x04 /* its checks failed: a UDP flow goes to another one, which a connection can't */

/* servers[half * MAX_SERVERS + id]. agent; `word` also in the active half, one store. */
struct server {
	__u64 word;        /* bytes 0-5: next hop's MAC; 6: SERVER_* flags; 7: generation of the id */
	__u8 own_mac[6];   /* of the NIC towards it */
	__u16 mtu;         /* of the way to it; IP bytes */
	__u32 ifindex;     /* NIC towards it */
	__be16 port;       /* 0 = the packet's own destination port is kept */
	__u16 weight;      /* BALANCE_LEASTCONN: in force, times 100 */
	__u64 addr[2];     /* IPv4 in the first 4 bytes */
	__u32 pool_offset; /* its part of ports (nat): the counter's index */
	__u32 pool_count;  /* own address and port pairs behind it */
	/* ipip: the outer header, as far as it is the same for every packet. outer 0 = none, 4, 6. */
	__u32 outer_sum;   /* IPv4: sum of the header's 16-bit words but for TOS, total length and the source's low bits */
	__u8 outer;
	__u8 outer_bits;   /* how many low bits of the outer source a flow's hash fills: 0 .. 32 */
	__u16 zero2;
	__u64 zeros;
	__u64 outer_source[2]; /* IPv4 in the first 4 bytes; the low outer_bits are zero */
	__u64 zeros2[6];
};

#define SERVER_FLAGS(word)      ((__u8)((word) >> 48))
#define SERVER_GENERATION(word) ((__u8)((word) >> 56))

/*
 * use[id]: what the program counts of a server across packets. half_open: program adds, agent subtracts, atomically.
 * A server has live + dealt connections (BALANCE_LEASTCONN): dealt grows with each one, program; live is what the agent
 * counted less what had been dealt when it began to count, so that both may be read at any time.
 */
struct server_use {
	__s64 half_open;   /* recorded connections towards it that are not proven yet */
	__s64 live;
	__u64 dealt;       /* counted for BALANCE_LEASTCONN only */
	__u64 zeros[5];
};

/* cursors[backend]: how many connections the backend's round robin has dealt. program. */
struct cursor {
	__u64 next;
	__u64 zeros[7];
};

/*
 * ports[]: source pools. The first entry of each is a counter (program), how many own ports were handed out; behind it
 * are the own address and port pairs in the order in which they are dealt (agent), modulo pool_count. All servers of a
 * pool share the counter: two ids of one server must not deal the same ports one after the other.
 */
struct own_port {
	__u16 address;     /* address id */
	__be16 port;
	__u32 zero;
};

/* addresses[id]. agent. */
struct address {
	__u64 addr[2];     /* IPv4 in the first 4 bytes */
};

/* hops[id]: how to send to clients. program claims and publishes; agent retires and frees. */
struct hop {
	__u64 peer;        /* bytes 0-5: the client's or its router's MAC; 6-7: HOP_* */
	__u64 own;         /* bytes 0-5: our MAC on that NIC; 6-7: zero */
	__u32 ifindex;
	__u32 mtu;         /* of that NIC, IP bytes; 0 = not known. program at first, then agent */
};
#define HOP_BUSY (1ULL << 48)
#define HOP_LIVE (2ULL << 48)
#define HOP_RETIRED (3ULL << 48) /* agent: not given to new flows; freed when none names it */

/*
 * The flow table: buckets of four entries, two of them a flow's choices (hash bits 0.. and 32..). Within either it has a
 * line of its own (64 bytes, flow_home()), which is filled first: nine in ten flows are found with one line of memory.
 * That line of the first bucket counts in `away` its flows that stand elsewhere: where there is none, the line alone tells
 * that a flow is not known. Whoever publishes an entry elsewhere counts it before, whoever frees or reuses it takes it off
 * after: a count too high makes look-ups slower, one too low would lose connections.
 * It has 8 bits in IPv4: even in a table without a free entry a line has two flows on average, wherever these stand, and the
 * hash has a key that nobody knows. For the flow that comes after all the same there is no room but in the line itself.
 * A tag is the published word of an entry:
 *   bits 0-15 tick last seen, 16-31 server id, 32-39 the server id's generation, 40-47 state, 48-63 fingerprint.
 * Ticks are jiffies >> tick_shift, about 4 s. The tick is stored alone (16 bits); all else of a live tag changes by
 * compare-and-swap; the rest of an entry never changes while it is live, but for `hop`.
 */
#define FLOW_WAYS 4
#define FLOW_AWAY_MAX 128 /* flows of a line that may stand elsewhere, IPv4; the rest of 8 bits is for CPUs that count at once */
#define FLOW_LIFE     0x03
#define FLOW_EMPTY    0x00
#define FLOW_BUSY     0x01 /* claimed, being written */
#define FLOW_LIVE     0x02
#define FLOW_DEAD     0x03 /* matches nothing; freed by the agent after a grace period */
#define FLOW_OPENED   0x04 /* TCP: a SYN opened it; UDP reply: answered once */
#define FLOW_PROVEN   0x08 /* TCP: the client has answered the server; UDP reply: answered twice */
#define FLOW_FIN      0x10 /* a FIN passed in this direction */
#define FLOW_RST      0x20 /* a RST passed in this direction, and nothing since */
#define FLOW_PEER     0x40 /* another balancer told of it (peer.h); stays when own packets follow it */
/*
 * FORWARD_TRANSPARENT has one entry for both directions: a FIN of the server's passed; UDP: answered once. There FLOW_RST
 * is that of either, and only the server's packets take it back: what a client still sends proves nothing.
 */
#define FLOW_BACK_FIN 0x80

#define FLOW_TAG(fingerprint, state, generation, server, tick)                                    \
	((__u64)(__u16)(tick) | (__u64)(__u16)(server) << 16 | (__u64)(__u8)(generation) << 32 | \
	 (__u64)(__u8)(state) << 40 | (__u64)(__u16)(fingerprint) << 48)
#define FLOW_TICK(tag)        ((__u16)(tag))
#define FLOW_SERVER(tag)      ((__u16)((tag) >> 16))
#define FLOW_GENERATION(tag)  ((__u8)((tag) >> 32))
#define FLOW_STATE(tag)       ((__u8)((tag) >> 40))
#define FLOW_FINGERPRINT(tag) ((__u16)((tag) >> 48))
#define FLOW_STATE_BITS(state) ((__u64)(state) << 40)

/* kind: protocol number in the low 7 bits (TCP 6, UDP 17), direction above. */
#define FLOW_REPLY 0x80

/*
 * Key (remote .. kind): who sent the packet, and to which address (by id), port and protocol of ours.
 * A request's entry says: send to to:to_port with source from:from_port (nat; transparent: from is 0, the source stays;
 * dsr, ipip: all zero).
 * A reply's entry says the same of the way back: to = the client, from = the service's address.
 */
struct flow4 {
	__be32 remote;
	__be16 remote_port;
	__be16 local_port;
	__u16 local;       /* address id */
	__u8 kind;
	__u8 away;         /* of the line that this record begins (else 0), not of the record: neither key nor written with it */
	__be32 to;
	__be16 to_port;
	__be16 from_port;
	__u16 from;        /* address id */
	__u16 hop;         /* way back to the client; 16-bit stores by the program */
};

struct flow6 {
	__u64 remote[2];
	__be16 remote_port;
	__be16 local_port;
	__u16 local;
	__u8 kind;
	__u8 zero;
	__u64 to[2];
	__be16 to_port;
	__be16 from_port;
	__u16 from;
	__u16 hop;
};

struct flow_entry4 {
	__u64 tag;
	struct flow4 flow;
};

struct flow_entry6 {
	__u64 tag;
	struct flow6 flow;
	__u64 away;        /* of the line, which each is */
};

struct bucket4 {
	struct flow_entry4 entries[FLOW_WAYS];
};

struct bucket6 {
	struct flow_entry6 entries[FLOW_WAYS];
};

/* The second of a flow's buckets; first: the other one; mask: their number, a power of two, less one. */
static inline __attribute__((always_inline)) __u32 flow_second(__u64 hash, __u32 first, __u32 mask)
{
	const __u32 second = hash >> 32 & mask;

	return second == first ? second ^ (mask & 1) : second;
}

/* The first way of a flow's own line, in either bucket. IPv4: 0 or 2; IPv6: any. */
static inline __attribute__((always_inline)) __u32 flow_home(__u64 hash, int v6)
{
	return hash >> 30 & (v6 ? 3 : 2);
}

/* verdict_counters[cpu * VERDICT_MAX + verdict]. program, each CPU its own. */
struct counter {
	__u64 packets;
	__u64 bytes;
};

/* service_counters[cpu * MAX_SERVICES + id], server_counters[cpu * MAX_SERVERS + id]. program, each CPU its own. */
struct traffic {
	__u64 packets_in, bytes_in;   /* from clients */
	__u64 packets_out, bytes_out; /* back to clients; nat only */
	__u64 connections;            /* new ones */
	__u64 refused;                /* new ones that could not be served */
};

/* events[cpu * EVENT_MAX + event]: things worth counting that are no verdict. program, each CPU its own. */
#define EVENTS(X)                                                                                  \
	X(EARLY_REUSE, "early_reuse", "an own port was used again before its time")                \
	X(EVICTED, "evicted", "an unproven record gave way to a new one in a full bucket")         \
	X(SOURCE_FORGOTTEN, "source_forgotten", "a source's count gave way to another's: the table of rates was full") \
	X(UNRECORDED, "unrecorded", "a flow was steered by hash alone as the flow table was full") \
	X(HOPS_FULL, "hops_full", "no room for a client's next hop; looked up for each packet")

enum lb_event {
#define X(name, label, text) EVENT_##name,
	EVENTS(X)
#undef X
	EVENT_MAX
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct control) == 64, "control");
_Static_assert(sizeof(struct service_entry4) == 16, "service_entry4");
_Static_assert(MAX_SERVICES <= 1 << 16, "ENTRY_SERVED");
_Static_assert(sizeof(struct service_entry6) == 32, "service_entry6");
_Static_assert(sizeof(struct service) == 128, "service");
_Static_assert(sizeof(struct rate_bucket) == 128, "rate_bucket");
_Static_assert(sizeof(struct access_bound6) == 16, "access_bound6");
_Static_assert(1 << ACCESS_STEPS >= ACCESS_BOUNDS4 && ACCESS_BOUNDS4 >= ACCESS_BOUNDS6, "ACCESS_STEPS");
_Static_assert(sizeof(struct server) == 128, "server");
_Static_assert(sizeof(struct server_use) == 64, "server_use");
_Static_assert(sizeof(struct cursor) == 64, "cursor");
_Static_assert(sizeof(struct flow4) == 24, "flow4");
_Static_assert(sizeof(struct flow6) == 48, "flow6");
_Static_assert(sizeof(struct bucket4) == 128, "bucket4");
_Static_assert(sizeof(struct bucket6) == 256, "bucket6");
_Static_assert(sizeof(struct traffic) == 48, "traffic");

#endif
