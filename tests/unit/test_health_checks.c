/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Real checks against real sockets on loopback: good servers, dead ones, and hostile ones. Each test asserts the
 * result's text, as a user reads it in `alwayson show servers`, and the state that follows from it.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include "health_world.h"

static uint16_t free_port(void)
{
	struct endpoint at = loopback("127.0.0.1", 0);
	uint16_t port;

	close(listen_on(&at, 1, &port));
	return port;
}

/* One server, first check done. */
static struct health_view first_check(struct world *w)
{
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1);
	return view(w, 0, 0);
}

static void expect_first(struct world *w, enum health_check_state state, const char *result)
{
	struct health_view v = first_check(w);

	assert_string_equal(v.last_result, result);
	assert_int_equal(v.check, state);
	assert_int_equal(v.up, state == HEALTH_UP);
	assert_int_equal(v.failures, state != HEALTH_UP);
}

static void http_case(struct world *w, enum manner manner, const char *text, enum health_check_state state,
		      const char *result)
{
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);

	if (manner == HOLD || manner == DRIP)
		b->check_timeout_ms = 0; /* inter is what they have */
	server_new(b, "s1", peer_new(w, manner, text))->inter_ms = 100;
	expect_first(w, state, result);
}

static void tcp_to_a_listener_is_l4ok(void **state)
{
	struct world *w = *state;

	server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", peer_new(w, HOLD, NULL));
	expect_first(w, HEALTH_UP, "L4OK");
	assert_int_equal(w->changes, 1);
	assert_int_equal(w->ups, 1);
	assert_string_equal(w->reason, "L4OK; first check");
	assert_string_equal(w->server, "db/s1");
}

static void tcp_over_ipv6_is_l4ok(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new_on(w, "::1", HOLD, NULL);

	server_new_at(backend_new(w, "db", MODEL_CHECK_TCP), "s1", loopback("::1", p->port));
	expect_first(w, HEALTH_UP, "L4OK");
}

static void http_over_ipv6_names_the_address_in_brackets(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new_on(w, "::1", ANSWER, "HTTP/1.1 200 OK\r\n\r\n");
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	char host[80];

	server_new_at(b, "s1", loopback("::1", p->port));
	strcpy(b->http.version, "HTTP/1.1");
	expect_first(w, HEALTH_UP, "L7OK/200");
	snprintf(host, sizeof(host), "OPTIONS / HTTP/1.1\r\nHost: [::1]:%u\r\nConnection: close\r\n\r\n", p->port);
	assert_string_equal(p->last_request, host);
}

/* In /proc/net/tcp: remote address and state of every socket; 0A is the listener itself. */
static unsigned sockets_of(uint16_t port)
{
	char line[512], wanted[32];
	unsigned found = 0;
	FILE *f = fopen("/proc/net/tcp", "r");

	assert_non_null(f);
	snprintf(wanted, sizeof(wanted), "0100007F:%04X", port);
	while (fgets(line, sizeof(line), f))
		found += strstr(line, wanted) && !strstr(line, " 0A ");
	fclose(f);
	return found;
}

static void a_tcp_check_leaves_no_time_wait_and_no_connection_behind(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);
	const unsigned before = sockets_of(p->port); /* TIME_WAIT of who had this port earlier */

	server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", p);
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 5);
	assert_true(sockets_of(p->port) <= before);
	/* The application saw none, unless the machine stood still for the 40 ms of a delayed ACK. */
	assert_true(p->accepted < view(w, 0, 0).checks);
}

static void a_refused_connection_is_l4con(void **state)
{
	struct world *w = *state;

	server_new_at(backend_new(w, "db", MODEL_CHECK_TCP), "s1", loopback("127.0.0.1", free_port()));
	expect_first(w, HEALTH_DOWN, "L4CON: Connection refused");
	/* Nothing that others act on has changed but the check's state: it was not up before. */
	assert_int_equal(w->changes, 1);
	assert_int_equal(w->downs, 0);
}

