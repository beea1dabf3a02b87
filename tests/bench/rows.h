/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is measured: the data planes, the sites in them, and the lines of the table, each with the verdict that all of
 * its packets must have; and what is measured again at several sizes. Tables only; included by tests/bench/packet.c. A new
 * way of forwarding is a site, some rows and a path.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "measure.h"

enum {
	BUCKETS6 = 1 << 18,       /* IPv6's table as large as IPv4's default, for the same number of flows */
	BUCKETS4_MILLION = 1 << 22,
	BUCKETS6_UNUSED = 1 << 10,
	MANY = 1 << 16,
	FEW = 1 << 14,
	MILLION = 1 << 20,
	NETWORKS = 1000,
};

/* Each a data plane of its own. */
enum { WORLD_STEADY, WORLD_MILLION, WORLD_FRESH, WORLD_COUNT };

static const struct {
	const char *name;
	uint32_t buckets4, buckets6;
} worlds_wanted[WORLD_COUNT] = {
	[WORLD_STEADY] = { "steady", 0, BUCKETS6 },
	[WORLD_MILLION] = { "million", BUCKETS4_MILLION, BUCKETS6_UNUSED },
	[WORLD_FRESH] = { "fresh", 0, BUCKETS6 },
};

#define KIND(six, proto, fwd, bal, n_services, n_servers, ...)                                               \
	{                                                                                                    \
		.v6 = six, .protocol = IPPROTO_##proto, .forward = FORWARD_##fwd, .balance = BALANCE_##bal,  \
		.services = n_services, .servers = n_servers, ##__VA_ARGS__                                  \
	}

/* Sites: X(name, world, flows recorded before anything is timed, kind). */
#define SITES(X)                                                                               \
	X(NAT4, STEADY, MANY, KIND(false, TCP, NAT, ROUNDROBIN, 100, 100))                     \
	X(NAT6, STEADY, MANY, KIND(true, TCP, NAT, ROUNDROBIN, 100, 100))                      \
	X(NAT_UDP4, STEADY, FEW, KIND(false, UDP, NAT, ROUNDROBIN, 100, 100))                  \
	X(NAT_UDP6, STEADY, FEW, KIND(true, UDP, NAT, ROUNDROBIN, 100, 100))                   \
	X(TURNS4, STEADY, MANY, KIND(false, TCP, DSR, ROUNDROBIN, 100, 100))                   \
	X(TURNS6, STEADY, MANY, KIND(true, TCP, DSR, ROUNDROBIN, 100, 100))                    \
	X(DIRTY4, STEADY, MANY, KIND(false, TCP, DSR, MAGLEV, 100, 100, .dirty = true))        \
	X(DIRTY6, STEADY, MANY, KIND(true, TCP, DSR, MAGLEV, 100, 100, .dirty = true))         \
	X(DSR4, STEADY, 0, KIND(false, TCP, DSR, MAGLEV, 100, 100))                            \
	X(DSR6, STEADY, 0, KIND(true, TCP, DSR, MAGLEV, 100, 100))                             \
	X(ACCESS4, STEADY, 0, KIND(false, TCP, DSR, MAGLEV, 100, 100, .networks = NETWORKS))    \
	X(ACCESS6, STEADY, 0, KIND(true, TCP, DSR, MAGLEV, 100, 100, .networks = NETWORKS))     \
	X(RATE4, STEADY, 0, KIND(false, TCP, DSR, MAGLEV, 100, 100, .rate = true))              \
	X(RATE6, STEADY, 0, KIND(true, TCP, DSR, MAGLEV, 100, 100, .rate = true))               \
	X(DSR_UDP4, STEADY, 0, KIND(false, UDP, DSR, MAGLEV, 100, 100))                        \
	X(DSR_UDP6, STEADY, 0, KIND(true, UDP, DSR, MAGLEV, 100, 100))                         \
	X(IPIP4, STEADY, 0, KIND(false, TCP, IPIP, MAGLEV, 100, 100))                          \
	X(IPIP6, STEADY, 0, KIND(true, TCP, IPIP, MAGLEV, 100, 100))                           \
	X(IPIP_UDP4, STEADY, 0, KIND(false, UDP, IPIP, MAGLEV, 100, 100))                      \
	X(IPIP_UDP6, STEADY, 0, KIND(true, UDP, IPIP, MAGLEV, 100, 100))                       \
	X(NAT4_MILLION, MILLION, MILLION, KIND(false, TCP, NAT, ROUNDROBIN, 100, 100))         \
	X(TURNS4_MILLION, MILLION, MILLION, KIND(false, TCP, DSR, ROUNDROBIN, 100, 100))       \
	X(NAT4_NEW, FRESH, 0, KIND(false, TCP, NAT, ROUNDROBIN, 100, 100))                     \
	X(NAT6_NEW, FRESH, 0, KIND(true, TCP, NAT, ROUNDROBIN, 100, 100))                      \
	X(NAT_UDP4_NEW, FRESH, 0, KIND(false, UDP, NAT, ROUNDROBIN, 100, 100))                 \
	X(NAT_UDP6_NEW, FRESH, 0, KIND(true, UDP, NAT, ROUNDROBIN, 100, 100))                  \
	X(TURNS4_NEW, FRESH, 0, KIND(false, TCP, DSR, ROUNDROBIN, 100, 100))                   \
	X(TURNS6_NEW, FRESH, 0, KIND(true, TCP, DSR, ROUNDROBIN, 100, 100))

