/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks that talk, over real sockets on loopback: tcp-check, udp-check, dns-check. Good servers, and those that drip,
 * flood, reset, stay silent or answer with noise: each costs its own check only.
 */
#include <arpa/inet.h>

#include "health_world.h"

#include "health/attempt.h"
#include "health/dns.h"
#include "health/server.h"

/* A UDP server on the world's loop. */
struct datagrams {
	int fd;
	uint16_t port;
	struct event *event;
	unsigned asked, lose; /* lose: so many questions are taken for lost */
	const char *text;     /* its answer; NULL = a DNS answer */
	uint8_t records, rcode;
};

static void on_datagram(evutil_socket_t fd, short what, void *arg)
{
	struct datagrams *d = arg;
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	uint8_t buf[2048];
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &size);

	if (n < 0)
		return;
	d->asked++;
	if (d->asked <= d->lose)
		return;
	if (d->text) {
		sendto(fd, d->text, strlen(d->text), 0, (struct sockaddr *)&from, size);
		return;
	}
	buf[2] |= 0x80;
	buf[3] = d->rcode;
	buf[7] = d->records;
	sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, size);
}

static void datagrams_open(struct datagrams *d, struct world *w)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);

	d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_return_code(bind(d->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	getsockname(d->fd, (struct sockaddr *)&at, &size);
	d->port = ntohs(at.sin_port);
	d->event = event_new(w->base, d->fd, EV_READ | EV_PERSIST, on_datagram, d);
	event_add(d->event, NULL);
}

static void datagrams_close(struct datagrams *d)
{
	event_free(d->event);
	close(d->fd);
}

static void expect_result(struct world *w, const char *result)
{
	struct health_view v;

	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1);
	v = view(w, 0, 0);
	assert_string_equal(v.last_result, result);
	assert_int_equal(v.check, result[2] == 'O' ? HEALTH_UP : HEALTH_DOWN);
}

/* A backend whose check sends PING and wants PONG. */
static struct model_backend *ping_backend(struct world *w)
{
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_SCRIPT);

	step_add(b, MODEL_STEP_SEND, "PING\r\n");
	step_add(b, MODEL_STEP_EXPECT, "PONG");
	return b;
}

static void a_script_that_is_answered_is_l7ok(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, ANSWER, "+PONG\r\n");

	server_new(ping_backend(w), "s", p)->inter_ms = 500;
	expect_result(w, "L7OK");
	assert_string_equal(p->last_request, "PING\r\n");
}

static void another_answer_is_l7rsp_and_names_the_step(void **state)
{
	struct world *w = *state;

	server_new(ping_backend(w), "s", peer_new(w, ANSWER, "-ERR\r\n"))->inter_ms = 500;
	expect_result(w, "L7RSP: not in the answer at step 2 (expect string 'PONG')");
}

static void a_greeting_needs_no_question(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_SCRIPT);

	step_add(b, MODEL_STEP_EXPECT, "^220 ")->match = MODEL_MATCH_REGEX;
	server_new(b, "s", peer_new(w, SPEAK, "220 mail.example\r\n"))->inter_ms = 500;
	expect_result(w, "L7OK");
}

static void silence_is_l7tout_and_names_the_step(void **state)
{
	struct world *w = *state;
	struct model_backend *b = ping_backend(w);

	b->check_timeout_ms = 100;
	server_new(b, "s", peer_new(w, HOLD, NULL));
	expect_result(w, "L7TOUT: step 2 (expect string 'PONG')");
}

static void a_reset_is_l7rsp(void **state)
{
	struct world *w = *state;

	server_new(ping_backend(w), "s", peer_new(w, RESET, NULL))->inter_ms = 500;
	expect_result(w, "L7RSP: Connection reset by peer");
}

static void a_flood_is_read_up_to_the_limit(void **state)
{
	struct world *w = *state;

	server_new(ping_backend(w), "s", peer_new(w, FLOOD, NULL))->inter_ms = 2000;
	expect_result(w, "L7RSP: not within 16384 bytes at step 2 (expect string 'PONG')");
}

