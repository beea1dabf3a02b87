/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layout of the service tables: what was placed is found by the program's probe (written down here a second time),
 * what was not is not; sizes grow as they must and end where they must.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "table/services.h"

struct tables {
	struct service_entry4 *four;
	struct service_entry6 *six;
};

static int make_tables(void **state)
{
	static struct tables t;

	/* Full of rubbish: a layout owes nothing to what was there. */
	t.four = malloc(SERVICE_TABLE_MAX * sizeof(*t.four));
	t.six = malloc(SERVICE_TABLE_MAX * sizeof(*t.six));
	if (!t.four || !t.six)
		return -1;
	memset(t.four, 0xa5, SERVICE_TABLE_MAX * sizeof(*t.four));
	memset(t.six, 0xa5, SERVICE_TABLE_MAX * sizeof(*t.six));
	*state = &t;
	return 0;
}

static int free_tables(void **state)
{
	struct tables *t = *state;

	free(t->four);
	free(t->six);
	return 0;
}

static uint64_t tail_of(const struct services_entry *e)
{
	return (uint64_t)htons(e->port) | (uint64_t)e->protocol << 16 | (uint64_t)e->kind << 24;
}

/* service_find4() and service_find6() of bpf/service.h: the address id, 0 = not found. */
static uint16_t find(const struct tables *t, const struct services_entry *e, unsigned log2, uint32_t *ret_service)
{
	const bool v6 = e->addr.family == AF_INET6;
	uint64_t words[2], tail = tail_of(e);
	uint32_t hash;

	memcpy(words, e->addr.bytes, 16);
	hash = SERVICE_HASH(v6 ? words[0] ^ SERVICE_FOLD(words[1]) ^ tail << 32 : words[0] | tail << 32);
	for (uint32_t i = 0; i < SERVICE_PROBES; i++) {
		const uint32_t at = (hash + i) & ((1U << log2) - 1);
		const struct service_entry6 *six = &t->six[at];
		const struct service_entry4 *four = &t->four[at];

		if (v6 && six->addr[0] == words[0] && six->addr[1] == words[1] && six->port == htons(e->port) &&
		    six->protocol == e->protocol && six->kind == e->kind) {
			*ret_service = six->service;
			return six->address;
		}
		if (!v6 && memcmp(&four->addr, e->addr.bytes, 4) == 0 && four->port == htons(e->port) &&
		    four->protocol == e->protocol && four->kind == e->kind) {
			*ret_service = four->service;
			return four->address;
		}
		if (!(v6 ? six->kind : four->kind))
			return 0;
	}
	return 0;
}

static int lay(struct tables *t, const struct services_entry *entries, size_t count, bool v6, unsigned *ret_log2)
{
	return v6 ? services_layout6(entries, count, t->six, ret_log2) :
		    services_layout4(entries, count, t->four, ret_log2);
}

/* Entry n of a test: many ports on few addresses, as a port range on several addresses makes them. */
static struct services_entry entry(uint32_t n, bool v6)
{
	struct services_entry e = {
		.port = n % 4096 + 1, .protocol = n & 1 ? IPPROTO_UDP : IPPROTO_TCP, .kind = ENTRY_SERVICE,
		.service = n, .address = n % 65535 + 1,
	};
	const uint32_t host = htonl(n / 4096 + 10);

	assert_int_equal(addr_parse(v6 ? "2001:db8::" : "192.0.2.0", &e.addr), 0);
	memcpy(e.addr.bytes + (v6 ? 12 : 0), &host, 4);
	return e;
}

static struct services_entry *entries_of(size_t count, bool v6)
{
	struct services_entry *entries = calloc(count + 1, sizeof(*entries));

	assert_non_null(entries);
	for (size_t i = 0; i < count; i++)
		entries[i] = entry(i, v6);
	return entries;
}

static void what_was_placed_is_found(void **state)
{
	static const size_t counts[] = { 0, 1, 2, 4, 5, 100, 1000, 10000, 32768, 65536 };
	struct tables *t = *state;

	for (int v6 = 0; v6 < 2; v6++)
		/* So many of IPv6 stand half-way to the limit of the table's size: whether they fit is chance. */
		for (size_t c = 0; c < array_size(counts) - v6; c++) {
			_cleanup_free_ struct services_entry *entries = entries_of(counts[c], v6);
			unsigned log2 = 99;
			uint32_t service;

			assert_int_equal(lay(t, entries, counts[c], v6, &log2), 0);
			assert_true(1U << log2 <= SERVICE_TABLE_MAX && 1U << log2 >= counts[c]);
			for (size_t i = 0; i < counts[c]; i++) {
				assert_int_equal(find(t, &entries[i], log2, &service), entries[i].address);
				assert_int_equal(service, i);
			}
			/* Its likes that were not placed: another protocol, port, kind or address. */
			for (size_t i = 0; i < counts[c] + 1; i += 7) {
				struct services_entry other = entry(i, v6);

				other.protocol ^= IPPROTO_TCP ^ IPPROTO_UDP;
				assert_int_equal(find(t, &other, log2, &service), 0);
				other = entry(i, v6);
				other.kind = ENTRY_OWN;
				assert_int_equal(find(t, &other, log2, &service), 0);
				other = entry(i, v6);
				other.port += 4096;
				assert_int_equal(find(t, &other, log2, &service), 0);
				other = entry(i, v6);
				other.addr.bytes[1] ^= 0x80;
				assert_int_equal(find(t, &other, log2, &service), 0);
			}
		}
}