static void a_full_accept_queue_is_l4tout_after_timeout_connect(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	struct health_view v;

	b->connect_timeout_ms = 60;
	server_new(b, "s1", peer_new(w, FULL, NULL))->inter_ms = 2000;
	v = first_check(w);
	assert_string_equal(v.last_result, "L4TOUT");
	assert_int_equal(v.check, HEALTH_DOWN);
	assert_in_range(v.last_duration_ms, 60, 1000);
}

static void the_smaller_inter_limits_the_connection(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	struct health_view v;

	b->connect_timeout_ms = 5000;
	server_new(b, "s1", peer_new(w, FULL, NULL))->inter_ms = 60;
	v = first_check(w);
	assert_string_equal(v.last_result, "L4TOUT");
	assert_in_range(v.last_duration_ms, 60, 1000);
}

static void http_200_is_l7ok(void **state)
{
	http_case(*state, ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HEALTH_UP, "L7OK/200");
}

static void http_302_is_l7ok(void **state)
{
	http_case(*state, ANSWER, "HTTP/1.0 302 Found\r\n\r\n", HEALTH_UP, "L7OK/302");
}

static void http_503_is_l7sts(void **state)
{
	http_case(*state, ANSWER, "HTTP/1.1 503 Service Unavailable\r\n\r\n", HEALTH_DOWN,
		  "L7STS/503: Service Unavailable");
}

static void garbage_is_l7rsp(void **state)
{
	http_case(*state, ANSWER, "\x15\x03\x01\x00\x02\x02\x0a", HEALTH_DOWN, "L7RSP: not HTTP/1.x");
}

static void an_endless_line_is_l7rsp_without_reading_on(void **state)
{
	http_case(*state, FLOOD, NULL, HEALTH_DOWN, "L7RSP: not HTTP/1.x");
}

static void a_status_line_beyond_the_limit_is_l7rsp(void **state)
{
	static char line[4096] = "HTTP/1.1 200 ";

	memset(line + 13, 'a', sizeof(line) - 14);
	http_case(*state, ANSWER, line, HEALTH_DOWN, "L7RSP: status line too long");
}

static void a_huge_header_after_the_status_line_does_not_matter(void **state)
{
	static char text[200000] = "HTTP/1.1 200 OK\r\nX: ";

	memset(text + 20, 'a', sizeof(text) - 21);
	http_case(*state, ANSWER, text, HEALTH_UP, "L7OK/200");
}

static void a_server_that_closes_is_l7rsp(void **state)
{
	struct world *w = *state;
	struct health_view v;

	server_new(backend_new(w, "web", MODEL_CHECK_HTTP), "s1", peer_new(w, CLOSE, NULL));
	v = first_check(w);
	/* Its kernel answers the request, if that came later, by RST: either is what a user would see. */
	assert_int_equal(v.check, HEALTH_DOWN);
	assert_true(!strcmp(v.last_result, "L7RSP: no answer, closed") ||
		    !strcmp(v.last_result, "L7RSP: Connection reset by peer"));
}

static void a_half_status_line_is_l7rsp(void **state)
{
	http_case(*state, ANSWER, "HTTP/1.1 200 O", HEALTH_DOWN, "L7RSP: closed within the status line");
}

static void a_reset_after_the_request_is_l7rsp(void **state)
{
	http_case(*state, RESET, NULL, HEALTH_DOWN, "L7RSP: Connection reset by peer");
}

static void silence_is_l7tout_after_inter(void **state)
{
	struct world *w = *state;

	http_case(w, HOLD, NULL, HEALTH_DOWN, "L7TOUT: no answer");
	assert_in_range(view(w, 0, 0).last_duration_ms, 100, 1000);
}

static void one_byte_at_a_time_is_l7tout_whatever_it_says(void **state)
{
	struct world *w = *state;

	http_case(w, DRIP, "HTTP/1.1 200 and so on, for ever and ever and ever", HEALTH_DOWN,
		  "L7TOUT: status line incomplete");
	assert_in_range(view(w, 0, 0).last_duration_ms, 100, 1000);
}