/* Of a check that is under way; always false. */
static bool count_reads(const struct health_server *s, unsigned *ret_reads)
{
	if (s->attempt)
		*ret_reads = s->attempt->reads;
	return false;
}

/* Byte by byte for ever: after ATTEMPT_READS_FREE reads, each further one has to wait. */
static void what_drips_is_read_ever_more_seldom(void **state)
{
	static char drops[2000];
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_SCRIPT);
	struct peer *p;
	unsigned reads = 0;

	memset(drops, 'a', sizeof(drops) - 1);
	step_add(b, MODEL_STEP_EXPECT, "b")->match = MODEL_MATCH_REGEX;
	p = peer_new(w, DRIP, drops);
	p->drip_ms = 1;
	b->check_timeout_ms = 0;
	server_new(b, "s", p)->inter_ms = 400;
	b->servers.items[0].downinter_ms = 60000;
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1 || count_reads(w->h->servers[0], &reads));
	assert_string_equal(view(w, 0, 0).last_result, "L7TOUT: step 1 (expect rstring 'b')");
	assert_in_range(reads, 2, ATTEMPT_READS_FREE + 400 / ATTEMPT_READ_PAUSE_MS + 1);
}

static void a_dripping_server_does_not_hold_up_the_others(void **state)
{
	static char drops[2000];
	struct world *w = *state;
	struct model_backend *b = ping_backend(w);
	struct peer *p;

	memset(drops, 'a', sizeof(drops) - 1);
	p = peer_new(w, DRIP, drops);
	p->drip_ms = 1;
	server_new(b, "slow", p)->inter_ms = 60000;
	server_new(b, "good", peer_new(w, ANSWER, "PONG"))->inter_ms = 20;
	world_configure(w);
	world_until(w, view(w, 0, 1).checks >= 10);
	assert_int_equal(view(w, 0, 1).check, HEALTH_UP);
	assert_int_equal(view(w, 0, 1).failures, 0);
	assert_int_equal(view(w, 0, 0).checks, 0);
}

static void a_second_connection_goes_to_its_own_port(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, SPEAK, "first"), *q = peer_new(w, SPEAK, "second");
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_SCRIPT);

	step_add(b, MODEL_STEP_EXPECT, "first");
	step_add(b, MODEL_STEP_CONNECT, "")->port = q->port;
	step_add(b, MODEL_STEP_EXPECT, "second");
	server_new(b, "s", p)->inter_ms = 500;
	expect_result(w, "L7OK");
	assert_int_equal(q->accepted, 1);
}

static void a_second_connection_that_is_refused_is_l4con(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, SPEAK, "first");
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_SCRIPT);

	step_add(b, MODEL_STEP_EXPECT, "first");
	step_add(b, MODEL_STEP_CONNECT, "")->port = 1;
	server_new(b, "s", p)->inter_ms = 500;
	expect_result(w, "L4CON: Connection refused");
}

/* A script of the old configuration that is under way may use its own steps until it is cancelled. */
static void a_reload_in_the_middle_of_a_script(void **state)
{
	struct world *w = *state;
	struct model_backend *b = ping_backend(w);

	server_new(b, "s", peer_new(w, HOLD, NULL))->inter_ms = 60000;
	world_configure(w);
	world_until(w, w->peers[0].asked >= 1);
	world_configure(w);
	b->steps.items[1].negated = true;
	world_configure(w);
	world_until(w, w->peers[0].asked >= 2);
	assert_int_equal(view(w, 0, 0).checks, 0);
}

static void udp_check_is_answered(void **state)
{
	struct world *w = *state;
	struct datagrams d = { .text = "PONG" };
	struct model_backend *b = ping_backend(w);

	datagrams_open(&d, w);
	b->check_datagram = true;
	server_new_at(b, "s", loopback("127.0.0.1", d.port))->inter_ms = 500;
	expect_result(w, "L7OK");
	datagrams_close(&d);
}

