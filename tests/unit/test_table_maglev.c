/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consistent-hash table: the same everywhere whatever came before, even shares, and nobody moves but who must. Its
 * known answers keep a change of the table, which would break connections on every upgrade, from going unnoticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <alwayson/hash.h>

#include "base/cleanup.h"
#include "table/maglev.h"

enum { MANY = 2048 };

/* Server n of a test: value n + 1, a key that has nothing to do with its place. */
static struct maglev_server server(uint32_t n, uint32_t weight)
{
	const struct hash_key key = { { 7, 11 } };

	return (struct maglev_server){ .key = hash_2(&key, n, 0), .weight = weight, .up = true, .value = n + 1 };
}

static void make(struct maglev_server *servers, size_t count, uint32_t weight)
{
	for (size_t i = 0; i < count; i++)
		servers[i] = server(i, weight);
}

/* A filled table, to be freed; *ret_size slots. `servers` keeps its order. */
static uint32_t *fill(const struct maglev_server *servers, size_t count, uint32_t *ret_size)
{
	_cleanup_free_ struct maglev_server *copy = malloc((count ? count : 1) * sizeof(*copy));
	uint32_t *slots;

	assert_non_null(copy);
	memcpy(copy, servers, count * sizeof(*copy));
	*ret_size = maglev_size(servers, count);
	slots = calloc(*ret_size ? *ret_size : 1, sizeof(*slots));
	assert_non_null(slots);
	assert_int_equal(maglev_fill(copy, count, slots, *ret_size), 0);
	return slots;
}

static void set_up(struct maglev_server *servers, uint32_t n, bool up)
{
	servers[n].up = up;
}

static uint32_t count_of(const uint32_t *slots, uint32_t size, uint32_t value)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < size; i++)
		n += slots[i] == value;
	return n;
}

/* Every server's share is within `percent` of what its weight says, among those up. */
static void check_shares(const struct maglev_server *servers, size_t count, const uint32_t *slots, uint32_t size,
			 double percent)
{
	uint64_t weights = 0;

	for (size_t i = 0; i < count; i++)
		weights += servers[i].up ? servers[i].weight : 0;
	for (size_t i = 0; i < count; i++) {
		const double share = servers[i].up ? (double)size * servers[i].weight / weights : 0;
		const double is = count_of(slots, size, servers[i].value);

		/* One slot is the least that a share can be off by. */
		if (is > share * (1 + percent / 100) + 1 || is < share * (1 - percent / 100) - 1)
			fail_msg("server %zu of %zu has %.0f slots of %u, not %.1f within %.0f %%", i, count, is,
				 size, share, percent);
	}
}

static void sizes(void **state)
{
	static const struct {
		size_t count;
		uint32_t weight, size;
	} cases[] = {
		{ 0, 1, 0 },       { 1, 0, 0 },       { 1, 1, 509 },      { 1, 256, 509 },      { 2, 1, 1021 },
		{ 3, 1, 1021 },    { 4, 1, 2039 },    { 10, 1, 4093 },    { 100, 1, 32749 },    { 100, 256, 32749 },
		{ 255, 1, 65521 }, { 256, 1, 131071 }, { MANY, 1, 1048573 },
	};
	struct maglev_server servers[MANY];

	for (size_t i = 0; i < array_size(cases); i++) {
		make(servers, cases[i].count, cases[i].weight);
		assert_int_equal(maglev_size(servers, cases[i].count), cases[i].size);
	}
	/* Weights count by their common divisor: 2:1 needs 3 shares, 256:255 needs 511. */
	make(servers, 2, 128);
	servers[1].weight = 64;
	assert_int_equal(maglev_size(servers, 2), 1021);
	servers[0].weight = 256;
	servers[1].weight = 255;
	assert_int_equal(maglev_size(servers, 2), 32749);
	/* A server without weight asks for nothing; who is down asks for all he asked for. */
	make(servers, 4, 1);
	servers[3].weight = 0;
	assert_int_equal(maglev_size(servers, 4), 1021);
	make(servers, 4, 1);
	set_up(servers, 1, false);
	assert_int_equal(maglev_size(servers, 4), 2039);
	/* Above the largest table, shares are less even, but it is built: at the cap, and one server above. */
	make(servers, MANY, 1);
	servers[0].weight = 256;
	for (size_t i = 1; i < MANY; i++)
		servers[i].weight = 255;
	assert_int_equal(maglev_size(servers, MANY), MAGLEV_SLOTS_MAX);
}

