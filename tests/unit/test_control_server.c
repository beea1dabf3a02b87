/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket towards its clients: requests at and above each limit, levels, deferred answers, and clients that
 * do not play by the rules.
 */
#include "unit/control_rig.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

static void answers_words_split_at_blanks(void **state)
{
	json_t *j = rig_ask(*state, " v1\techo  web.1-a_b:c/node-1 \t two\n"), *args = json_object_get(j, "args");

	assert_int_equal(json_array_size(args), 2);
	assert_string_equal(json_string_value(json_array_get(args, 0)), "web.1-a_b:c/node-1");
	assert_string_equal(json_string_value(json_array_get(args, 1)), "two");
	assert_done(j);
}

/* The tool's own quick look: `ok` must be the first thing in the line, whatever the verb adds. */
static void says_ok_first(void **state)
{
	struct client c;

	client_open(&c, *state);
	client_say(&c, "echo\n");
	rig_until((struct rig *)*state, c.ended);
	assert_memory_equal(c.data, "{\"ok\":true,\"now_ms\":", strlen("{\"ok\":true,\"now_ms\":"));
	client_close(&c);
}

static void takes_requests_up_to_the_limit(void **state)
{
	char line[CONTROL_REQUEST_MAX + 1];

	memset(line, 'a', sizeof(line));
	memcpy(line, "echo ", 5);
	line[CONTROL_REQUEST_MAX - 1] = '\n';
	assert_done(rig_ask_bytes(*state, line, CONTROL_REQUEST_MAX));
	line[CONTROL_REQUEST_MAX - 1] = 'a';
	line[CONTROL_REQUEST_MAX] = '\n';
	assert_refused(rig_ask_bytes(*state, line, CONTROL_REQUEST_MAX + 1), CONTROL_USAGE, "too long");
}

static void takes_words_up_to_the_limit(void **state)
{
	char line[256] = "v1 echo";

	for (int i = 1; i < CONTROL_WORDS_MAX; i++)
		strcat(line, " w");
	strcat(line, "\n");
	assert_done(rig_ask(*state, line));
	line[strlen(line) - 1] = '\0';
	strcat(line, " w\n");
	assert_refused(rig_ask(*state, line), CONTROL_USAGE, "more than 32 words");
}

static void explains_what_it_does_not_understand(void **state)
{
	assert_refused(rig_ask(*state, "\n"), CONTROL_USAGE, "empty");
	assert_refused(rig_ask(*state, "frobnicate now\n"), CONTROL_USAGE,
		       "unknown command `frobnicate`; there is: echo");
	assert_refused(rig_ask(*state, "show\n"), CONTROL_USAGE,
		       "incomplete command `show`; there is: show big, show stream");
	assert_refused(rig_ask(*state, "show bigger 1\n"), CONTROL_USAGE,
		       "unknown command `show bigger`; there is: show big, show stream");
	assert_refused(rig_ask(*state, "show bgi 1\n"), CONTROL_USAGE,
		       "unknown command `show bgi`; did you mean `show big`?");
	assert_refused(rig_ask(*state, "show big\n"), CONTROL_USAGE, "usage: show big N");
	assert_refused(rig_ask(*state, "show big 1 2\n"), CONTROL_USAGE, "usage: show big N");
	assert_refused(rig_ask(*state, "v2 echo\n"), CONTROL_USAGE, "this agent speaks v1");
	assert_refused(rig_ask(*state, "echo\r\n"), CONTROL_USAGE, "byte 0x0d at column 5");
	assert_refused(rig_ask(*state, "echo a\necho b\n"), CONTROL_USAGE, "one request");
	assert_refused(rig_ask_bytes(*state, "ec\0ho\n", 6), CONTROL_USAGE, "byte 0x00 at column 3");
	assert_refused(rig_ask(*state, "echo n\xc3\xb6\n"), CONTROL_USAGE, "byte 0xc3 at column 7");
	assert_refused(rig_ask(*state, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), CONTROL_USAGE, "one request");
}

static void refuses_floods_of_garbage_cheaply(void **state)
{
	struct rig *r = *state;
	char *garbage = malloc(100000);
	struct client c;

	for (int i = 0; i < 100000; i++)
		garbage[i] = 1 + i % 9;
	client_open(&c, r);
	client_send(&c, garbage, 50000);
	rig_until(r, c.ended);
	assert_refused(client_json(&c), CONTROL_USAGE, "too long");
	assert_int_equal(r->control->peer_count, 0);
	client_close(&c);
	free(garbage);
}

static void refuses_a_request_without_its_end(void **state)
{
	struct rig *r = *state;
	struct client c;

	client_open(&c, r);
	client_say(&c, "echo half");
	shutdown(c.fd, SHUT_WR);
	rig_until(r, c.ended);
	assert_refused(client_json(&c), CONTROL_USAGE, "without a newline");
	client_close(&c);
}