static void a_lost_datagram_is_asked_again(void **state)
{
	struct world *w = *state;
	struct datagrams d = { .text = "PONG", .lose = ATTEMPT_DATAGRAMS - 1 };
	struct model_backend *b = ping_backend(w);

	datagrams_open(&d, w);
	b->check_datagram = true;
	b->check_timeout_ms = 300;
	server_new_at(b, "s", loopback("127.0.0.1", d.port));
	expect_result(w, "L7OK");
	assert_int_equal(d.asked, ATTEMPT_DATAGRAMS);
	datagrams_close(&d);
}

static void but_not_more_often(void **state)
{
	struct world *w = *state;
	struct datagrams d = { .lose = 1000 };
	struct model_backend *b = ping_backend(w);

	datagrams_open(&d, w);
	b->check_datagram = true;
	b->check_timeout_ms = 300;
	server_new_at(b, "s", loopback("127.0.0.1", d.port));
	expect_result(w, "L7TOUT: step 2 (expect string 'PONG')");
	assert_in_range(d.asked, ATTEMPT_DATAGRAMS, ATTEMPT_DATAGRAMS + 1); /* the next check may have begun */
	datagrams_close(&d);
}

static void a_closed_udp_port_is_l4con(void **state)
{
	struct world *w = *state;
	struct datagrams d = { .text = "" };
	struct model_backend *b = ping_backend(w);

	datagrams_open(&d, w);
	datagrams_close(&d);
	b->check_datagram = true;
	server_new_at(b, "s", loopback("127.0.0.1", d.port))->inter_ms = 500;
	expect_result(w, "L4CON: Connection refused");
}

static struct model_backend *dns_backend(struct world *w, const char *name)
{
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_DNS);

	b->dns.type = 1;
	b->dns.name = name ? strdup(name) : NULL;
	return b;
}

static void dns_with_a_record_is_l7ok(void **state)
{
	struct world *w = *state;
	struct datagrams d = { .records = 1 };

	datagrams_open(&d, w);
	server_new_at(dns_backend(w, "www.example"), "s", loopback("127.0.0.1", d.port))->inter_ms = 500;
	expect_result(w, "L7OK");
	datagrams_close(&d);
}

static void dns_without_such_a_name_is_l7sts(void **state)
{
	struct world *w = *state;
	struct datagrams d = { .rcode = 3 };

	datagrams_open(&d, w);
	server_new_at(dns_backend(w, "www.example"), "s", loopback("127.0.0.1", d.port))->inter_ms = 500;
	expect_result(w, "L7STS: NXDOMAIN");
	datagrams_close(&d);
}

static void dns_refused_is_an_answer_where_nothing_was_asked_for(void **state)
{
	struct world *w = *state;
	struct datagrams d = { .rcode = 5 };

	datagrams_open(&d, w);
	server_new_at(dns_backend(w, NULL), "s", loopback("127.0.0.1", d.port))->inter_ms = 500;
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1);
	assert_string_equal(view(w, 0, 0).last_result, "L7OK: REFUSED");
	datagrams_close(&d);
}

static void dns_noise_is_l7rsp(void **state)
{
	struct world *w = *state;
	struct datagrams d = { .text = "what?" };

	datagrams_open(&d, w);
	server_new_at(dns_backend(w, "www.example"), "s", loopback("127.0.0.1", d.port))->inter_ms = 500;
	expect_result(w, "L7RSP: not an answer to the query");
	datagrams_close(&d);
}

/* ---- via a service's address ---- */

struct fake_way {
	uint32_t mark;
	uint64_t sent;
	bool in_place;          /* packets with the mark are sent that way */
	unsigned asked;
	unsigned slow_ms;       /* to say the mark */
	struct attempt_via via;
};

static uint32_t fake_mark(const struct attempt_target *t, void *ctx)
{
	struct fake_way *f = ctx;
	const struct timespec slow = { .tv_nsec = (long)f->slow_ms * 1000 * 1000 };

	f->asked++;
	nanosleep(&slow, NULL);
	return f->mark;
}

