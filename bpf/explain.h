/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a dry run tells (alwayson/explain.h). The agent loads the program a second time with `dry_run` set, where it works
 * on copies of all that it writes; in the one that steers, the verifier removes every line of this file but the look at
 * `dry_run`. Called by the stages where they decide; must not decide anything.
 */
#ifndef BPF_EXPLAIN_H
#define BPF_EXPLAIN_H

#include <alwayson/explain.h>

#include "maps.h"

/* A variable, not a map that is looked up: it takes no stack, and the deepest chain of calls has none to spare. */
struct explanation explained;

static __always_inline void explain(__u64 step)
{
	if (dry_run)
		explained.steps |= step;
}

static __always_inline void explain_service(__u32 service)
{
	if (dry_run) {
		explained.steps |= EXPLAIN_SERVICE;
		explained.service = service;
	}
}

static __always_inline void explain_reply(__u64 tag)
{
	if (dry_run) {
		explained.steps |= EXPLAIN_REPLY;
		explained.flow = tag;
		explained.server = FLOW_SERVER(tag);
	}
}

/* found: NULL when the flow table does not know the connection. */
static __always_inline void explain_record(const void *found, __u64 tag)
{
	if (dry_run) {
		explained.steps |= found ? EXPLAIN_RECORD_ASKED | EXPLAIN_RECORD_FOUND : EXPLAIN_RECORD_ASKED;
		explained.flow = found ? tag : 0;
	}
}

static __always_inline void explain_slot(__u64 step, __u64 index, __u64 slot)
{
	if (dry_run) {
		explained.steps |= step;
		explained.slot_index = index;
		explained.slot = slot;
	}
}

static __always_inline void explain_old_table(__u32 server)
{
	if (dry_run) {
		explained.steps |= EXPLAIN_OLD_TABLE;
		explained.old_server = server;
	}
}

static __always_inline void explain_server(__u32 server)
{
	if (dry_run)
		explained.server = server;
}

static __always_inline void explain_quic(__u32 server)
{
	if (dry_run && server) {
		explained.steps |= EXPLAIN_QUIC;
		explained.server = server;
	}
}

static __always_inline void explain_own_port(__u16 address, __be16 port)
{
	if (dry_run) {
		explained.steps |= EXPLAIN_OWN_PORT;
		explained.own_address = address;
		explained.own_port = port;
	}
}

static __always_inline void explain_end(__u32 verdict, __u32 way_out, __u32 server)
{
	if (dry_run) {
		explained.verdict = verdict;
		explained.way_out = way_out;
		if (server)
			explained.server = server;
	}
}

#endif