static bool is_prime(uint32_t n)
{
	for (uint32_t i = 2; (uint64_t)i * i <= n; i++)
		if (n % i == 0)
			return false;
	return n > 1;
}

static void every_size_is_a_prime_and_about_doubles(void **state)
{
	struct maglev_server servers[MANY];
	uint32_t before = 0;

	make(servers, MANY, 1);
	for (size_t count = 1; count <= MANY; count++) {
		const uint32_t size = maglev_size(servers, count);

		assert_true(size >= before && size >= (count < MANY ? 1 : 0) * MAGLEV_SLOTS_MIN);
		if (size != before) {
			assert_true(is_prime(size));
			assert_true(!before || (size > 1.9 * before && size < 2.1 * before));
		}
		before = size;
	}
}

/* The slots of a fixed table, folded into one number each: these must never change by accident. */
static uint64_t digest(const uint32_t *slots, uint32_t size)
{
	const struct hash_key key = { { 0, 0 } };
	uint64_t h = size;

	for (uint32_t i = 0; i < size; i++)
		h = hash_2(&key, h, slots[i]);
	return h;
}

static void known_answers(void **state)
{
	static const uint32_t first[] = { 1, 1, 2, 3, 1, 1, 1, 1, 1, 3, 2, 3, 2, 3, 2, 2, 3, 2, 1, 1, 3, 2, 2, 1 };
	struct maglev_server servers[10];
	_cleanup_free_ uint32_t *three = NULL, *ten = NULL, *down = NULL, *weighted = NULL;
	uint32_t size;

	make(servers, 3, 1);
	three = fill(servers, 3, &size);
	assert_memory_equal(three, first, sizeof(first));
	assert_int_equal(digest(three, size), 0x9c09f88aa4ffe613ULL);
	make(servers, 10, 1);
	ten = fill(servers, 10, &size);
	assert_int_equal(digest(ten, size), 0x9e2187bce188f637ULL);
	set_up(servers, 4, false);
	down = fill(servers, 10, &size);
	assert_int_equal(digest(down, size), 0x31edcdb2230a7284ULL);
	for (uint32_t i = 0; i < 10; i++)
		servers[i].weight = 1 + i % 4;
	weighted = fill(servers, 10, &size);
	assert_int_equal(digest(weighted, size), 0x4abe6e8eb4b92b5eULL);
}

static void order_of_input_does_not_matter(void **state)
{
	struct maglev_server servers[50], shuffled[50];
	_cleanup_free_ uint32_t *one = NULL;
	uint32_t size;

	make(servers, 50, 1);
	for (uint32_t i = 0; i < 50; i++) {
		servers[i].weight = 1 + i % 3;
		servers[i].up = i % 5 != 0;
	}
	one = fill(servers, 50, &size);
	for (uint32_t turn = 1; turn < 50; turn += 7) {
		_cleanup_free_ uint32_t *other = NULL;

		for (uint32_t i = 0; i < 50; i++)
			shuffled[i] = servers[(i * 13 + turn) % 50];
		other = fill(shuffled, 50, &size);
		assert_memory_equal(one, other, size * sizeof(*one));
	}
}

static void balance_with_all_up(void **state)
{
	static const size_t counts[] = { 1, 2, 3, 10, 100 };
	struct maglev_server servers[100];

	for (size_t i = 0; i < array_size(counts); i++) {
		_cleanup_free_ uint32_t *slots = NULL;
		uint32_t size;

		make(servers, counts[i], 1);
		slots = fill(servers, counts[i], &size);
		check_shares(servers, counts[i], slots, size, 1);
	}
}

static void balance_by_weights(void **state)
{
	static const uint32_t weights[][4] = {
		{ 1, 2, 3, 4 }, { 1, 1, 1, 256 }, { 256, 255, 1, 1 }, { 10, 20, 30, 40 }, { 100, 0, 50, 50 },
	};

	for (size_t i = 0; i < array_size(weights); i++) {
		_cleanup_free_ uint32_t *slots = NULL;
		struct maglev_server servers[4];
		uint32_t size;

		for (uint32_t n = 0; n < 4; n++)
			servers[n] = server(n, weights[i][n]);
		slots = fill(servers, 4, &size);
		check_shares(servers, 4, slots, size, 1);
	}
}