static void a_slow_answer_within_timeout_check_is_good(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	struct health_view v;

	/* 17 bytes at 5 ms each: longer than inter, within timeout check. */
	b->check_timeout_ms = 5000;
	server_new(b, "s1", peer_new(w, DRIP, "HTTP/1.1 200 OK\r\n"))->inter_ms = 50;
	v = first_check(w);
	assert_string_equal(v.last_result, "L7OK/200");
	assert_true(v.last_duration_ms > 50);
}

static void timeout_check_limits_the_answer_below_inter(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	struct health_view v;

	b->check_timeout_ms = 50;
	server_new(b, "s1", peer_new(w, HOLD, NULL))->inter_ms = 5000;
	v = first_check(w);
	assert_string_equal(v.last_result, "L7TOUT: no answer");
	assert_in_range(v.last_duration_ms, 50, 1000);
}

static void expect_status_replaces_the_default(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);

	b->http.expect[0] = (struct model_status_range){ 200, 204 };
	b->http.expect[1] = (struct model_status_range){ 503, 503 };
	b->http.expect_count = 2;
	server_new(b, "s1", peer_new(w, ANSWER, "HTTP/1.1 503 Busy\r\n\r\n"));
	server_new(b, "s2", peer_new(w, ANSWER, "HTTP/1.1 302 Found\r\n\r\n"));
	world_configure(w);
	world_until(w, w->first_rounds);
	assert_string_equal(view(w, 0, 0).last_result, "L7OK/503");
	assert_string_equal(view(w, 0, 1).last_result, "L7STS/302: Found");
}

static void a_negated_expect_takes_all_but_that(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);

	b->http.expect[0] = (struct model_status_range){ 500, 599 };
	b->http.expect_count = 1;
	b->http.expect_negated = true;
	server_new(b, "s1", peer_new(w, ANSWER, "HTTP/1.1 404 Not Found\r\n\r\n"));
	server_new(b, "s2", peer_new(w, ANSWER, "HTTP/1.1 500 Oops\r\n\r\n"));
	world_configure(w);
	world_until(w, w->first_rounds);
	assert_string_equal(view(w, 0, 0).last_result, "L7OK/404");
	assert_string_equal(view(w, 0, 1).last_result, "L7STS/500: Oops");
}

static void the_request_is_what_the_configuration_says(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, ANSWER, "HTTP/1.1 200 OK\r\n\r\n");
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);

	strcpy(b->http.method, "GET");
	strcpy(b->http.uri, "/health?a=1");
	strcpy(b->http.version, "HTTP/1.1");
	b->http.host = strdup("www.example.org");
	server_new(b, "s1", p);
	first_check(w);
	assert_string_equal(p->last_request,
			    "GET /health?a=1 HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\n\r\n");
}

static void http_1_0_without_a_host_sends_none(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, ANSWER, "HTTP/1.1 200 OK\r\n\r\n");

	server_new(backend_new(w, "web", MODEL_CHECK_HTTP), "s1", p);
	first_check(w);
	assert_string_equal(p->last_request, "OPTIONS / HTTP/1.0\r\nConnection: close\r\n\r\n");
}

static void a_server_falls_after_fall_failures_and_rises_after_rise_successes(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);
	uint16_t port = p->port;

	server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", p);
	first_check(w);
	assert_int_equal(w->ups, 1);
	peer_close(p);
	world_until(w, w->downs == 1);
	assert_int_equal(view(w, 0, 0).failures, 3);
	assert_string_equal(w->reason, "L4CON: Connection refused; 3 consecutive checks failed");
	assert_false(w->last_up);
	peer_open(p, "127.0.0.1", port);
	world_until(w, w->ups == 2);
	assert_string_equal(w->reason, "L4OK; 2 consecutive checks passed");
	assert_int_equal(w->changes, 3);
	assert_int_equal(view(w, 0, 0).transitions, 3);
	assert_true(view(w, 0, 0).changed_at_ms > 1600000000000);
}