static void takes_a_request_byte_by_byte_and_half_closed(void **state)
{
	struct rig *r = *state;
	struct client c;

	client_open(&c, r);
	for (const char *at = "echo slow\n"; *at; at++) {
		client_send(&c, at, 1);
		event_base_loop(r->base, EVLOOP_NONBLOCK);
	}
	shutdown(c.fd, SHUT_WR);
	rig_until(r, c.ended);
	assert_done(client_json(&c));
	client_close(&c);
}

static void says_failures_with_their_details(void **state)
{
	json_t *j = rig_ask(*state, "bad\n");

	assert_int_equal(json_array_size(json_object_get(j, "messages")), 1);
	/* The byte that is no UTF-8 did not cost the message. */
	assert_refused(j, CONTROL_BAD_CONFIG, "bad ? file");
}

static void lets_the_65th_client_wait_its_turn(void **state)
{
	struct rig *r = *state;
	struct client crowd[CONTROL_CLIENTS_MAX], late;

	/* One first: the others then don't come out even with the number that is accepted in a turn. */
	client_open(&crowd[0], r);
	rig_until(r, r->control->peer_count == 1);
	for (int i = 1; i < CONTROL_CLIENTS_MAX; i++)
		client_open(&crowd[i], r);
	client_open(&late, r);
	client_say(&late, "echo\n");
	rig_until(r, r->control->peer_count == CONTROL_CLIENTS_MAX);
	/* The 64th is served while the house is full, the 65th when it has gone. */
	assert_int_equal(late.length, 0);
	client_say(&crowd[CONTROL_CLIENTS_MAX - 1], "echo\n");
	rig_until(r, crowd[CONTROL_CLIENTS_MAX - 1].ended);
	assert_done(client_json(&crowd[CONTROL_CLIENTS_MAX - 1]));
	rig_until(r, late.ended);
	assert_done(client_json(&late));
	client_close(&late);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		client_close(&crowd[i]);
	rig_until(r, r->control->peer_count == 0);
}

/* Three ways of being slow at once, since each costs the five seconds; others are served meanwhile. */
static void drops_the_slow_after_the_timeout(void **state)
{
	struct rig *r = *state;
	struct client mute, half, deaf, deaf_stream;

	client_open(&mute, r);
	client_open(&half, r);
	client_say(&half, "echo ha");
	client_open_idle(&deaf, r);
	client_say(&deaf, "show big 8000000\n");
	client_open_idle(&deaf_stream, r);
	client_say(&deaf_stream, "show stream 100000000\n");
	rig_until(r, r->control->peer_count == 4);
	for (int i = 0; i < 10; i++)
		assert_done(rig_ask(r, "echo\n"));
	rig_until(r, mute.ended && half.ended && r->control->peer_count == 0);
	assert_refused(client_json(&mute), CONTROL_TIMED_OUT, "not complete after 5 s");
	assert_refused(client_json(&half), CONTROL_TIMED_OUT, "not complete after 5 s");
	assert_int_equal(r->done_count, 1); /* the stream's source was told */
	assert_int_equal(r->control->pending, 0);
	client_close(&mute);
	client_close(&half);
	client_close(&deaf);
	client_close(&deaf_stream);
}

static void streams_what_would_not_fit(void **state)
{
	struct rig *r = *state;
	struct client c;
	json_t *j;

	client_open_idle(&c, r);
	client_say(&c, "show stream 200000\n");
	rig_until(r, r->control->peer_count == 1 && r->control->pending > 0);
	client_read(&c);
	while (!c.ended) {
		assert_true(r->control->pending <= 2 * CONTROL_CHUNK);
		event_base_loop(r->base, EVLOOP_ONCE);
	}
	assert_true(c.length > 5 * 200000);
	j = client_json(&c);
	assert_int_equal(json_integer_value(json_object_get(j, "total")), 200000);
	assert_int_equal(json_array_size(json_object_get(j, "items")), 200000);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(j, "items"), 199999)), 1);
	assert_done(j);
	assert_int_equal(r->done_count, 1);
	client_close(&c);
}

/* The document has begun and can't say that it failed: it must at least not look whole. */
static void breaks_off_a_stream_that_fails(void **state)
{
	struct rig *r = *state;
	struct client c;

	r->broken = true;
	client_open(&c, r);
	client_say(&c, "show stream 1000\n");
	rig_until(r, c.ended);
	assert_true(c.length > 0);
	assert_int_not_equal(c.data[c.length - 1], '\n');
	assert_int_equal(r->done_count, 1);
	client_close(&c);
}