static void balance_with_half_down(void **state)
{
	static const size_t counts[] = { 4, 10, 100 };
	struct maglev_server servers[100];

	for (size_t i = 0; i < array_size(counts); i++) {
		_cleanup_free_ uint32_t *slots = NULL;
		uint32_t size;

		make(servers, counts[i], 1);
		for (size_t n = 0; n < counts[i]; n += 2)
			servers[n].up = false;
		slots = fill(servers, counts[i], &size);
		check_shares(servers, counts[i], slots, size, 10);
	}
}

/* The weights of those that are up decide who takes over from one that is down. */
static void a_down_servers_slots_go_by_weight(void **state)
{
	struct maglev_server servers[4];
	_cleanup_free_ uint32_t *all = NULL, *without = NULL;
	uint32_t size, taken[5] = {};

	for (uint32_t n = 0; n < 4; n++)
		servers[n] = server(n, (const uint32_t[]){ 40, 10, 20, 30 }[n]);
	all = fill(servers, 4, &size);
	set_up(servers, 0, false);
	without = fill(servers, 4, &size);
	for (uint32_t i = 0; i < size; i++)
		if (all[i] == 1)
			taken[without[i]]++;
	for (uint32_t n = 1; n < 4; n++) {
		const double share = count_of(all, size, 1) * servers[n].weight / 60.0;

		assert_true(taken[n + 1] > share * 0.9 && taken[n + 1] < share * 1.1);
	}
}

/* One goes down: its slots move, to all the others; nobody else's do. It comes back: bit for bit as before. */
static void only_the_slots_of_the_one_that_changed_move(void **state)
{
	static const size_t counts[] = { 2, 3, 10, 100 };
	struct maglev_server servers[100];

	for (int weighted = 0; weighted < 2; weighted++)
		for (size_t i = 0; i < array_size(counts); i++) {
			_cleanup_free_ uint32_t *all = NULL;
			uint32_t size;

			make(servers, counts[i], 1);
			for (size_t n = 0; weighted && n < counts[i]; n++)
				servers[n].weight = 1 + n % 3;
			all = fill(servers, counts[i], &size);
			for (size_t gone = 0; gone < counts[i]; gone += counts[i] / 2) {
				_cleanup_free_ uint32_t *without = NULL, *again = NULL;

				set_up(servers, gone, false);
				without = fill(servers, counts[i], &size);
				for (uint32_t s = 0; s < size; s++) {
					if (all[s] != servers[gone].value)
						assert_int_equal(without[s], all[s]);
					else
						assert_int_not_equal(without[s], servers[gone].value);
				}
				set_up(servers, gone, true);
				again = fill(servers, counts[i], &size);
				assert_memory_equal(again, all, size * sizeof(*all));
			}
		}
}

/* A second one goes down, in either order: the table is the same, and again only that one's slots moved. */
static void a_history_leaves_no_trace(void **state)
{
	struct maglev_server servers[10];
	_cleanup_free_ uint32_t *first = NULL, *both = NULL, *other_way = NULL;
	uint32_t size;

	make(servers, 10, 1);
	set_up(servers, 3, false);
	first = fill(servers, 10, &size);
	set_up(servers, 7, false);
	both = fill(servers, 10, &size);
	for (uint32_t s = 0; s < size; s++)
		if (first[s] != servers[7].value)
			assert_int_equal(both[s], first[s]);
	make(servers, 10, 1);
	set_up(servers, 7, false);
	free(fill(servers, 10, &size));
	set_up(servers, 3, false);
	other_way = fill(servers, 10, &size);
	assert_memory_equal(both, other_way, size * sizeof(*both));
}

static void nobody(void **state)
{
	struct maglev_server servers[3];
	uint32_t slots[1021];
	uint32_t size;

	make(servers, 3, 1);
	for (uint32_t n = 0; n < 3; n++)
		set_up(servers, n, false);
	size = maglev_size(servers, 3);
	assert_int_equal(size, array_size(slots));
	memset(slots, 0xff, sizeof(slots));
	assert_int_equal(maglev_fill(servers, 3, slots, size), 0);
	assert_int_equal(count_of(slots, size, 0), size);
	make(servers, 3, 0);
	memset(slots, 0xff, sizeof(slots));
	assert_int_equal(maglev_fill(servers, 3, slots, array_size(slots)), 0);
	assert_int_equal(count_of(slots, array_size(slots), 0), array_size(slots));
	assert_int_equal(maglev_fill(servers, 0, slots, array_size(slots)), 0);
}

