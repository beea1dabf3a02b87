/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of a backend's servers get new connections now, and the slots that say so. Pure: from the model, health and ids
 * to a list of members and an array of server ids; the reconciler puts it into the map.
 */
#ifndef AGENT_LAYOUT_H
#define AGENT_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "health/health.h"
#include "model/model.h"
#include "table/maglev.h"

/* One server as its backend's table sees it. Compared as a whole: a backend whose members are as before is left alone. */
struct layout_member {
	uint64_t key;     /* of its identity, the same on every balancer */
	uint32_t id;      /* server id */
	uint32_t weight;  /* in the table */
	bool chosen;      /* gets new connections */
	bool down;        /* its checks say so: datagrams don't wait for it. No part of the table */
	uint8_t share;    /* percent of what its weight gives it: slowstart, agent-check */
};

struct layout {
	struct vec(struct layout_member) members;
	bool two_sides;   /* there are backups beside others ... */
	bool backups;     /* ... and the table is theirs. No parts of it: the weights say it */
};

/*
 * Chooses: the servers that accept new connections; when there is none, the backups that do: all of them with `option
 * allbackups`, else the first. The table's base is over the servers or over the backups, never both.
 * views and ids are by the server's index. 0 or -ENOMEM.
 */
int layout_choose(const struct model_backend *b, const struct health_view *views, const uint32_t *ids,
		  const uint64_t *keys, struct layout *ret);
bool layout_equal(const struct layout *a, const struct layout *b);
/* Of what layout_equal() compares; never 0. */
uint64_t layout_digest(const struct layout *l);
/*
 * How many slots it wants. Round robin: 0 when nobody is chosen. The hashes: by the configured weights alone, so that
 * the size stays when servers come and go; with nobody chosen every slot is 0.
 */
uint32_t layout_size(const struct layout *l, enum model_balance balance);
/* Is filling it a matter of milliseconds: a small table, or one whose base is known? cache may be NULL. */
bool layout_is_quick(const struct layout *l, const struct maglev_cache *cache, uint32_t size);
/* Fills slots[0 .. size) with server ids; `cache` is the backend's, for the hashes. 0, -ENOMEM or -EEXIST. */
int layout_fill(const struct layout *l, enum model_balance balance, struct maglev_cache *cache, uint32_t *slots,
		uint32_t size);
/* For the time that the base of a large table takes: of the same servers, by their weights. 0, -ENOMEM or -EEXIST. */
int layout_fill_makeshift(const struct layout *l, uint32_t *slots, uint32_t size);
/* Not with nobody, or only one, to choose. */
bool layout_needs_base(const struct layout *l);
void layout_choose_all(struct layout *l);
/* Appends what of it is not as `cache` has it, for the hashes; then it has. 0, -ENOMEM, -EEXIST; -ESTALE: fill it. */
int layout_change(const struct layout *l, struct maglev_cache *cache, uint32_t size, struct maglev_changes *ret);
/*
 * Would a layout of the same servers, with the weights of `before`, whose base `cache` has, say who gets new connections?
 * Not where all those who are chosen had no weight.
 */
bool layout_can_have_weights(const struct layout *l, const struct layout *before, const struct maglev_cache *cache,
			     uint32_t size);
void layout_take_weights(struct layout *l, const struct layout *before);
/* 0 or -ENOMEM. */
int layout_copy(const struct layout *l, struct layout *ret);
void layout_done(struct layout *l);

#endif