static void streams_nothing_as_an_empty_array(void **state)
{
	json_t *j = rig_ask(*state, "show stream 0\n");

	assert_true(json_is_array(json_object_get(j, "items")));
	assert_int_equal(json_array_size(json_object_get(j, "items")), 0);
	assert_done(j);
}

static void limits_the_size_of_a_reply(void **state)
{
	/* {"ok":true,"now_ms":1234567890123,"data":""} and the newline are 45 bytes. */
	struct rig *r = *state;
	char line[64];

	snprintf(line, sizeof(line), "show big %d\n", CONTROL_REPLY_MAX - 45);
	assert_done(rig_ask(r, line));
	snprintf(line, sizeof(line), "show big %d\n", CONTROL_REPLY_MAX - 44);
	assert_refused(rig_ask(r, line), CONTROL_FAILED, "larger than 64 MiB");
	assert_int_equal(r->control->pending, 0);
}

/* Replies that wait to be read take so much memory together and no more. What others hold is made up: 128 MiB are slow. */
static void limits_what_unread_replies_take(void **state)
{
	enum { SMALLEST = 1024 }; /* what a short reply takes */
	struct rig *r = *state;

	r->control->pending = CONTROL_PENDING_MAX - SMALLEST;
	assert_done(rig_ask(r, "echo\n"));
	assert_int_equal(r->control->pending, CONTROL_PENDING_MAX - SMALLEST);
	r->control->pending++;
	assert_refused(rig_ask(r, "echo\n"), CONTROL_FAILED, "too many replies wait to be read");
	assert_int_equal(r->control->pending, CONTROL_PENDING_MAX - SMALLEST + 1);
	r->control->pending = 0;
	assert_done(rig_ask(r, "echo\n"));
}

static void answers_later(void **state)
{
	struct rig *r = *state;
	struct client c;

	client_open(&c, r);
	client_say(&c, "hold\n");
	shutdown(c.fd, SHUT_WR); /* `echo hold | nc -U`: still there to read */
	rig_until(r, r->held_count == 1);
	assert_done(rig_ask(r, "echo\n"));
	assert_int_equal(r->gone_count, 0);
	assert_true(rig_turns(r, 30) < 5); /* the loop sleeps while it waits */
	control_reply(r->held[0], json_pack("{s:i}", "left", 0));
	rig_until(r, c.ended);
	assert_done(client_json(&c));
	client_close(&c);
	rig_until(r, r->control->peer_count == 0);
	assert_int_equal(r->gone_count, 0);
}

static void tells_a_verb_that_its_client_is_gone(void **state)
{
	struct rig *r = *state;
	struct client c;

	client_open(&c, r);
	client_say(&c, "hold\n");
	rig_until(r, r->held_count == 1);
	client_say(&c, "impatient\n"); /* unread input must not hide the end */
	assert_done(rig_ask(r, "echo\n"));
	assert_int_equal(r->gone_count, 0);
	client_close(&c);
	rig_until(r, r->gone_count == 1);
	assert_int_equal(r->control->peer_count, 0);
}

static void survives_an_answer_to_nobody(void **state)
{
	struct rig *r = *state;
	struct client c;

	for (int i = 0; i < 3; i++) {
		client_open(&c, r);
		client_say(&c, "hold blindly\n");
		rig_until(r, r->held_count == (unsigned)i + 1);
		client_close(&c);
		rig_until(r, r->control->peer_count == 0);
	}
	control_reply(r->held[0], json_object());
	control_fail(r->held[1], CONTROL_FAILED, "too late");
	control_stream(r->held[2], json_object(),
		       &(struct control_items){ .name = "items", .next = rig_next, .done = rig_done, .ctx = r });
	assert_int_equal(r->done_count, 1);
}

static void tells_those_who_wait_that_it_stops(void **state)
{
	struct rig *r = *state;
	struct client c;

	client_open(&c, r);
	client_say(&c, "hold\n");
	rig_until(r, r->held_count == 1);
	control_free(r->control);
	r->control = NULL;
	assert_int_equal(r->gone_count, 1);
	rig_until(r, c.ended);
	assert_refused(client_json(&c), CONTROL_FAILED, "stopping");
	client_close(&c);
}

static void survives_a_client_that_leaves_unanswered(void **state)
{
	struct rig *r = *state;
	struct client c;

	assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR); /* it would end the test */
	client_open_idle(&c, r);
	client_say(&c, "show big 8000000\n");
	rig_until(r, r->control->pending > 0);
	client_close(&c);
	rig_until(r, r->control->peer_count == 0);
	assert_int_equal(r->control->pending, 0);
	assert_done(rig_ask(r, "echo\n"));
}

