/* SPDX-License-Identifier: BSD-2-Clause */
#include "table/maglev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <alwayson/hash.h>

#include "base/cleanup.h"
#include "base/gcd.h"

/* Each the largest prime below a power of two. */
static const uint32_t ladder[] = {
	509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071, 262139, 524287, MAGLEV_SLOTS_MAX,
};

uint32_t maglev_size(const struct maglev_server *servers, size_t count)
{
	uint64_t weights = 0, wanted;
	uint32_t divisor = 0;
	size_t owners = 0;

	for (size_t i = 0; i < count; i++) {
		weights += servers[i].weight;
		divisor = gcd(divisor, servers[i].weight);
		owners += servers[i].weight > 0;
	}
	if (!weights)
		return 0;
	wanted = weights / divisor * MAGLEV_SLOTS_PER_SHARE;
	if (wanted < owners * MAGLEV_SLOTS_PER_SERVER)
		wanted = owners * MAGLEV_SLOTS_PER_SERVER;
	for (size_t i = 0; i < array_size(ladder); i++)
		if (ladder[i] >= wanted)
			return ladder[i];
	return MAGLEV_SLOTS_MAX;
}

static int compare_keys(const void *a, const void *b)
{
	const struct maglev_server *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* A server's walk through the slots: offset, then steps of skip, modulo the prime size: it visits every slot once. */
struct walk {
	uint32_t next, skip;
	uint64_t credit;
};

static struct walk walk_begin(uint64_t key, uint32_t size)
{
	static const struct hash_key offset_key = { { 0x6f66667365740000ULL, 1 } };
	static const struct hash_key skip_key = { { 0x736b697000000000ULL, 2 } };
	struct walk w = {
		.next = hash_2(&offset_key, key, 0) % size,
		.skip = hash_2(&skip_key, key, 0) % (size - 1) + 1,
	};

	return w;
}

static uint32_t walk_step(struct walk *w, uint32_t size)
{
	uint32_t slot = w->next;
	uint64_t next = (uint64_t)slot + w->skip;

	w->next = next >= size ? next - size : next;
	return slot;
}

/* Base table: owner[slot] = index of the configured server. In each round a server claims weight / largest weight. */
static int fill_base(const struct maglev_server *servers, size_t count, uint32_t *owner, uint32_t size)
{
	_cleanup_free_ struct walk *walks = calloc(count, sizeof(*walks));
	uint32_t largest = 0, filled = 0;

	if (!walks)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		walks[i] = walk_begin(servers[i].key, size);
		if (servers[i].weight > largest)
			largest = servers[i].weight;
	}
	memset(owner, 0xff, (size_t)size * sizeof(*owner));
	while (filled < size) {
		for (size_t i = 0; i < count && filled < size; i++) {
			uint32_t slot;

			walks[i].credit += servers[i].weight;
			if (walks[i].credit < largest)
				continue;
			walks[i].credit -= largest;
			do
				slot = walk_step(&walks[i], size);
			while (owner[slot] != UINT32_MAX);
			owner[slot] = i;
			filled++;
		}
	}
	return 0;
}

/*
 * -log2(u / 2^64) in units of 2^-24, rounded down, by repeated squaring: exact to the bit on every machine.
 * u > 0.
 */
static uint64_t negative_log2(uint64_t u)
{
	int zeros = __builtin_clzll(u);
	uint64_t mantissa = u << zeros;
	uint64_t fraction = 0;

	for (int i = 0; i < 24; i++) {
		unsigned __int128 square = (unsigned __int128)mantissa * mantissa;

		fraction <<= 1;
		if (square >> 127) {
			fraction |= 1;
			mantissa = square >> 64;
		} else {
			mantissa = square >> 63;
		}
	}
	return ((uint64_t)(zeros + 1) << 24) - fraction;
}

/* With a part of its slots it is a smaller server. */
static uint64_t weight_now(const struct maglev_server *s)
{
	return (uint64_t)s->weight * (100 - s->without);
}

/* Is this one of the slots it gives away for now? As they become fewer, each of them comes back once. */
static bool gives_away(const struct maglev_server *s, uint32_t slot)
{
	static const struct hash_key key = { { 0x7368617265000000ULL, 4 } };

	return s->without && ((hash_2(&key, s->key, slot) >> 32) * 100 >> 32) < s->without;
}

