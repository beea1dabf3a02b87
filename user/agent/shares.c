/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a backend's slots are shared out among its servers, for those who show it. Counted in the map, once for each
 * change of the slots: millions of them would take longer than the whole rest of a scrape. Part of the reconciler.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile_internal.h"
#include "base/cleanup.h"

/*
 * What a server is on every balancer, whatever its id: its name and address. All that a digest is made of goes through
 * the secret: it tells nothing of the tables, and differs where the secret does.
 */
static uint64_t identity(const struct hash_key *key, const struct model_server *s)
{
	char text[ENDPOINT_TEXT_MAX];
	uint64_t sum = 0;

	for (const char *c = s->name; *c; c++)
		sum = hash_2(key, sum, (unsigned char)*c);
	for (const char *c = endpoint_format(&s->at, text); *c; c++)
		sum = hash_2(key, sum, (unsigned char)*c);
	return sum;
}

static int count_slots(const struct reconcile *r, size_t backend, struct held *h)
{
	const struct model_backend *b = &r->model->backends.items[backend];
	const uint32_t *ids = r->at.servers + r->at.first[backend];
	const uint64_t *slots = &r->maps->slots[h->region.offset];
	_cleanup_free_ uint32_t *counts = calloc(b->servers.count + 1, sizeof(*counts));
	_cleanup_free_ uint64_t *identities = calloc(b->servers.count + 1, sizeof(*identities));
	_cleanup_free_ uint16_t *index_of = calloc(MAX_SERVERS, sizeof(*index_of));
	uint64_t digest = 1;

	if (!counts || !identities || !index_of)
		return -ENOMEM;
	/* The first place is nobody's: of slots that no server of the backend owns. */
	for (size_t i = 0; i < b->servers.count; i++) {
		index_of[ids[i] % MAX_SERVERS] = (uint16_t)(i + 1);
		identities[i + 1] = identity(&r->secret, &b->servers.items[i]);
	}
	for (uint32_t i = 0; i < h->region.size; i++) {
		const uint64_t slot = __atomic_load_n(&slots[i], __ATOMIC_RELAXED);
		const uint16_t index = index_of[SLOT_CURRENT(slot) % MAX_SERVERS];

		counts[index]++;
		digest = hash_mix(digest ^ identities[index]);
	}
	free(h->shares.counts);
	h->shares = (struct shares){ .changes = h->changes, .models = r->models, .digest = digest >> 32,
				     .counts = take_ptr(counts) };
	return 0;
}

bool reconcile_shares(struct reconcile *r, size_t backend, struct reconcile_shares *ret)
{
	struct held *h = &r->held[r->at.backends[backend]];
	const bool is_known = h->shares.counts && h->shares.changes == h->changes && h->shares.models == r->models;

	if (!h->region.size || (!is_known && count_slots(r, backend, h) < 0))
		return false;
	*ret = (struct reconcile_shares){ .slots = h->region.size, .digest = h->shares.digest,
					  .owned = h->shares.counts + 1 };
	return true;
}