/* Only one with weight is up: he has it all; and a weight of 0 is never given a slot, up or not. */
static void the_last_one_up(void **state)
{
	struct maglev_server servers[4];
	_cleanup_free_ uint32_t *slots = NULL;
	uint32_t size;

	make(servers, 4, 1);
	servers[0].weight = 0;
	set_up(servers, 1, false);
	set_up(servers, 2, false);
	slots = fill(servers, 4, &size);
	assert_int_equal(count_of(slots, size, 4), size);
}

static void two_servers_of_one_key(void **state)
{
	struct maglev_server servers[5];
	uint32_t slots[2039];

	make(servers, 5, 1);
	servers[4].key = servers[1].key;
	assert_int_equal(maglev_fill(servers, 5, slots, array_size(slots)), -EEXIST);
}

/*
 * What is computed from the table of before is what is computed anew, whatever came before: servers that go and come,
 * some at a time, with parts of their slots, all of one weight or not; and others in their place.
 */
static void a_cache_leaves_no_trace(void **state)
{
	enum { SERVERS = 64, CHANGING = 9, STEPS = 120, UNEVEN = 5 }; /* logarithms take long: uneven at times only */
	const struct hash_key key = { { 5, 6 } };
	struct maglev_cache cache = {};
	struct maglev_server servers[SERVERS], copy[SERVERS];
	unsigned cached = 0;

	make(servers, SERVERS, 1);
	for (unsigned step = 0; step < STEPS; step++) {
		const uint64_t random = hash_2(&key, step, 1);
		_cleanup_free_ uint32_t *slots = NULL, *again = NULL;
		uint32_t size;

		for (unsigned i = 0; i < 1 + random % 3; i++) {
			struct maglev_server *s = &servers[hash_2(&key, step, 2 + i) % CHANGING];

			if (random >> 8 & 3 || step % 30 >= UNEVEN)
				s->up = !s->up;
			else
				s->without = s->without ? 0 : 1 + (random >> 16) % 99;
		}
		for (unsigned i = 0; i < CHANGING && step % 30 == UNEVEN; i++)
			servers[i].without = 0;
		servers[0].weight = step % 60 == 40 ? 2 : 1;
		if (step % 40 == 39)
			servers[step % CHANGING].key ^= 1;
		if (step == 100)
			for (unsigned i = 1; i < SERVERS; i++)
				servers[i].up = false; /* one at most is left, or none */
		slots = fill(servers, SERVERS, &size);
		again = calloc(size, sizeof(*again));
		memcpy(copy, servers, sizeof(copy));
		assert_int_equal(maglev_fill_cached(&cache, copy, SERVERS, again, size), 0);
		assert_memory_equal(again, slots, size * sizeof(*slots));
		cached += cache.size == size;
	}
	assert_true(cached > STEPS / 2);
	maglev_cache_done(&cache);
}

/* A table in which only the slots are put that are said to change is the table filled anew; nothing is put in vain. */
static void changes_add_up(void **state)
{
	enum { SERVERS = 64, STEPS = 100 };
	const struct hash_key key = { { 9, 6 } };
	struct maglev_cache cache = {};
	struct maglev_server servers[SERVERS], copy[SERVERS];
	_cleanup_free_ uint32_t *slots = NULL;
	uint32_t size, whole = 0;

	make(servers, SERVERS, 1);
	slots = fill(servers, SERVERS, &size);
	for (unsigned step = 0; step < STEPS; step++) {
		const uint64_t random = hash_2(&key, step, 1);
		struct maglev_server *s = &servers[random % 7];
		struct maglev_changes changes = {};
		_cleanup_free_ uint32_t *wanted = NULL;
		int r;

		if (step % 10 == 9)
			s->without = s->without ? 0 : 40;
		else
			s->up = !s->up;
		for (unsigned i = 0; i < 7 && step % 10 == 0; i++)
			servers[i].without = 0;
		if (step == 50)
			servers[3].value = 1000; /* as when its place was given to another, and it came back */
		if (step == 60)
			servers[4].key ^= 1;
		wanted = fill(servers, SERVERS, &size);
		memcpy(copy, servers, sizeof(copy));
		r = maglev_change(&cache, copy, SERVERS, size, &changes);
		assert_int_equal(r, step == 0 || step == 50 || step == 60 ? -ESTALE : 0);
		if (r < 0) {
			assert_int_equal(changes.count, 0);
			assert_int_equal(maglev_fill_cached(&cache, copy, SERVERS, slots, size), 0);
			whole++;
		}
		for (size_t i = 0; i < changes.count; i++) {
			assert_int_not_equal(slots[changes.items[i].slot], changes.items[i].value);
			slots[changes.items[i].slot] = changes.items[i].value;
		}
		assert_memory_equal(slots, wanted, size * sizeof(*slots));
		vec_done(&changes);
	}
	assert_int_equal(whole, 3);
	for (unsigned i = 0; i < SERVERS; i++)
		servers[i].up = false;
	memcpy(copy, servers, sizeof(copy));
	assert_int_equal(maglev_change(&cache, copy, SERVERS, size, &(struct maglev_changes){}), -ESTALE);
	assert_int_equal(maglev_fill_cached(&cache, copy, SERVERS, slots, size), 0);
	/* Every slot is nobody's now: no change of some of them makes that a table again. */
	servers[0].up = true;
	memcpy(copy, servers, sizeof(copy));
	assert_int_equal(maglev_change(&cache, copy, SERVERS, size, &(struct maglev_changes){}), -ESTALE);
	maglev_cache_done(&cache);
}

