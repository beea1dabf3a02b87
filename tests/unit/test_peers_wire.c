/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes between balancers, byte by byte: records, codes, and what is played back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include <alwayson/abi.h>

#include "base/cleanup.h"
#include "peers/seal.h"
#include "peers/session.h"
#include "peers/wire.h"

static struct endpoint at(const char *text, uint16_t port)
{
	struct endpoint e = { .port = port };

	if (text)
		assert_int_equal(addr_parse(text, &e.addr), 0);
	return e;
}

static const struct wire_header header = {
	.kind = WIRE_RECORDS, .wants = 3, .gave = 2, .sender = 0x1122334455667788, .receiver = 0x8877665544332211,
	.epoch = 1700000000000000000, .echo = 1600000000000000000, .number = 1,
};

/* Every shape a record can have, and how long it is. */
static const struct {
	const char *client, *service, *server, *own;
	size_t size;
} shapes[] = {
	{ "198.51.100.7", "192.0.2.10", "10.0.0.1", NULL, WIRE_RECORD_MIN },
	{ "198.51.100.7", "192.0.2.10", "fd00::1", NULL, 36 },
	{ "198.51.100.7", "192.0.2.10", "10.0.0.1", "192.0.2.11", 30 },
	{ "2001:db8::7", "2001:db8::10", "10.0.0.1", NULL, 48 },
	{ "2001:db8::7", "2001:db8::10", "fd00::1", NULL, 60 },
	{ "2001:db8::7", "2001:db8::10", "fd00::1", "2001:db8::11", WIRE_RECORD_MAX },
};

static struct wire_record record_of(size_t i)
{
	return (struct wire_record){
		.protocol = i % 2 ? IPPROTO_UDP : IPPROTO_TCP, .state = FLOW_OPENED | FLOW_PROVEN,
		.reply_state = shapes[i].own ? FLOW_FIN : 0, .age = 65535 - i, .client = at(shapes[i].client, 40000),
		.service = at(shapes[i].service, 443), .server = at(shapes[i].server, i % 2 ? 8080 : 0),
		.own = at(shapes[i].own, shapes[i].own ? 10240 : 0),
	};
}

static void assert_same(const struct wire_record *a, const struct wire_record *b)
{
	assert_int_equal(a->protocol, b->protocol);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->reply_state, b->reply_state);
	assert_int_equal(a->age, b->age);
	assert_memory_equal(&a->client, &b->client, sizeof(a->client));
	assert_memory_equal(&a->service, &b->service, sizeof(a->service));
	assert_memory_equal(&a->server, &b->server, sizeof(a->server));
	assert_memory_equal(&a->own, &b->own, sizeof(a->own));
}

static void a_record_is_read_as_it_was_written(void **state)
{
	for (size_t i = 0; i < array_size(shapes); i++) {
		const struct wire_record r = record_of(i);
		uint8_t bytes[WIRE_RECORD_MAX];
		const uint8_t *from = bytes;
		struct wire_record got;
		size_t left = wire_write_record(bytes, shapes[i].size, &r);

		assert_int_equal(left, shapes[i].size);
		assert_int_equal(wire_write_record(bytes, shapes[i].size - 1, &r), 0);
		assert_int_equal(wire_read_record(&from, &left, &got), 1);
		assert_int_equal(left, 0);
		assert_same(&got, &r);
		assert_int_equal(wire_read_record(&from, &left, &got), 0);
	}
}

static void a_record_that_is_cut_off_is_refused(void **state)
{
	for (size_t i = 0; i < array_size(shapes); i++) {
		const struct wire_record r = record_of(i);
		uint8_t bytes[WIRE_RECORD_MAX];
		const size_t size = wire_write_record(bytes, sizeof(bytes), &r);

		for (size_t cut = 1; cut < size; cut++) {
			const uint8_t *from = bytes;
			struct wire_record got;
			size_t left = cut;

			assert_int_equal(wire_read_record(&from, &left, &got), -EBADMSG);
			assert_ptr_equal(from, bytes);
			assert_int_equal(left, cut);
		}
	}
}

