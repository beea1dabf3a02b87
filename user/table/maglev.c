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

/*
 * No more than negative_log2(u), and close to it where u is near 2^64, as the winners' are: by the tangent there, below
 * which no logarithm's curve comes. Takes 1 ns, not 50.
 */
static uint64_t negative_log2_least(uint64_t u)
{
	enum { SLOPE = 12102203 }; /* 1 / (2 ln 2), in units of 2^-24, rounded down */
	int zeros = __builtin_clzll(u);

	return ((uint64_t)zeros << 24) + ((~(u << zeros) >> 32) * SLOPE >> 31);
}

/* With a part of its slots it is a smaller server. */
static uint32_t weight_now(const struct maglev_server *s)
{
	return s->weight * (100u - s->without);
}

/* Is this one of the slots it gives away for now? As they become fewer, each of them comes back once. */
static bool gives_away(const struct maglev_server *s, uint32_t slot)
{
	static const struct hash_key key = { { 0x7368617265000000ULL, 4 } };

	return s->without && ((hash_2(&key, s->key, slot) >> 32) * 100 >> 32) < s->without;
}

/* Those that may be given a slot, as the rendezvous wants them. */
struct rivals {
	uint32_t *index;       /* of the server */
	uint32_t *weight;      /* its weight_now() */
	uint64_t *mixed;       /* its key, as far as it can be hashed without a slot */
	size_t count;
	bool equal_weights;
};

static const struct hash_key rendezvous_key = { { 0x72656e6465000000ULL, 3 } };

/* hash_2() in two parts; the first is the same for all slots. Odd, so that it has a logarithm. */
static uint64_t score_begin(const struct maglev_server *s)
{
	return hash_mix(s->key ^ rendezvous_key.k[0]);
}

static uint64_t score(uint64_t mixed, uint32_t slot)
{
	return hash_mix(mixed ^ slot ^ rendezvous_key.k[1]) | 1;
}

/*
 * The highest score of those up, but for `not`. With weight w, -log(hash) / w is smallest; equal weights compare hashes
 * alone. UINT32_MAX: nobody else is up.
 */
static uint32_t rendezvous(const struct rivals *up, uint32_t not, uint32_t slot)
{
	uint64_t best_hash = 0, best_log = 0, best_weight = 0; /* a log is 2^30 at most, a weight below 2^15 */
	uint32_t best = UINT32_MAX;

	for (size_t i = 0; up->equal_weights && i < up->count; i++) {
		const uint64_t hash = score(up->mixed[i], slot);

		/* No hash is 0. */
		if (hash > best_hash && up->index[i] != not) {
			best = up->index[i];
			best_hash = hash;
		}
	}
	for (size_t i = 0; !up->equal_weights && i < up->count; i++) {
		const uint64_t hash = score(up->mixed[i], slot), weight = up->weight[i];
		uint64_t log;

		/* log / weight < best_log / best_weight, without a division; few servers need their logarithm for it */
		if (up->index[i] == not ||
		    (best != UINT32_MAX && negative_log2_least(hash) * best_weight >= best_log * weight))
			continue;
		log = negative_log2(hash);
		if (best == UINT32_MAX || log * best_weight < best_log * weight) {
			best = up->index[i];
			best_log = log;
			best_weight = weight;
		}
	}
	return best;
}

static void rivals_done(struct rivals *up)
{
	free(up->index);
	free(up->weight);
	free(up->mixed);
}

/* Who is up; none when nobody is, or nobody has weight. 0 or -ENOMEM. */
static int find_up(const struct maglev_server *servers, size_t count, struct rivals *ret)
{
	*ret = (struct rivals){ .equal_weights = true };
	ret->index = calloc(count + 1, sizeof(*ret->index));
	ret->weight = calloc(count + 1, sizeof(*ret->weight));
	ret->mixed = calloc(count + 1, sizeof(*ret->mixed));
	if (!ret->index || !ret->weight || !ret->mixed)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!servers[i].up || !servers[i].weight)
			continue;
		ret->index[ret->count] = i;
		ret->weight[ret->count] = weight_now(&servers[i]);
		ret->mixed[ret->count] = score_begin(&servers[i]);
		if (ret->weight[ret->count++] != ret->weight[0])
			ret->equal_weights = false;
	}
	return 0;
}