static void checks_of_one_server_never_overlap(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	struct health_view v;
	size_t i, open;

	/* Each check lasts 100 ms and the next is due every 5: at no time are there two. */
	b->check_timeout_ms = 100;
	server_new(b, "s1", p)->inter_ms = 5;
	world_configure(w);
	do {
		world_turn(w);
		for (i = open = 0; i < WORLD_CLIENTS_MAX; i++)
			open += !!w->clients[i].event;
		v = view(w, 0, 0);
		/* A closed one may not have been noticed yet on this side when its successor comes. */
		assert_true(p->accepted <= v.checks + 1);
		assert_true(open <= 2);
	} while (v.checks < 5);
	assert_true(v.last_duration_ms >= 100);
}

static void no_check_ends_before_its_time(void **state)
{
	enum { SERVERS = 8, CHECKS = 25, LIMIT_MS = 15 };
	struct world *w = *state;
	struct peer *silent = peer_new(w, HOLD, NULL), *shut = peer_new(w, FULL, NULL);
	struct model_backend *web, *full;
	unsigned least = 0;
	size_t i;

	/* They start at all times, so that any part of a ms has gone by then. */
	backend_new(w, "web", MODEL_CHECK_HTTP);
	full = backend_new(w, "full", MODEL_CHECK_TCP);
	web = &w->m.backends.items[0];
	web->check_timeout_ms = full->connect_timeout_ms = LIMIT_MS;
	for (i = 0; i < SERVERS; i++) {
		server_new(web, (char[]){ 'a' + (char)i, 0 }, silent)->inter_ms = LIMIT_MS;
		server_new(full, (char[]){ 'a' + (char)i, 0 }, shut)->inter_ms = LIMIT_MS;
	}
	world_configure(w);
	while (least < CHECKS) {
		world_turn(w);
		for (i = 0, least = CHECKS; i < 2 * SERVERS; i++) {
			struct health_view v = view(w, i / SERVERS, i % SERVERS);

			if (v.checks)
				assert_in_range(v.last_duration_us, LIMIT_MS * 1000, UINT32_MAX);
			if (v.checks < least)
				least = (unsigned)v.checks;
		}
	}
}

static void the_first_round_ends_when_the_slowest_has_answered(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);

	b->check_timeout_ms = 150;
	server_new(b, "fast", peer_new(w, ANSWER, "HTTP/1.1 200 OK\r\n\r\n"));
	server_new(b, "slow", peer_new(w, HOLD, NULL));
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 2);
	assert_int_equal(w->first_rounds, 0);
	world_until(w, w->first_rounds == 1);
	assert_int_equal(view(w, 0, 1).checks, 1);
	world_until(w, view(w, 0, 1).checks >= 2);
	assert_int_equal(w->first_rounds, 1);
}

static void the_first_round_of_nothing_is_over_in_the_next_turn(void **state)
{
	struct world *w = *state;

	server_new_at(backend_new(w, "db", MODEL_CHECK_TCP), "s1", loopback("127.0.0.1", 1))->check = false;
	world_configure(w);
	assert_int_equal(w->first_rounds, 0);
	world_until(w, w->first_rounds == 1);
	assert_int_equal(view(w, 0, 0).check, HEALTH_UNCHECKED);
	assert_true(view(w, 0, 0).accepts_new);
}

/* As if there were no descriptor left, for sockets opened from here on: also where a check that is under way ends. */
static struct rlimit take_all_descriptors(void)
{
	struct rlimit old, none;

	assert_return_code(fcntl(0, F_GETFD), errno);
	assert_return_code(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ .rlim_cur = 1, .rlim_max = old.rlim_max };
	assert_return_code(setrlimit(RLIMIT_NOFILE, &none), 0);
	return old;
}

