/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hash table of net/: finds what is in it and nothing else, at sizes far beyond the first, after removals too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/table.h"

enum { MANY = 20000 };

static struct table_key key_of(unsigned i)
{
	uint32_t word = htonl(0x0a000000 + i / 2);
	struct table_key key = { .ifindex = 1 + i % 2, .addr = { .family = AF_INET } };

	memcpy(key.addr.bytes, &word, 4);
	return key;
}

static void finds_what_is_in_it(void **state)
{
	struct table_node *nodes = calloc(MANY, sizeof(*nodes));
	struct table t = { .seed = 42 };
	size_t longest = 0;

	assert_non_null(nodes);
	for (unsigned i = 0; i < MANY; i++) {
		nodes[i].key = key_of(i);
		assert_int_equal(table_insert(&t, &nodes[i]), 0);
	}
	assert_int_equal(t.count, MANY);
	for (size_t b = 0; b < t.size; b++) {
		size_t length = 0;

		for (struct table_node *node = t.buckets[b]; node; node = node->next)
			length++;
		longest = length > longest ? length : longest;
	}
	assert_true(longest < 16);
	for (unsigned i = 0; i < MANY; i += 3)
		table_remove(&t, &nodes[i]);
	for (unsigned i = 0; i < MANY; i++) {
		struct table_key key = key_of(i);

		assert_ptr_equal(table_find(&t, &key), i % 3 ? &nodes[i] : NULL);
	}
	table_done(&t);
	free(nodes);
}

static void tells_all_parts_of_a_key_apart(void **state)
{
	struct table_node a = { .key = key_of(0) };
	struct table_key key = a.key;
	struct table t = {};

	assert_null(table_find(&t, &key)); /* an empty one has no buckets yet */
	assert_int_equal(table_insert(&t, &a), 0);
	assert_ptr_equal(table_find(&t, &key), &a);
	key.prefix = 32;
	assert_null(table_find(&t, &key));
	key = a.key;
	key.peer = a.key.addr;
	assert_null(table_find(&t, &key));
	key = a.key;
	key.addr.family = AF_INET6;
	assert_null(table_find(&t, &key));
	table_done(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_in_it),
		cmocka_unit_test(tells_all_parts_of_a_key_apart),
	};

	return cmocka_run_group_tests_name("net_table", tests, NULL, NULL);
}