static void a_record_that_cannot_be_is_refused(void **state)
{
	static const struct { size_t at; uint8_t value; } wrong[] = {
		{ 0, 8 }, { 0, 0xff },           /* a shape that this version does not know */
		{ 0, 5 }, { 0, 6 },              /* nat between families */
		{ 1, IPPROTO_ICMP }, { 1, 0 },   /* another protocol */
		{ 2, FLOW_LIVE }, { 2, FLOW_PEER }, { 2, FLOW_BUSY }, /* states that are each machine's own */
		{ 3, FLOW_FIN },                 /* a way back without nat */
	};

	for (size_t i = 0; i < array_size(wrong); i++) {
		const struct wire_record r = record_of(0);
		uint8_t bytes[WIRE_RECORD_MAX] = {};
		const uint8_t *from = bytes;
		struct wire_record got;
		size_t left = sizeof(bytes);

		wire_write_record(bytes, sizeof(bytes), &r);
		bytes[wrong[i].at] = wrong[i].value;
		assert_int_equal(wire_read_record(&from, &left, &got), -EBADMSG);
	}
}

static void own_states_are_not_told(void **state)
{
	struct wire_record r = record_of(0), got;
	uint8_t bytes[WIRE_RECORD_MAX];
	const uint8_t *from = bytes;
	size_t left;

	r.state |= FLOW_PEER | FLOW_LIVE;
	left = wire_write_record(bytes, sizeof(bytes), &r);
	assert_int_equal(wire_read_record(&from, &left, &got), 1);
	assert_int_equal(got.state, FLOW_OPENED | FLOW_PROVEN);
}

static void a_header_is_read_as_it_was_written(void **state)
{
	uint8_t bytes[WIRE_HEADER + WIRE_MAC] = {};
	struct wire_header got;

	wire_write_header(bytes, &header);
	assert_int_equal(wire_read_header(bytes, sizeof(bytes), &got), 0);
	assert_int_equal(got.kind, header.kind);
	assert_int_equal(got.wants, header.wants);
	assert_int_equal(got.gave, header.gave);
	assert_true(got.sender == header.sender && got.receiver == header.receiver);
	assert_true(got.epoch == header.epoch && got.echo == header.echo && got.number == header.number);
}

static void a_datagram_of_any_length_but_a_right_one_is_refused(void **state)
{
	uint8_t bytes[WIRE_DATAGRAM_MAX + 1] = {};
	struct wire_header got;

	wire_write_header(bytes, &header);
	assert_int_equal(wire_read_header(bytes, 0, &got), -EMSGSIZE);
	assert_int_equal(wire_read_header(bytes, WIRE_HEADER + WIRE_MAC - 1, &got), -EMSGSIZE);
	assert_int_equal(wire_read_header(bytes, WIRE_DATAGRAM_MAX, &got), 0);
	assert_int_equal(wire_read_header(bytes, WIRE_DATAGRAM_MAX + 1, &got), -EMSGSIZE);
}

static void a_header_of_something_else_is_refused(void **state)
{
	static const struct { size_t at; uint8_t value; int error; } wrong[] = {
		{ 0, 'B', -EBADMSG }, { 4, WIRE_VERSION + 1, -EPROTONOSUPPORT }, { 5, 0, -EBADMSG }, { 5, 3, -EBADMSG },
		{ 47, 0, -EBADMSG }, /* number 0 */
	};

	for (size_t i = 0; i < array_size(wrong); i++) {
		uint8_t bytes[WIRE_HEADER + WIRE_MAC] = {};
		struct wire_header got;

		wire_write_header(bytes, &header);
		bytes[wrong[i].at] = wrong[i].value;
		assert_int_equal(wire_read_header(bytes, sizeof(bytes), &got), wrong[i].error);
	}
}

static void only_who_has_the_secret_makes_a_right_code(void **state)
{
	const struct hash_key secret = { { 1, 2 } }, other = { { 1, 3 } };
	struct seal *s = seal_new(&secret), *t = seal_new(&other);
	uint8_t bytes[WIRE_HEADER + WIRE_RECORD_MIN + WIRE_MAC] = {};

	assert_true(s && t);
	wire_write_header(bytes, &header);
	assert_int_equal(seal_put(s, bytes, sizeof(bytes) - WIRE_MAC), 0);
	assert_true(seal_fits(s, bytes, sizeof(bytes)));
	assert_false(seal_fits(t, bytes, sizeof(bytes)));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] ^= 1;
		assert_false(seal_fits(s, bytes, sizeof(bytes)));
		bytes[i] ^= 1;
	}
	assert_false(seal_fits(s, bytes, sizeof(bytes) - 1));
	assert_false(seal_fits(s, bytes, WIRE_MAC - 1));
	seal_free(s);
	seal_free(t);
}