/*
 * The highest score of those up, but for `not`. With weight w, -log(hash) / w is smallest; equal weights compare hashes
 * alone. UINT32_MAX: nobody else is up.
 */
static uint32_t rendezvous(const struct maglev_server *servers, const uint32_t *up, size_t count, uint32_t not,
			   uint32_t slot, bool equal_weights)
{
	static const struct hash_key key = { { 0x72656e6465000000ULL, 3 } };
	uint64_t best_hash = 0, best_log = 0, best_weight = 0;
	uint32_t best = UINT32_MAX;

	for (size_t i = 0; i < count; i++) {
		const struct maglev_server *s = &servers[up[i]];
		uint64_t hash = hash_2(&key, s->key, slot) | 1;

		if (up[i] == not)
			continue;
		if (equal_weights) {
			if (best == UINT32_MAX || hash > best_hash) {
				best = up[i];
				best_hash = hash;
			}
		} else {
			uint64_t log = negative_log2(hash);

			/* log / weight < best_log / best_weight, without a division */
			if (best == UINT32_MAX ||
			    (unsigned __int128)log * best_weight < (unsigned __int128)best_log * weight_now(s)) {
				best = up[i];
				best_log = log;
				best_weight = weight_now(s);
			}
		}
	}
	return best;
}

/* Who is up. False when nobody is, or nobody has weight. */
static bool find_up(const struct maglev_server *servers, size_t count, uint32_t *up, size_t *ret_ups, bool *ret_equal)
{
	size_t ups = 0;

	*ret_equal = true;
	for (size_t i = 0; i < count; i++) {
		if (!servers[i].up || !servers[i].weight)
			continue;
		up[ups++] = i;
		if (weight_now(&servers[i]) != weight_now(&servers[up[0]]))
			*ret_equal = false;
	}
	*ret_ups = ups;
	return ups;
}

/* Whose a slot is, whose owner in the base table is given. */
static uint32_t answer(const struct maglev_server *servers, const uint32_t *up, size_t ups, uint32_t owner, uint32_t slot,
		       bool equal_weights)
{
	uint32_t other = owner;

	if (!servers[owner].up)
		other = rendezvous(servers, up, ups, UINT32_MAX, slot, equal_weights);
	else if (gives_away(&servers[owner], slot))
		other = rendezvous(servers, up, ups, owner, slot, equal_weights);
	return other == UINT32_MAX ? owner : other;
}

/* By key, of which there may be no two alike. 0 or -EEXIST. */
static int sort(struct maglev_server *servers, size_t count)
{
	qsort(servers, count, sizeof(*servers), compare_keys);
	for (size_t i = 1; i < count; i++)
		if (servers[i].key == servers[i - 1].key)
			return -EEXIST;
	return 0;
}

int maglev_fill(struct maglev_server *servers, size_t count, uint32_t *slots, uint32_t size)
{
	_cleanup_free_ uint32_t *up = calloc(count + 1, sizeof(*up));
	bool equal_weights;
	size_t ups;
	int r = up ? sort(servers, count) : -ENOMEM;

	if (r < 0)
		return r;
	if (!find_up(servers, count, up, &ups, &equal_weights)) {
		memset(slots, 0, (size_t)size * sizeof(*slots));
		return 0;
	}
	r = fill_base(servers, count, slots, size);
	if (r < 0)
		return r;
	for (uint32_t slot = 0; slot < size; slot++)
		slots[slot] = servers[answer(servers, up, ups, slots[slot], slot, equal_weights)].value;
	return 0;
}

/* ---- the same, from what was known before ---- */

void maglev_cache_done(struct maglev_cache *c)
{
	free(c->servers);
	free(c->base);
	free(c->current);
	memset(c, 0, sizeof(*c));
}