enum {
#define X(name, world, flows, kind) SITE_##name,
	SITES(X)
#undef X
	SITE_COUNT
};

static const struct {
	const char *name;
	int world;
	uint32_t flows;
	struct site_kind kind;
} sites_wanted[SITE_COUNT] = {
#define X(n, w, f, ...) [SITE_##n] = { .name = #n, .world = WORLD_##w, .flows = f, .kind = __VA_ARGS__ },
	SITES(X)
#undef X
};

/* What is put under test, one after the other. The balancer is there once a world: PROGRAM_LB + WORLD_*. */
enum { PROGRAM_TX = 1, PROGRAM_HEAD, PROGRAM_IPIP, PROGRAM_LINE, PROGRAM_LB, PROGRAM_END = PROGRAM_LB + WORLD_COUNT };

enum { ROW_BASE4, ROW_BASE6 };

#define ROW(n, at, what, how_many, its, ...) \
	{ .name = n, .site = at, .stream = what, .flows = how_many, .verdict = its, ##__VA_ARGS__ }
#define FLOOR(n, at, what, how_many) \
	{ .name = n, .site = at, .stream = STREAM_REQUEST, .flows = how_many, .floor = what }

/* Every packet of a row must have the verdict, or the other one where there are two; else there is no figure. */
static const struct row_kind {
	const char *name;
	int site;
	enum stream stream;
	uint32_t flows;
	enum verdict verdict, other;
	int floor;                /* PROGRAM_*; 0 = the balancer */
} rows_wanted[] = {
	[ROW_BASE4] = FLOOR("floor: XDP_TX at once", SITE_NAT4, PROGRAM_TX, 1),
	[ROW_BASE6] = FLOOR("floor: XDP_TX at once", SITE_NAT6, PROGRAM_TX, 1),
	FLOOR("floor: room for a header", SITE_NAT4, PROGRAM_HEAD, 1),
	FLOOR("floor: parse, constant IPIP header", SITE_NAT4, PROGRAM_IPIP, 1),
	FLOOR("floor: one line of 32 MiB, 64 k flows", SITE_NAT4, PROGRAM_LINE, MANY),

	ROW("not for us", SITE_NAT4, STREAM_NOBODY, MANY, VERDICT_NO_SERVICE),
	ROW("not for us", SITE_NAT6, STREAM_NOBODY, MANY, VERDICT_NO_SERVICE),
	ROW("own address and port, no connection", SITE_NAT4, STREAM_OWN_PORT, MANY, VERDICT_NO_SERVICE),
	ROW("own address and port, no connection", SITE_NAT6, STREAM_OWN_PORT, MANY, VERDICT_NO_SERVICE),

	ROW("ipip, clean slot", SITE_IPIP4, STREAM_REQUEST, 1, VERDICT_IPIP),
	ROW("ipip, clean slot", SITE_IPIP6, STREAM_REQUEST, 1, VERDICT_IPIP),
	ROW("ipip, clean slot", SITE_IPIP4, STREAM_REQUEST, MILLION, VERDICT_IPIP),
	ROW("ipip, clean slot", SITE_IPIP6, STREAM_REQUEST, MILLION, VERDICT_IPIP),
	ROW("ipip, clean slot, new connection", SITE_IPIP4, STREAM_NEW, 0, VERDICT_IPIP),
	ROW("ipip, clean slot, new connection", SITE_IPIP6, STREAM_NEW, 0, VERDICT_IPIP),
	ROW("ipip, clean slot, UDP", SITE_IPIP_UDP4, STREAM_REQUEST, MILLION, VERDICT_IPIP),
	ROW("ipip, clean slot, UDP", SITE_IPIP_UDP6, STREAM_REQUEST, MILLION, VERDICT_IPIP),

	ROW("dsr, clean slot", SITE_DSR4, STREAM_REQUEST, 1, VERDICT_DSR),
	ROW("dsr, clean slot", SITE_DSR6, STREAM_REQUEST, 1, VERDICT_DSR),
	ROW("dsr, clean slot", SITE_DSR4, STREAM_REQUEST, MILLION, VERDICT_DSR),
	ROW("dsr, clean slot", SITE_DSR6, STREAM_REQUEST, MILLION, VERDICT_DSR),
	ROW("dsr, clean slot, new connection", SITE_DSR4, STREAM_NEW, 0, VERDICT_DSR),
	ROW("dsr, clean slot, new connection", SITE_DSR6, STREAM_NEW, 0, VERDICT_DSR),
	ROW("dsr, access list of 1000 networks, new connection", SITE_ACCESS4, STREAM_NEW, 0, VERDICT_DSR),
	ROW("dsr, access list of 1000 networks, new connection", SITE_ACCESS6, STREAM_NEW, 0, VERDICT_DSR),
	ROW("dsr, rate limit, new connection", SITE_RATE4, STREAM_NEW, 0, VERDICT_DSR),
	ROW("dsr, rate limit, new connection", SITE_RATE6, STREAM_NEW, 0, VERDICT_DSR),
	ROW("dsr, rate limit, new connection of 64 k clients", SITE_RATE4, STREAM_CROWD, 0, VERDICT_DSR),
	ROW("dsr, rate limit, new connection of 64 k clients", SITE_RATE6, STREAM_CROWD, 0, VERDICT_DSR),
	ROW("dsr, clean slot, UDP", SITE_DSR_UDP4, STREAM_REQUEST, MILLION, VERDICT_DSR),
	ROW("dsr, clean slot, UDP", SITE_DSR_UDP6, STREAM_REQUEST, MILLION, VERDICT_DSR),

	ROW("dsr, dirty slot, established", SITE_DIRTY4, STREAM_REQUEST, 1, VERDICT_DSR),
	ROW("dsr, dirty slot, established", SITE_DIRTY6, STREAM_REQUEST, 1, VERDICT_DSR),
	ROW("dsr, dirty slot, established", SITE_DIRTY4, STREAM_REQUEST, MANY, VERDICT_DSR),
	ROW("dsr, dirty slot, established", SITE_DIRTY6, STREAM_REQUEST, MANY, VERDICT_DSR),
	ROW("dsr, roundrobin, established", SITE_TURNS4, STREAM_REQUEST, 1, VERDICT_DSR),
	ROW("dsr, roundrobin, established", SITE_TURNS6, STREAM_REQUEST, 1, VERDICT_DSR),
	ROW("dsr, roundrobin, established", SITE_TURNS4, STREAM_REQUEST, MANY, VERDICT_DSR),
	ROW("dsr, roundrobin, established", SITE_TURNS6, STREAM_REQUEST, MANY, VERDICT_DSR),
	ROW("dsr, roundrobin, established", SITE_TURNS4_MILLION, STREAM_REQUEST, MILLION, VERDICT_DSR),
	ROW("dsr, roundrobin, new connection", SITE_TURNS4_NEW, STREAM_NEW, 0, VERDICT_DSR),
	ROW("dsr, roundrobin, new connection", SITE_TURNS6_NEW, STREAM_NEW, 0, VERDICT_DSR),

	ROW("nat, established, request", SITE_NAT4, STREAM_REQUEST, 1, VERDICT_NAT_REQUEST),
	ROW("nat, established, request", SITE_NAT6, STREAM_REQUEST, 1, VERDICT_NAT_REQUEST),
	ROW("nat, established, request", SITE_NAT4, STREAM_REQUEST, MANY, VERDICT_NAT_REQUEST),
	ROW("nat, established, request", SITE_NAT6, STREAM_REQUEST, MANY, VERDICT_NAT_REQUEST),
	ROW("nat, established, request", SITE_NAT4_MILLION, STREAM_REQUEST, MILLION, VERDICT_NAT_REQUEST),
	ROW("nat, established, reply", SITE_NAT4, STREAM_REPLY, 1, VERDICT_NAT_REPLY),
	ROW("nat, established, reply", SITE_NAT6, STREAM_REPLY, 1, VERDICT_NAT_REPLY),
	ROW("nat, established, reply", SITE_NAT4, STREAM_REPLY, MANY, VERDICT_NAT_REPLY),
	ROW("nat, established, reply", SITE_NAT6, STREAM_REPLY, MANY, VERDICT_NAT_REPLY),
	ROW("nat, established, reply", SITE_NAT4_MILLION, STREAM_REPLY, MILLION, VERDICT_NAT_REPLY),
	ROW("nat, new connection", SITE_NAT4_NEW, STREAM_NEW, 0, VERDICT_NAT_REQUEST),
	ROW("nat, new connection", SITE_NAT6_NEW, STREAM_NEW, 0, VERDICT_NAT_REQUEST),
	ROW("nat, ACK of no known connection", SITE_NAT4, STREAM_UNKNOWN, 0, VERDICT_LIMITED, .other = VERDICT_NO_FLOW),
	ROW("nat, ACK of no known connection", SITE_NAT6, STREAM_UNKNOWN, 0, VERDICT_LIMITED, .other = VERDICT_NO_FLOW),
	ROW("nat, UDP, request", SITE_NAT_UDP4, STREAM_REQUEST, FEW, VERDICT_NAT_REQUEST),
	ROW("nat, UDP, request", SITE_NAT_UDP6, STREAM_REQUEST, FEW, VERDICT_NAT_REQUEST),
	ROW("nat, UDP, reply", SITE_NAT_UDP4, STREAM_REPLY, FEW, VERDICT_NAT_REPLY),
	ROW("nat, UDP, reply", SITE_NAT_UDP6, STREAM_REPLY, FEW, VERDICT_NAT_REPLY),
	ROW("nat, UDP, new flow", SITE_NAT_UDP4_NEW, STREAM_NEW, 0, VERDICT_NAT_REQUEST),
	ROW("nat, UDP, new flow", SITE_NAT_UDP6_NEW, STREAM_NEW, 0, VERDICT_NAT_REQUEST),
};

/* IPv4. Each path at each size is a data plane of its own, with one site in it: 10,000 services twice are too many for one. */
static const struct size {
	uint32_t services, servers;
} sizes_wanted[] = { { 1, 2 }, { 100, 100 }, { 10000, 1000 } };

/* Two servers take as many for MANY connections, and to have no more than half of their ports half-open in a run. */
#define PATH_OWN .own_addresses = 3
#define PATH(proto, fwd, bal, ...) KIND(false, proto, fwd, bal, 0, 0, ##__VA_ARGS__)

static const struct path {
	const char *name;
	struct site_kind kind;    /* but for the size */
	enum stream stream;
	uint32_t flows;
	uint32_t recorded;        /* flows, before anything is timed */
	bool fresh;               /* the flow table is emptied before each run */
	enum verdict verdict;
} paths_wanted[] = {
	{ "not for us", PATH(TCP, DSR, MAGLEV), STREAM_NOBODY, MANY, .verdict = VERDICT_NO_SERVICE },
	{ "ipip, clean slot", PATH(TCP, IPIP, MAGLEV), STREAM_REQUEST, MILLION, .verdict = VERDICT_IPIP },
	{ "dsr, clean slot", PATH(TCP, DSR, MAGLEV), STREAM_REQUEST, MILLION, .verdict = VERDICT_DSR },
	{ "dsr, dirty slot, established", PATH(TCP, DSR, MAGLEV, .dirty = true), STREAM_REQUEST, MANY, .recorded = MANY,
	  .verdict = VERDICT_DSR },
	{ "dsr, roundrobin, new connection", PATH(TCP, DSR, ROUNDROBIN), STREAM_NEW, .fresh = true, .verdict = VERDICT_DSR },
	{ "nat, established, request", PATH(TCP, NAT, ROUNDROBIN, PATH_OWN), STREAM_REQUEST, MANY, .recorded = MANY,
	  .verdict = VERDICT_NAT_REQUEST },
	{ "nat, new connection", PATH(TCP, NAT, ROUNDROBIN, PATH_OWN), STREAM_NEW, .fresh = true,
	  .verdict = VERDICT_NAT_REQUEST },
};

#endif
