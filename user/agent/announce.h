/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Brings service addresses up and takes them down, as `announce` asks: up while enough servers take new connections, so
 * that a routing daemon which announces what is on the interface, or the neighbours themselves, send their packets here.
 * Part of the agent; the only one who calls net_claim(). An address that somebody else made is never touched.
 */
#ifndef AGENT_ANNOUNCE_H
#define AGENT_ANNOUNCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct agent;
struct announce;

enum announce_limit {
	ANNOUNCE_RISE_MS = 3000, /* enough servers for so long: an address that was withdrawn is brought up again ... */
	ANNOUNCE_FALL_MS = 500,  /* ... too few for so long: it is withdrawn */
	ANNOUNCE_LIFE_S = 3,     /* on-agent-death withdraw: the kernel takes an address away when it is not renewed */
	ANNOUNCE_TICK_MS = 1000, /* it is renewed, and what did not succeed is tried again */
	ANNOUNCE_SOON_MS = 20,   /* the kernel has too much to answer: a little later */
	ANNOUNCE_TELLS = 3,      /* gratuitous ARP or NA after an address has come up ... */
	ANNOUNCE_TELL_MS = 500,  /* ... at this distance */
};

/* How one address is. */
struct announce_view {
	struct addr addr;
	const char *interface;
	const char *state;    /* a literal: "up", "down", "starting", "withdrawn", "foreign", "failed" */
	const char *why;      /* a literal; "" = nothing to say */
	unsigned need, fit;   /* servers that must, and do, take new connections */
	bool up;              /* the interface has it */
	uint64_t since_ms;    /* wall clock, of the last change between up and down; 0 = never */
	uint64_t changes;
};

/* 0 or -ENOMEM. */
int announce_new(struct agent *a, struct announce **ret);
void announce_free(struct announce *an); /* takes NULL; changes no address */
/* Takes the agent's model: addresses that it no longer names are withdrawn. 0; -ENOMEM, and all is as before. */
int announce_configure(struct announce *an);
/* Servers, interfaces or addresses have changed. */
void announce_update(struct announce *an);
/* The kernel has answered; net_ops.on_claim. */
void announce_answered(struct announce *an, const struct addr *addr, bool claimed, int error);
/* The operator takes this balancer out of service, or puts it back. Survives a restart. True when that changed anything. */
bool announce_set_withdrawn(struct announce *an, bool withdrawn);
bool announce_is_withdrawn(const struct announce *an);
/* Withdraws all for good: the agent stops, or steers no more. Returns how long to wait with that, in ms; 0 = not at all. */
uint32_t announce_stop(struct announce *an);
/* Visits all, in the order of the file. */
void announce_each(const struct announce *an, void (*visit)(const struct announce_view *v, void *ctx), void *ctx);
/* What outlives the agent: who withdrew, and which addresses are ours. A new reference, or NULL (no memory). */
json_t *announce_save(const struct announce *an);
/* Right after the first announce_configure(). Addresses that an agent before us left and nobody wants are withdrawn. */
void announce_restore(struct announce *an, const json_t *from);

#endif
