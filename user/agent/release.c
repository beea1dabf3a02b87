/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What no flow names any more is freed: leaving servers, unused addresses, clients' next hops. Part of the reconciler.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile_internal.h"
#include "base/cleanup.h"

static void release_leaving(struct reconcile *r, const struct sweep_result *s)
{
	_cleanup_free_ uint8_t *previous = calloc(MAX_SERVERS, 1);

	if (!previous)
		return;
	slots_mark_previous(r, previous);
	for (uint32_t id = 1; id < MAX_SERVERS; id++) {
		struct dataplane_identity *e = &r->servers.table[id];
		struct tracked *t = &r->tracked[id];

		if (!e->identity || s->entries[id])
			continue;
		if (e->state == ID_LEAVING && !previous[id]) {
			/* From now on its records match nothing; a whole pass later none is left. */
			reconcile_bump_generation(r, id);
			slots_forget_server(r, id);
			e->state = ID_DYING;
			t->dying_epoch = r->epoch++;
		} else if (e->state == ID_DYING && s->epoch > t->dying_epoch) {
			if (t->watched.family)
				net_unwatch(r->net, &t->watched);
			memset(t, 0, sizeof(*t));
			memset(&r->maps->use[id], 0, sizeof(r->maps->use[id]));
			memset(&r->maps->servers[id], 0, sizeof(struct server));
			memset(&r->maps->servers[MAX_SERVERS + id], 0, sizeof(struct server));
			ids_free(&r->servers, id);
		}
	}
}

/*
 * Clients' next hops: one that no entry names is first taken from new learners (its address stays valid for a flow that
 * is being recorded right now), and freed a whole pass later.
 */
static void release_hops(struct reconcile *r, const struct sweep_result *s)
{
	for (uint32_t id = 1; id < MAX_HOPS; id++) {
		uint64_t *peer = (uint64_t *)&r->maps->hops[id].peer;
		uint64_t value = __atomic_load_n(peer, __ATOMIC_ACQUIRE);
		const uint64_t state = value >> 48 << 48;
		const struct net_interface *nic = state == HOP_LIVE ? net_interface_by_index(r->net, r->maps->hops[id].ifindex) : NULL;

		if (nic && nic->mtu != r->maps->hops[id].mtu)
			__atomic_store_n(&r->maps->hops[id].mtu, nic->mtu, __ATOMIC_RELAXED);
		if (state == HOP_LIVE && !s->hops[id])
			__atomic_compare_exchange_n(peer, &value, (value & ~state) | HOP_RETIRED, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
		else if (state == HOP_RETIRED && s->hops[id])
			store_word(peer, (value & ~state) | HOP_LIVE);
		else if (state == HOP_RETIRED)
			store_word(peer, 0);
	}
}

void reconcile_after_sweep(struct reconcile *r, const struct sweep_result *s)
{
	bool changed = slots_after_sweep(r, s->pass);

	/* While tables wait, those who leave have slots. */
	if (s->epoch != r->epoch || r->waiting || r->untrue) {
		if (changed)
			reconcile_run(r, r->health);
		return;
	}
	release_hops(r, s);
	release_leaving(r, s);
	if (addresses_free_unused(&r->addresses, s->addresses)) {
		r->entries_stale = true;
		changed = true;
	}
	if (changed)
		reconcile_run(r, r->health);
}