static void comes_back_from_a_lack_of_descriptors(void **state)
{
	struct rig *r = *state;
	struct rlimit before, tight;
	struct client c;
	unsigned turns = 0;

	client_open(&c, r);
	client_say(&c, "echo\n");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = (struct rlimit){ .rlim_cur = c.fd + 1, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	while (!evtimer_pending(&r->control->breather, NULL))
		event_base_loop(r->base, EVLOOP_ONCE);
	for (; evtimer_pending(&r->control->breather, NULL); turns++)
		event_base_loop(r->base, EVLOOP_ONCE);
	assert_true(turns < 5); /* it rests, it does not spin */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	rig_until(r, c.ended);
	assert_done(client_json(&c));
	client_close(&c);
}

static void nobody_asks(const struct rig *r, int to)
{
	static const char *const requests[] = { "echo\n", "change\n" };
	char reply[1024];

	for (size_t i = 0; i < array_size(requests); i++) {
		int fd = connect_path(r->path);
		ssize_t n = fd < 0 ? -1 : send(fd, requests[i], strlen(requests[i]), MSG_NOSIGNAL);

		while (n > 0) {
			n = recv(fd, reply, sizeof(reply), 0);
			if (n > 0 && send(to, reply, n, 0) < 0)
				return;
		}
		if (fd >= 0)
			close(fd);
	}
}

static void keeps_levels_apart(void **state)
{
	struct rig *r = *state;
	char *said;

	assert_done(rig_ask(r, "change\n")); /* root is always admin */
	said = rig_as_nobody(r, nobody_asks);
	assert_memory_equal(said, "{\"ok\":true", strlen("{\"ok\":true"));
	assert_non_null(strstr(said, "`change` needs level admin, and uid 65534 has level user"));
	assert_non_null(strstr(said, "\"code\":1,"));
	free(said);

	r->where.level = MODEL_LEVEL_ADMIN;
	assert_int_equal(control_configure(r->control, &r->where), 0);
	said = rig_as_nobody(r, nobody_asks);
	assert_null(strstr(said, "\"ok\":false"));
	free(said);
}

/* One more than may wait: exactly one of them is answered, with a refusal. */
static void nobody_waits(const struct rig *r, int to)
{
	struct pollfd fds[CONTROL_WAITING_MAX + 1];
	char reply[1024];
	ssize_t n;

	for (size_t i = 0; i < array_size(fds); i++) {
		fds[i] = (struct pollfd){ .fd = connect_path(r->path), .events = POLLIN };
		if (send(fds[i].fd, "hold\n", 5, MSG_NOSIGNAL) < 0)
			return;
	}
	if (poll(fds, array_size(fds), RIG_PATIENCE_S * 1000) != 1)
		return;
	for (size_t i = 0; i < array_size(fds); i++)
		if (fds[i].revents & POLLIN) {
			n = recv(fds[i].fd, reply, sizeof(reply), 0);
			if (n > 0 && send(to, reply, n, 0) < 0)
				return;
		}
}

static void limits_how_many_wait(void **state)
{
	struct rig *r = *state;
	char *said = rig_as_nobody(r, nobody_waits);

	assert_non_null(said);
	assert_non_null(strstr(said, "too many commands wait"));
	assert_int_equal(r->held_count, CONTROL_WAITING_MAX + 1);
	rig_until(r, r->gone_count == CONTROL_WAITING_MAX + 1);
	assert_int_equal(r->control->waiting_count, 0);
	free(said);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_open, rig_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_rig(answers_words_split_at_blanks),
		with_rig(says_ok_first),
		with_rig(takes_requests_up_to_the_limit),
		with_rig(takes_words_up_to_the_limit),
		with_rig(explains_what_it_does_not_understand),
		with_rig(refuses_floods_of_garbage_cheaply),
		with_rig(refuses_a_request_without_its_end),
		with_rig(takes_a_request_byte_by_byte_and_half_closed),
		with_rig(says_failures_with_their_details),
		with_rig(lets_the_65th_client_wait_its_turn),
		with_rig(drops_the_slow_after_the_timeout),
		with_rig(streams_what_would_not_fit),
		with_rig(streams_nothing_as_an_empty_array),
		with_rig(breaks_off_a_stream_that_fails),
		with_rig(limits_the_size_of_a_reply),
		with_rig(limits_what_unread_replies_take),
		with_rig(answers_later),
		with_rig(tells_a_verb_that_its_client_is_gone),
		with_rig(survives_an_answer_to_nobody),
		with_rig(tells_those_who_wait_that_it_stops),
		with_rig(survives_a_client_that_leaves_unanswered),
		with_rig(comes_back_from_a_lack_of_descriptors),
		with_rig(keeps_levels_apart),
		with_rig(limits_how_many_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