/* Whose a slot is, whose owner in the base table is given. */
static uint32_t answer(const struct maglev_server *servers, const struct rivals *up, uint32_t owner, uint32_t slot)
{
	uint32_t other = owner;

	if (!servers[owner].up)
		other = rendezvous(up, UINT32_MAX, slot);
	else if (gives_away(&servers[owner], slot))
		other = rendezvous(up, owner, slot);
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
	_cleanup_(rivals_done) struct rivals up = {};
	int r = sort(servers, count);

	if (r == 0)
		r = find_up(servers, count, &up);
	if (r < 0)
		return r;
	/* Whoever is alone is every slot's answer. */
	if (up.count < 2) {
		for (uint32_t slot = 0; slot < size; slot++)
			slots[slot] = up.count ? servers[up.index[0]].value : 0;
		return 0;
	}
	r = fill_base(servers, count, slots, size);
	if (r < 0)
		return r;
	for (uint32_t slot = 0; slot < size; slot++)
		slots[slot] = servers[answer(servers, &up, slots[slot], slot)].value;
	return 0;
}

int maglev_fill_makeshift(struct maglev_server *servers, size_t count, uint32_t *slots, uint32_t size)
{
	int r = maglev_fill(servers, count, slots, MAGLEV_MAKESHIFT);

	for (uint32_t slot = MAGLEV_MAKESHIFT; r == 0 && slot < size; slot++)
		slots[slot] = slots[slot - MAGLEV_MAKESHIFT];
	return r;
}

/* ---- the same, from what was known before ---- */

void maglev_cache_done(struct maglev_cache *c)
{
	free(c->servers);
	free(c->first);
	free(c->owned);
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
	c->first = calloc(count + 2, sizeof(*c->first));
	c->owned = calloc(size, sizeof(*c->owned));
	c->current = calloc(size, sizeof(*c->current));
	if (!c->servers || !c->first || !c->owned || !c->current) {
		maglev_cache_done(c);
		return -ENOMEM;
	}
	/* Counted, summed up, and put where the sums say, each of which then stands at the end of its server's. */
	for (uint32_t slot = 0; slot < size; slot++)
		c->first[slots[slot] + 2]++;
	for (size_t i = 2; i <= count; i++)
		c->first[i] += c->first[i - 1];
	for (uint32_t slot = 0; slot < size; slot++) {
		c->owned[c->first[slots[slot] + 1]++] = slot;
		c->current[slot] = slots[slot];
	}
	c->size = size;
	c->count = count;
	return 0;
}

/* Does server a come before server b in this slot's order? As rendezvous() decides; the one that stands first wins a tie. */
static bool beats(const struct maglev_server *servers, uint32_t a, uint32_t b, uint32_t slot, bool equal_weights)
{
	uint32_t index[2] = { a < b ? a : b, a < b ? b : a };
	uint32_t weight[2] = { weight_now(&servers[index[0]]), weight_now(&servers[index[1]]) };
	uint64_t mixed[2] = { score_begin(&servers[index[0]]), score_begin(&servers[index[1]]) };
	const struct rivals pair = { .index = index, .weight = weight, .mixed = mixed, .count = 2,
				     .equal_weights = equal_weights };

	return rendezvous(&pair, UINT32_MAX, slot) == a;
}

enum { CHANGED = 1, PLAIN = 2 /* up, with all its slots */ };

/* What is new since the cache was last brought up to date. */
struct news {
	struct rivals up;
	uint8_t *marks;        /* by server */
	uint32_t *changes;     /* servers whose state changed */
	size_t change_count;
};

static void news_done(struct news *n)
{
	rivals_done(&n->up);
	free(n->marks);
	free(n->changes);
}

/* `all`: nothing is known of before. */
static int find_news(const struct maglev_cache *c, const struct maglev_server *servers, size_t count, bool all,
		     struct news *n)
{
	n->marks = calloc(count + 1, sizeof(*n->marks));
	n->changes = calloc(count + 1, sizeof(*n->changes));
	if (!n->marks || !n->changes)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct maglev_server *s = &servers[i], *before = &c->servers[i];