static void out_of_descriptors_keeps_up_up_and_down_down(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	struct rlimit old;
	uint64_t checks;

	server_new(b, "alive", peer_new(w, HOLD, NULL))->fall = 1;
	server_new_at(b, "dead", loopback("127.0.0.1", free_port()))->rise = 1;
	world_configure(w);
	world_until(w, w->first_rounds);
	assert_int_equal(view(w, 0, 0).check, HEALTH_UP);
	assert_int_equal(view(w, 0, 1).check, HEALTH_DOWN);
	w->changes = 0;
	old = take_all_descriptors();
	checks = view(w, 0, 0).checks + view(w, 0, 1).checks;
	world_until(w, view(w, 0, 0).checks + view(w, 0, 1).checks >= checks + 10);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_string_equal(view(w, 0, 0).last_result, "SOCKERR: Too many open files (state kept)");
	assert_string_equal(view(w, 0, 1).last_result, "SOCKERR: Too many open files (state kept)");
	assert_int_equal(view(w, 0, 0).check, HEALTH_UP);
	assert_int_equal(view(w, 0, 1).check, HEALTH_DOWN);
	assert_int_equal(view(w, 0, 0).failures, 0);
	assert_int_equal(w->changes, 0);
	world_until(w, !strcmp(view(w, 0, 0).last_result, "L4OK"));
}

static void what_fails_while_the_interface_has_no_carrier_is_not_the_servers_fault(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	uint16_t port = free_port();

	server_new_at(b, "dead", loopback("127.0.0.1", port))->fall = 1;
	server_new(b, "alive", peer_new(w, HOLD, NULL))->fall = 1;
	w->cut_off = true;
	world_configure(w);
	world_until(w, w->first_rounds && view(w, 0, 0).checks >= 3);
	assert_string_equal(view(w, 0, 0).last_result,
			    "SOCKERR: the interface towards it has no carrier (state kept)");
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
	assert_int_equal(view(w, 0, 0).failures, 0);
	assert_int_equal(view(w, 0, 1).check, HEALTH_UP); /* what succeeds counts, how ever it came through */
	w->cut_off = false;
	world_until(w, view(w, 0, 0).check == HEALTH_DOWN);
}

static void out_of_descriptors_at_start_ends_the_round_but_lets_no_traffic_in(void **state)
{
	struct world *w = *state;
	struct rlimit old;

	server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", peer_new(w, HOLD, NULL));
	world_configure(w);
	event_base_loop(w->base, EVLOOP_NONBLOCK); /* opens what libevent itself needs */
	if (view(w, 0, 0).checks)
		world_configure(w);
	old = take_all_descriptors();
	health_set_admin(w->h, "db/s1", HEALTH_MAINT); /* starts over, without descriptors */
	health_set_admin(w->h, "db/s1", HEALTH_READY);
	world_until(w, !strncmp(view(w, 0, 0).last_result, "SOCKERR", 7));
	world_until(w, w->first_rounds >= 1);
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
	assert_false(view(w, 0, 0).accepts_new);
	setrlimit(RLIMIT_NOFILE, &old);
	world_until(w, view(w, 0, 0).check == HEALTH_UP);
}

static void an_answer_that_came_while_the_loop_was_busy_counts(void **state)
{
	struct world *w = *state;
	struct timespec busy = { .tv_nsec = 150 * 1000 * 1000 };
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	struct peer *p = peer_new(w, ANSWER, "HTTP/1.1 200 OK\r\n\r\n");

	b->check_timeout_ms = 100;
	server_new(b, "s1", p);
	world_configure(w);
	/* The answer is on its way; now the loop stands still until long after the deadline. */
	while (!p->asked)
		world_turn(w);
	nanosleep(&busy, NULL);
	world_until(w, view(w, 0, 0).checks >= 1);
	assert_string_equal(view(w, 0, 0).last_result, "L7OK/200");
}

#define CHECK_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