static bool fits_sorted(const struct maglev_cache *c, const struct maglev_server *servers, size_t count, uint32_t size)
{
	if (c->size != size || c->count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (c->servers[i].key != servers[i].key || c->servers[i].weight != servers[i].weight)
			return false;
	return true;
}

bool maglev_cache_fits(const struct maglev_cache *c, struct maglev_server *servers, size_t count, uint32_t size)
{
	return sort(servers, count) == 0 && fits_sorted(c, servers, count, size);
}

/* The base table, which depends on nobody's state. `slots` is room to work in. */
static int cache_begin(struct maglev_cache *c, const struct maglev_server *servers, size_t count, uint32_t *slots,
		       uint32_t size)
{
	int r = fill_base(servers, count, slots, size);

	maglev_cache_done(c);
	if (r < 0)
		return r;
	c->servers = calloc(count, sizeof(*c->servers));
	c->base = calloc(size, sizeof(*c->base));
	c->current = calloc(size, sizeof(*c->current));
	if (!c->servers || !c->base || !c->current) {
		maglev_cache_done(c);
		return -ENOMEM;
	}
	for (uint32_t slot = 0; slot < size; slot++)
		c->base[slot] = slots[slot];
	c->size = size;
	c->count = count;
	return 0;
}

/* Does server a come before server b in this slot's order? As rendezvous() decides; the one that stands first wins a tie. */
static bool beats(const struct maglev_server *servers, uint32_t a, uint32_t b, uint32_t slot, bool equal_weights)
{
	const uint32_t pair[2] = { a < b ? a : b, a < b ? b : a };

	return rendezvous(servers, pair, 2, UINT32_MAX, slot, equal_weights) == a;
}

enum { CHANGED = 1, PLAIN = 2 /* up, with all its slots */ };

/*
 * A slot's answer can change only if its owner's state did, or its present holder's, or if one whose state changed beats
 * the holder. `marks` are of the servers; those that have changed stand in `changes`.
 */
static void cache_update(struct maglev_cache *c, const struct maglev_server *servers, const uint32_t *up, size_t ups,
			 const uint8_t *marks, const uint32_t *changes, size_t change_count, uint32_t *slots)
{
	for (uint32_t slot = 0; slot < c->size; slot++) {
		const uint32_t owner = c->base[slot], holder = c->current[slot];
		uint32_t best = holder;

		if ((marks[owner] | marks[holder]) & CHANGED)
			best = answer(servers, up, ups, owner, slot, c->equal_weights);
		else if (holder != owner || (!(marks[owner] & PLAIN) && gives_away(&servers[owner], slot)))
			for (size_t i = 0; i < change_count; i++)
				if (servers[changes[i]].up && servers[changes[i]].weight &&
				    (best == owner || beats(servers, changes[i], best, slot, c->equal_weights)))
					best = changes[i];
		c->current[slot] = best;
		slots[slot] = servers[best].value;
	}
}

int maglev_fill_cached(struct maglev_cache *c, struct maglev_server *servers, size_t count, uint32_t *slots,
		       uint32_t size)
{
	_cleanup_free_ uint32_t *up = calloc(count + 1, sizeof(*up)), *changes = calloc(count + 1, sizeof(*changes));
	_cleanup_free_ uint8_t *marks = calloc(count + 1, sizeof(*marks));
	size_t ups, change_count = 0;
	bool equal_weights, fits;
	int r;

	if (!up || !changes || !marks)
		return -ENOMEM;
	r = sort(servers, count);
	if (r < 0)
		return r;
	fits = fits_sorted(c, servers, count, size);
	/* With nobody up the base, and how it was last, are kept for those who will be. */
	if (size < MAGLEV_CACHED_MIN || count >= UINT16_MAX || !find_up(servers, count, up, &ups, &equal_weights)) {
		if (!fits)
			maglev_cache_done(c);
		return maglev_fill(servers, count, slots, size);
	}
	r = fits ? 0 : cache_begin(c, servers, count, slots, size);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		const struct maglev_server *s = &servers[i], *before = &c->servers[i];

		marks[i] = s->up && !s->without ? PLAIN : 0;
		if (fits && equal_weights == c->equal_weights && s->up == before->up && s->without == before->without)
			continue;
		marks[i] |= CHANGED;
		changes[change_count++] = i;
	}
	c->equal_weights = equal_weights;
	cache_update(c, servers, up, ups, marks, changes, change_count, slots);
	memcpy(c->servers, servers, count * sizeof(*servers));
	return 0;
}