		n->marks[i] = s->up && !s->without ? PLAIN : 0;
		if (!all && n->up.equal_weights == c->equal_weights && s->up == before->up &&
		    s->without == before->without)
			continue;
		n->marks[i] |= CHANGED;
		n->changes[n->change_count++] = i;
	}
	return 0;
}

/*
 * A slot's answer can change only if its owner's state did, or its present holder's, or if one whose state changed beats
 * the holder. Whoever is up with all its slots holds them, then as before.
 */
static uint32_t renew(const struct maglev_cache *c, const struct maglev_server *servers, const struct news *n,
		      uint32_t owner, uint32_t slot)
{
	const uint32_t holder = c->current[slot];
	uint32_t best = holder;

	if ((n->marks[owner] | n->marks[holder]) & CHANGED)
		return answer(servers, &n->up, owner, slot);
	if (holder == owner && !gives_away(&servers[owner], slot))
		return holder;
	for (size_t i = 0; i < n->change_count; i++) {
		const struct maglev_server *s = &servers[n->changes[i]];

		if (s->up && s->weight && (best == owner || beats(servers, n->changes[i], best, slot, n->up.equal_weights)))
			best = n->changes[i];
	}
	return best;
}

/* Brings the cache up to date. Slots that change are put into `ret`, unless that is NULL. 0 or -ENOMEM. */
static int cache_update(struct maglev_cache *c, const struct maglev_server *servers, const struct news *n,
			struct maglev_changes *ret)
{
	for (uint32_t owner = 0; owner < c->count; owner++)
		for (uint32_t i = c->first[owner]; n->marks[owner] != PLAIN && i < c->first[owner + 1]; i++) {
			const uint32_t slot = c->owned[i], best = renew(c, servers, n, owner, slot);
			struct maglev_change *change;

			if (best == c->current[slot])
				continue;
			c->current[slot] = best;
			if (!ret)
				continue;
			change = vec_push(ret);
			if (!change)
				return -ENOMEM;
			*change = (struct maglev_change){ slot, servers[best].value };
		}
	c->equal_weights = n->up.equal_weights;
	c->nobody = false;
	memcpy(c->servers, servers, c->count * sizeof(*servers));
	return 0;
}

int maglev_fill_cached(struct maglev_cache *c, struct maglev_server *servers, size_t count, uint32_t *slots,
		       uint32_t size)
{
	_cleanup_(news_done) struct news n = {};
	bool fits;
	int r = sort(servers, count);

	if (r == 0)
		r = find_up(servers, count, &n.up);
	if (r < 0)
		return r;
	fits = fits_sorted(c, servers, count, size);
	/* With nobody up, or one who needs no base, the one that is there is kept for those who will. */
	if (size < MAGLEV_CACHED_MIN || count >= UINT16_MAX || n.up.count < (fits ? 1 : 2)) {
		if (size < MAGLEV_CACHED_MIN || count >= UINT16_MAX)
			maglev_cache_done(c);
		c->nobody = true;
		return maglev_fill(servers, count, slots, size);
	}
	r = fits ? 0 : cache_begin(c, servers, count, slots, size);
	if (r == 0)
		r = find_news(c, servers, count, !fits, &n);
	if (r == 0)
		r = cache_update(c, servers, &n, NULL);
	if (r < 0)
		return r;
	for (uint32_t slot = 0; slot < size; slot++)
		slots[slot] = servers[c->current[slot]].value;
	return 0;
}

/* Is each server still given by the same value? */
static bool same_values(const struct maglev_cache *c, const struct maglev_server *servers)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->servers[i].value != servers[i].value)
			return false;
	return true;
}

int maglev_change(struct maglev_cache *c, struct maglev_server *servers, size_t count, uint32_t size,
		  struct maglev_changes *ret)
{
	_cleanup_(news_done) struct news n = {};
	int r = sort(servers, count);

	if (r == 0)
		r = find_up(servers, count, &n.up);
	if (r < 0)
		return r;
	if (!n.up.count || c->nobody || !fits_sorted(c, servers, count, size) || !same_values(c, servers))
		return -ESTALE;
	r = find_news(c, servers, count, false, &n);
	if (r == 0)
		r = cache_update(c, servers, &n, ret);
	if (r < 0)
		maglev_cache_done(c);
	return r;
}