/* disable-on-404: up, and left alone by new connections, until it answers otherwise. */
static void a_404_drains_a_server_that_is_up(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_HTTP);
	struct peer *p = peer_new(w, ANSWER, "HTTP/1.1 200 OK\r\n\r\n");

	b->http.disable_on_404 = true;
	server_new(b, "s", p);
	world_configure(w);
	world_until(w, view(w, 0, 0).accepts_new);
	p->text = "HTTP/1.1 404 Not Found\r\n\r\n";
	world_until(w, view(w, 0, 0).admin == HEALTH_DRAIN);
	assert_string_equal(view(w, 0, 0).last_result, "L7OKC/404: Not Found");
	assert_true(view(w, 0, 0).up);
	assert_false(view(w, 0, 0).accepts_new);
	assert_int_equal(view(w, 0, 0).failures, 0);
	p->text = "HTTP/1.1 200 OK\r\n\r\n";
	world_until(w, view(w, 0, 0).accepts_new);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_READY);
	assert_int_equal(view(w, 0, 0).transitions, 1);
}

/* For one that is down it is a failure as any other. */
static void a_404_does_not_bring_a_server_up(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_HTTP);

	b->http.disable_on_404 = true;
	server_new(b, "s", peer_new(w, ANSWER, "HTTP/1.1 404 Not Found\r\n\r\n"));
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 3);
	assert_int_equal(view(w, 0, 0).check, HEALTH_DOWN);
	assert_string_equal(view(w, 0, 0).last_result, "L7STS/404: Not Found");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK_TEST(tcp_to_a_listener_is_l4ok),
		CHECK_TEST(tcp_over_ipv6_is_l4ok),
		CHECK_TEST(http_over_ipv6_names_the_address_in_brackets),
		CHECK_TEST(a_tcp_check_leaves_no_time_wait_and_no_connection_behind),
		CHECK_TEST(a_refused_connection_is_l4con),
		CHECK_TEST(a_full_accept_queue_is_l4tout_after_timeout_connect),
		CHECK_TEST(the_smaller_inter_limits_the_connection),
		CHECK_TEST(http_200_is_l7ok),
		CHECK_TEST(http_302_is_l7ok),
		CHECK_TEST(http_503_is_l7sts),
		CHECK_TEST(a_404_drains_a_server_that_is_up),
		CHECK_TEST(a_404_does_not_bring_a_server_up),
		CHECK_TEST(garbage_is_l7rsp),
		CHECK_TEST(an_endless_line_is_l7rsp_without_reading_on),
		CHECK_TEST(a_status_line_beyond_the_limit_is_l7rsp),
		CHECK_TEST(a_huge_header_after_the_status_line_does_not_matter),
		CHECK_TEST(a_server_that_closes_is_l7rsp),
		CHECK_TEST(a_half_status_line_is_l7rsp),
		CHECK_TEST(a_reset_after_the_request_is_l7rsp),
		CHECK_TEST(silence_is_l7tout_after_inter),
		CHECK_TEST(one_byte_at_a_time_is_l7tout_whatever_it_says),
		CHECK_TEST(a_slow_answer_within_timeout_check_is_good),
		CHECK_TEST(timeout_check_limits_the_answer_below_inter),
		CHECK_TEST(expect_status_replaces_the_default),
		CHECK_TEST(a_negated_expect_takes_all_but_that),
		CHECK_TEST(the_request_is_what_the_configuration_says),
		CHECK_TEST(http_1_0_without_a_host_sends_none),
		CHECK_TEST(a_server_falls_after_fall_failures_and_rises_after_rise_successes),
		CHECK_TEST(checks_of_one_server_never_overlap),
		CHECK_TEST(no_check_ends_before_its_time),
		CHECK_TEST(the_first_round_ends_when_the_slowest_has_answered),
		CHECK_TEST(the_first_round_of_nothing_is_over_in_the_next_turn),
		CHECK_TEST(out_of_descriptors_keeps_up_up_and_down_down),
		CHECK_TEST(what_fails_while_the_interface_has_no_carrier_is_not_the_servers_fault),
		CHECK_TEST(out_of_descriptors_at_start_ends_the_round_but_lets_no_traffic_in),
		CHECK_TEST(an_answer_that_came_while_the_loop_was_busy_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