/* No base is laid out for who is alone, and what is known of another stays. */
static void who_is_alone_needs_no_base(void **state)
{
	enum { SERVERS = 8, SIZE = 16381 };
	struct maglev_server servers[SERVERS], others[SERVERS];
	static uint32_t slots[SIZE];
	struct maglev_cache cache = {};

	make(servers, SERVERS, 4);
	for (unsigned i = 0; i < SERVERS; i++)
		set_up(servers, i, i == 3);
	assert_int_equal(maglev_fill_cached(&cache, servers, SERVERS, slots, SIZE), 0);
	assert_int_equal(count_of(slots, SIZE, 4), SIZE);
	assert_int_equal(cache.size, 0);
	make(servers, SERVERS, 4);
	assert_int_equal(maglev_fill_cached(&cache, servers, SERVERS, slots, SIZE), 0);
	make(others, SERVERS, 5);
	for (unsigned i = 0; i < SERVERS; i++)
		set_up(others, i, i == 6);
	assert_int_equal(maglev_fill_cached(&cache, others, SERVERS, slots, SIZE), 0);
	assert_int_equal(count_of(slots, SIZE, 7), SIZE);
	assert_true(maglev_cache_fits(&cache, servers, SERVERS, SIZE));
	maglev_cache_done(&cache);
}

/* Each has about its share of a makeshift table, whatever its size, and one that goes gives away only its own slots. */
static void a_makeshift_table_is_fair(void **state)
{
	enum { SERVERS = 8, SIZE = 32749 };
	struct maglev_server servers[SERVERS];
	static uint32_t slots[SIZE], later[SIZE];

	make(servers, SERVERS, 4);
	assert_int_equal(maglev_fill_makeshift(servers, SERVERS, slots, SIZE), 0);
	for (unsigned i = 0; i < SERVERS; i++)
		assert_in_range(count_of(slots, SIZE, i + 1), SIZE / SERVERS * 9 / 10, SIZE / SERVERS * 11 / 10);
	servers[2].up = false;
	assert_int_equal(maglev_fill_makeshift(servers, SERVERS, later, SIZE), 0);
	for (unsigned i = 0; i < SIZE; i++) {
		assert_int_not_equal(later[i], servers[2].value);
		if (slots[i] != servers[2].value)
			assert_int_equal(later[i], slots[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(every_size_is_a_prime_and_about_doubles),
		cmocka_unit_test(known_answers),
		cmocka_unit_test(order_of_input_does_not_matter),
		cmocka_unit_test(balance_with_all_up),
		cmocka_unit_test(balance_by_weights),
		cmocka_unit_test(balance_with_half_down),
		cmocka_unit_test(a_down_servers_slots_go_by_weight),
		cmocka_unit_test(only_the_slots_of_the_one_that_changed_move),
		cmocka_unit_test(a_history_leaves_no_trace),
		cmocka_unit_test(a_cache_leaves_no_trace),
		cmocka_unit_test(changes_add_up),
		cmocka_unit_test(who_is_alone_needs_no_base),
		cmocka_unit_test(a_makeshift_table_is_fair),
		cmocka_unit_test(nobody),
		cmocka_unit_test(the_last_one_up),
		cmocka_unit_test(two_servers_of_one_key),
	};

	return cmocka_run_group_tests_name("maglev", tests, NULL, NULL);
}