static void the_other_family_is_passed_over(void **state)
{
	struct tables *t = *state;
	struct services_entry entries[] = { entry(0, false), entry(1, true), entry(2, false), entry(3, true) };
	unsigned log2;
	uint32_t service;

	assert_int_equal(services_layout4(entries, 4, t->four, &log2), 0);
	assert_int_equal(find(t, &entries[2], log2, &service), entries[2].address);
	assert_int_equal(services_layout6(entries, 4, t->six, &log2), 0);
	assert_int_equal(find(t, &entries[3], log2, &service), entries[3].address);
}

static void own_addresses_beside_services(void **state)
{
	struct tables *t = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		struct services_entry entries[2] = { entry(0, v6), entry(0, v6) };
		unsigned log2;
		uint32_t service;

		entries[1].port = entries[1].protocol = 0;
		entries[1].kind = ENTRY_OWN;
		entries[1].address = 9;
		assert_int_equal(lay(t, entries, 2, v6, &log2), 0);
		assert_int_equal(find(t, &entries[0], log2, &service), 1);
		assert_int_equal(find(t, &entries[1], log2, &service), 9);
	}
}

/* Tables are small, whatever part of the key differs: they are to stay in the cache. */
static void ordinary_sets_stay_small(void **state)
{
	static const struct {
		const char *first;
		unsigned byte;     /* of the address, counts up */
		unsigned addresses, ports, protocols;
		unsigned log2;
	} cases[] = {
		{ "192.0.2.10", 3, 1, 10, 1, 5 },      { "192.0.2.10", 3, 1, 100, 1, 8 },
		{ "192.0.2.10", 3, 1, 1000, 2, 12 },   { "192.0.2.1", 3, 200, 1, 2, 10 },
		{ "10.0.0.1", 1, 200, 2, 1, 10 },      { "2001:db8::1", 15, 9, 1, 1, 5 },
		{ "2001:db8::1", 15, 200, 1, 2, 10 },  { "2001:db8::1", 7, 9, 1, 1, 5 },
		{ "2001:db8::1", 7, 200, 1, 2, 10 },   { "2001:db8::1", 15, 1, 10, 1, 5 },
		{ "2001:db8::1", 15, 1, 1000, 2, 12 }, { "2001:db8::1", 15, 10, 100, 2, 12 },
	};

	for (size_t c = 0; c < array_size(cases); c++) {
		const size_t count = cases[c].addresses * cases[c].ports * cases[c].protocols;
		_cleanup_free_ struct services_entry *entries = calloc(count, sizeof(*entries));
		struct addr first;
		unsigned log2;

		assert_non_null(entries);
		assert_int_equal(addr_parse(cases[c].first, &first), 0);
		for (size_t i = 0; i < count; i++) {
			entries[i] = entry(i, false);
			entries[i].addr = first;
			entries[i].addr.bytes[cases[c].byte] += i / cases[c].ports / cases[c].protocols;
			entries[i].port = 8000 + i / cases[c].protocols % cases[c].ports;
			entries[i].protocol = i % cases[c].protocols ? IPPROTO_UDP : IPPROTO_TCP;
		}
		assert_int_equal(lay(*state, entries, count, first.family == AF_INET6, &log2), 0);
		if (log2 > cases[c].log2)
			fail_msg("%zu keys from %s take 2^%u entries, not 2^%u", count, cases[c].first, log2,
				 cases[c].log2);
	}
}

static void one_key_twice(void **state)
{
	struct tables *t = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		_cleanup_free_ struct services_entry *entries = entries_of(1001, v6);
		unsigned log2 = 99;

		entries[1000] = entries[123];
		entries[1000].service = 77;
		entries[1000].address = 78;
		assert_int_equal(lay(*state, entries, 1001, v6, &log2), -EEXIST);
		assert_int_equal(log2, 99);
		assert_int_equal(lay(t, entries, 1000, v6, &log2), 0);
	}
}

/* Keys whose probes begin at the same place in the largest table, and so in every other: no size will do. */
static void more_of_one_hash_than_probes(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct services_entry entries[SERVICE_PROBES + 1];
		unsigned log2 = 99;
		size_t n = 0;

		for (uint32_t i = 0; n < array_size(entries); i++) {
			struct services_entry e = entry(i, v6);
			uint64_t words[2];
			uint32_t hash;

			memcpy(words, e.addr.bytes, 16);
			hash = SERVICE_HASH(v6 ? words[0] ^ SERVICE_FOLD(words[1]) ^ tail_of(&e) << 32 :
						 words[0] | tail_of(&e) << 32);
			if ((hash & (SERVICE_TABLE_MAX - 1)) == 5)
				entries[n++] = e;
		}
		assert_int_equal(lay(*state, entries, SERVICE_PROBES, v6, &log2), 0);
		log2 = 99;
		assert_int_equal(lay(*state, entries, SERVICE_PROBES + 1, v6, &log2), -ENOSPC);
		assert_int_equal(log2, 99);
	}
}

/* More than half of the largest table: refused before anything else. */
static void too_many(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		_cleanup_free_ struct services_entry *entries = entries_of(SERVICE_TABLE_MAX / 2 + 1, v6);
		unsigned log2 = 99;

		assert_int_equal(lay(*state, entries, SERVICE_TABLE_MAX / 2 + 1, v6, &log2), -ENOSPC);
		assert_int_equal(log2, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_placed_is_found),
		cmocka_unit_test(the_other_family_is_passed_over),
		cmocka_unit_test(own_addresses_beside_services),
		cmocka_unit_test(ordinary_sets_stay_small),
		cmocka_unit_test(one_key_twice),
		cmocka_unit_test(more_of_one_hash_than_probes),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests_name("services", tests, make_tables, free_tables);
}