enum { OWN = 1000, PEER = 2000 };

static enum session_answer hear(struct session *s, uint64_t epoch, uint64_t echo, uint64_t number, int64_t *ret_missing)
{
	const struct wire_header h = { .kind = WIRE_RECORDS, .epoch = epoch, .echo = echo, .number = number };
	bool new;

	return session_hear(s, OWN, &h, &new, ret_missing);
}

static void what_does_not_know_our_start_does_not_count(void **state)
{
	struct session s = {};
	int64_t missing;

	assert_int_equal(hear(&s, PEER, 0, 1, &missing), SESSION_GREETING);
	assert_int_equal(hear(&s, PEER, OWN - 1, 2, &missing), SESSION_GREETING);
	assert_int_equal(hear(&s, PEER, OWN, 3, &missing), SESSION_TAKE);
	assert_int_equal(missing, 0);
}

static void what_is_played_back_does_not_count(void **state)
{
	struct session s = {};
	int64_t missing;

	hear(&s, PEER, OWN, 5, &missing);
	assert_int_equal(hear(&s, PEER, OWN, 5, &missing), SESSION_REPLAYED);
	assert_int_equal(hear(&s, PEER, OWN, 4, &missing), SESSION_REPLAYED);
	assert_int_equal(hear(&s, PEER, OWN, 6, &missing), SESSION_TAKE);
	assert_int_equal(hear(&s, PEER, OWN, 6, &missing), SESSION_REPLAYED);
}

static void an_earlier_start_of_the_peer_does_not_count(void **state)
{
	struct session s = {};
	int64_t missing;

	hear(&s, PEER, OWN, 5, &missing);
	assert_int_equal(hear(&s, PEER - 1, OWN, 6, &missing), SESSION_STALE);
	assert_int_equal(hear(&s, PEER + 1, OWN, 1, &missing), SESSION_TAKE);
	assert_int_equal(hear(&s, PEER, OWN, 7, &missing), SESSION_STALE);
}

static void what_is_lost_is_noticed_and_what_is_late_is_taken(void **state)
{
	struct session s = {};
	int64_t missing;

	hear(&s, PEER, OWN, 10, &missing);
	assert_int_equal(hear(&s, PEER, OWN, 13, &missing), SESSION_TAKE);
	assert_int_equal(missing, 2);
	assert_int_equal(hear(&s, PEER, OWN, 12, &missing), SESSION_TAKE);
	assert_int_equal(missing, -1);
	assert_int_equal(hear(&s, PEER, OWN, 12, &missing), SESSION_REPLAYED);
}

static void the_window_ends_where_it_says(void **state)
{
	struct session s = {};
	int64_t missing;

	hear(&s, PEER, OWN, 1, &missing);
	hear(&s, PEER, OWN, 1 + 2 * SESSION_WINDOW, &missing);
	assert_int_equal(missing, 2 * SESSION_WINDOW - 1);
	assert_int_equal(hear(&s, PEER, OWN, 2 + SESSION_WINDOW, &missing), SESSION_TAKE);
	assert_int_equal(hear(&s, PEER, OWN, 1 + SESSION_WINDOW, &missing), SESSION_REPLAYED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_read_as_it_was_written),
		cmocka_unit_test(a_record_that_is_cut_off_is_refused),
		cmocka_unit_test(a_record_that_cannot_be_is_refused),
		cmocka_unit_test(own_states_are_not_told),
		cmocka_unit_test(a_header_is_read_as_it_was_written),
		cmocka_unit_test(a_datagram_of_any_length_but_a_right_one_is_refused),
		cmocka_unit_test(a_header_of_something_else_is_refused),
		cmocka_unit_test(only_who_has_the_secret_makes_a_right_code),
		cmocka_unit_test(what_does_not_know_our_start_does_not_count),
		cmocka_unit_test(what_is_played_back_does_not_count),
		cmocka_unit_test(an_earlier_start_of_the_peer_does_not_count),
		cmocka_unit_test(what_is_lost_is_noticed_and_what_is_late_is_taken),
		cmocka_unit_test(the_window_ends_where_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