static uint64_t fake_sent(uint32_t mark, void *ctx)
{
	struct fake_way *f = ctx;

	assert_int_equal(mark, f->mark);
	return f->in_place ? f->sent++ : f->sent;
}

/* A TCP check of a good server, via. */
static void check_via(struct world *w, struct fake_way *f)
{
	struct model_server *s;

	f->via = (struct attempt_via){ .mark = fake_mark, .sent = fake_sent, .ctx = f };
	health_set_via(w->h, &f->via);
	s = server_new(backend_new(w, "b", MODEL_CHECK_TCP), "s", peer_new(w, ANSWER, ""));
	s->inter_ms = f->slow_ms ? f->slow_ms / 2 : 500;
	s->via.service = loopback("127.0.0.9", 0).addr;
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1);
}

static void expect_begins(struct world *w, const char *result)
{
	const struct health_view v = view(w, 0, 0);

	if (strncmp(v.last_result, result, strlen(result)))
		fail_msg("%s, not %s", v.last_result, result);
}

static void a_check_that_went_its_way_counts(void **state)
{
	struct fake_way f = { .mark = 0xa1050001, .in_place = true };
	struct world *w = *state;

	check_via(w, &f);
	assert_string_equal(view(w, 0, 0).last_result, "L4OK");
	assert_int_equal(view(w, 0, 0).check, HEALTH_UP);
	assert_int_equal(f.asked, 1);
}

/* The time of a check is over before it is first waited for: its server is none the worse for that. */
static void a_connection_that_stands_by_then_counts(void **state)
{
	struct fake_way f = { .mark = 0xa1050001, .in_place = true, .slow_ms = 200 };
	struct world *w = *state;

	check_via(w, &f);
	assert_string_equal(view(w, 0, 0).last_result, "L4OK");
}

/* Connected, but no packet was sent via the service's address: it was the server's own that answered. */
static void a_check_that_went_astray_says_nothing(void **state)
{
	struct fake_way f = { .mark = 0xa1050001 };
	struct world *w = *state;

	check_via(w, &f);
	expect_begins(w, "SOCKERR: not sent via the service's address");
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
}

static void without_a_way_nothing_is_sent(void **state)
{
	struct fake_way f = {};
	struct world *w = *state;

	check_via(w, &f);
	expect_begins(w, "SOCKERR: no way via the service's address");
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
}

int main(void)
{
#define TALK_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	static const struct CMUnitTest tests[] = {
		TALK_TEST(a_script_that_is_answered_is_l7ok),
		TALK_TEST(another_answer_is_l7rsp_and_names_the_step),
		TALK_TEST(a_greeting_needs_no_question),
		TALK_TEST(silence_is_l7tout_and_names_the_step),
		TALK_TEST(a_reset_is_l7rsp),
		TALK_TEST(a_flood_is_read_up_to_the_limit),
		TALK_TEST(what_drips_is_read_ever_more_seldom),
		TALK_TEST(a_dripping_server_does_not_hold_up_the_others),
		TALK_TEST(a_second_connection_goes_to_its_own_port),
		TALK_TEST(a_second_connection_that_is_refused_is_l4con),
		TALK_TEST(a_reload_in_the_middle_of_a_script),
		TALK_TEST(udp_check_is_answered),
		TALK_TEST(a_lost_datagram_is_asked_again),
		TALK_TEST(but_not_more_often),
		TALK_TEST(a_closed_udp_port_is_l4con),
		TALK_TEST(dns_with_a_record_is_l7ok),
		TALK_TEST(dns_without_such_a_name_is_l7sts),
		TALK_TEST(dns_refused_is_an_answer_where_nothing_was_asked_for),
		TALK_TEST(dns_noise_is_l7rsp),
		TALK_TEST(a_check_that_went_its_way_counts),
		TALK_TEST(a_connection_that_stands_by_then_counts),
		TALK_TEST(a_check_that_went_astray_says_nothing),
		TALK_TEST(without_a_way_nothing_is_sent),
	};

	return cmocka_run_group_tests_name("health_talks", tests, NULL, NULL);
}
