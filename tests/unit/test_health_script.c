/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tcp-check's run without a socket: what each step wants, when an expect decides, what bounds it. The rules are those
 * of HAProxy 2.6.
 */
#include "health_world.h"

#include "health/script.h"

struct stage {
	struct model_backend b;
	struct script *script;
	struct script_run run;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct stage));
	return 0;
}

static int teardown(void **state)
{
	struct stage *t = *state;

	script_end(&t->run);
	script_unref(t->script);
	for (size_t i = 0; i < t->b.steps.count; i++) {
		free(t->b.steps.items[i].data);
		free(t->b.steps.items[i].comment);
	}
	vec_done(&t->b.steps);
	free(t);
	return 0;
}

static struct model_check_step *expect(struct stage *t, enum model_match match, const char *pattern)
{
	struct model_check_step *s = step_add(&t->b, MODEL_STEP_EXPECT, pattern);

	s->match = match;
	return s;
}

/* Until it is connected, by a step of its own to a port or without one (0). */
static void begin_at(struct stage *t, uint16_t port)
{
	assert_return_code(script_new(&t->b, &t->script), 0);
	script_begin(&t->run, t->script);
	assert_int_equal(t->run.want, SCRIPT_CONNECT);
	if (port)
		assert_int_equal(script_connect(&t->run)->port, port);
	else
		assert_null(script_connect(&t->run));
	script_connected(&t->run);
}

static void begin(struct stage *t)
{
	begin_at(t, 0);
}

static void take(struct stage *t, const char *text)
{
	assert_int_equal(t->run.want, SCRIPT_RECEIVE);
	script_take(&t->run, text, strlen(text));
}

static void asks(struct stage *t, const char *request)
{
	size_t length;

	assert_int_equal(t->run.want, SCRIPT_SEND);
	assert_memory_equal(script_out(&t->run, &length), request, strlen(request));
	assert_int_equal(length, strlen(request));
	script_sent(&t->run);
}

static void assert_done(const struct stage *t, enum check_code code, const char *detail)
{
	assert_int_equal(t->run.want, SCRIPT_DONE);
	assert_string_equal(t->run.result.detail, detail);
	assert_int_equal(t->run.result.code, code);
}

static void send_and_expect(void **state)
{
	struct stage *t = *state;

	step_add(&t->b, MODEL_STEP_SEND, "PING\r\n");
	expect(t, MODEL_MATCH_STRING, "PONG");
	begin(t);
	asks(t, "PING\r\n");
	take(t, "+PO");
	take(t, "NG\r\n");
	assert_done(t, CHECK_L7OK, "");
}

static void without_steps_that_talk_the_connection_is_enough(void **state)
{
	struct stage *t = *state;

	step_add(&t->b, MODEL_STEP_CONNECT, "")->port = 99;
	begin_at(t, 99);
	assert_done(t, CHECK_L7OK, "");
}

static void what_does_not_come_is_waited_for_until_the_server_closes(void **state)
{
	struct stage *t = *state;
	char where[CHECK_DETAIL_MAX];

	expect(t, MODEL_MATCH_STRING, "PONG");
	begin(t);
	take(t, "-ERR no\r\n");
	assert_string_equal(script_where(&t->run, where), "step 1 (expect string 'PONG')");
	script_closed(&t->run);
	assert_done(t, CHECK_L7RSP, "not in the answer at step 1 (expect string 'PONG')");
}

static void an_empty_answer_says_so(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_STRING, "PONG")->comment = strdup("is it there?");
	begin(t);
	script_closed(&t->run);
	assert_done(t, CHECK_L7RSP, "no answer, closed at step 1 (is it there?)");
}

static void an_unwanted_answer_fails_at_once(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_STRING, "ERR")->negated = true;
	begin(t);
	take(t, "-E");
	take(t, "RR");
	assert_done(t, CHECK_L7RSP, "unwanted answer at step 1 (expect ! string 'ERR')");
}

static void that_it_does_not_come_is_known_at_the_end(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_STRING, "ERR")->negated = true;
	begin(t);
	take(t, "+OK\r\n");
	assert_int_equal(t->run.want, SCRIPT_RECEIVE);
	script_closed(&t->run);
	assert_done(t, CHECK_L7OK, "");
}

static void min_recv_decides_without_waiting(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_STRING, "ERR")->negated = true;
	t->b.steps.items[0].min_recv = 5;
	expect(t, MODEL_MATCH_STRING, "OK")->min_recv = 5;
	begin(t);
	take(t, "+OK\r");
	take(t, "\n");
	assert_done(t, CHECK_L7OK, "");
}

static void min_recv_missed_is_a_failure(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_STRING, "OK")->min_recv = 3;
	begin(t);
	take(t, "NO");
	take(t, "!");
	assert_done(t, CHECK_L7RSP, "not in the answer at step 1 (expect string 'OK')");
}

static void expects_in_a_row_look_at_the_same_bytes(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_STRING, "role:master");
	expect(t, MODEL_MATCH_REGEX, "^redis_version:[67]\\.");
	begin(t);
	take(t, "redis_version:6.0\r\nrole:master\r\n");
	assert_done(t, CHECK_L7OK, "");
}

static void what_is_sent_drops_the_answer_before(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_STRING, "220");
	step_add(&t->b, MODEL_STEP_SEND, "HELO x\r\n");
	expect(t, MODEL_MATCH_STRING, "220");
	begin(t);
	take(t, "220 hello\r\n");
	asks(t, "HELO x\r\n");
	take(t, "250 hello\r\n");
	script_closed(&t->run);
	assert_done(t, CHECK_L7RSP, "not in the answer at step 3 (expect string '220')");
}

static void a_second_connection_is_asked_for(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_STRING, "a");
	step_add(&t->b, MODEL_STEP_CONNECT, "")->port = 143;
	expect(t, MODEL_MATCH_STRING, "b");
	begin(t);
	take(t, "a");
	assert_int_equal(t->run.want, SCRIPT_CONNECT);
	assert_int_equal(script_connect(&t->run)->port, 143);
	script_connected(&t->run);
	take(t, "b");
	assert_done(t, CHECK_L7OK, "");
}

static void binary_patterns_may_hold_nul(void **state)
{
	struct stage *t = *state;
	struct model_check_step *s = expect(t, MODEL_MATCH_BINARY, "xxx");

	memcpy(s->data, "\0\1\0", 3);
	begin(t);
	script_take(&t->run, "ab\0\1", 4);
	script_take(&t->run, "\0", 1);
	assert_done(t, CHECK_L7OK, "");
}

static void a_regular_expression_sees_beyond_a_nul(void **state)
{
	struct stage *t = *state;

	expect(t, MODEL_MATCH_REGEX, "ok$");
	begin(t);
	script_take(&t->run, "a\0ok", 4);
	assert_done(t, CHECK_L7OK, "");
}

/* The last byte that is looked at, and the first one that is not. */
static void an_answer_is_looked_at_up_to_its_limit(void **state)
{
	struct stage *t = *state;
	char *full = malloc(SCRIPT_ANSWER_MAX);

	memset(full, 'x', SCRIPT_ANSWER_MAX);
	full[SCRIPT_ANSWER_MAX - 1] = '!';
	expect(t, MODEL_MATCH_STRING, "x!");
	begin(t);
	script_take(&t->run, full, SCRIPT_ANSWER_MAX);
	assert_done(t, CHECK_L7OK, "");
	free(full);
}

static void and_not_beyond_it(void **state)
{
	struct stage *t = *state;
	char *full = malloc(SCRIPT_ANSWER_MAX + 1);

	memset(full, 'x', SCRIPT_ANSWER_MAX + 1);
	full[SCRIPT_ANSWER_MAX] = '!';
	expect(t, MODEL_MATCH_STRING, "x!");
	begin(t);
	script_take(&t->run, full, SCRIPT_ANSWER_MAX - 1);
	assert_int_equal(t->run.want, SCRIPT_RECEIVE);
	script_take(&t->run, full + SCRIPT_ANSWER_MAX - 1, 2);
	assert_done(t, CHECK_L7RSP, "not within 16384 bytes at step 1 (expect string 'x!')");
	free(full);
}

static void a_lost_datagram_is_sent_again(void **state)
{
	struct stage *t = *state;

	step_add(&t->b, MODEL_STEP_SEND, "PING");
	expect(t, MODEL_MATCH_STRING, "PONG");
	begin(t);
	asks(t, "PING");
	assert_int_equal(t->run.want, SCRIPT_RECEIVE);
	script_again(&t->run);
	asks(t, "PING");
	take(t, "PONG");
	assert_done(t, CHECK_L7OK, "");
}

static void scripts_are_told_apart(void **state)
{
	struct stage *t = *state;
	struct script *a, *b;

	expect(t, MODEL_MATCH_STRING, "PONG");
	assert_return_code(script_new(&t->b, &a), 0);
	assert_return_code(script_new(&t->b, &b), 0);
	assert_true(script_equal(a, b));
	assert_false(script_equal(a, NULL));
	script_unref(b);
	t->b.steps.items[0].negated = true;
	assert_return_code(script_new(&t->b, &b), 0);
	assert_false(script_equal(a, b));
	script_unref(a);
	script_unref(b);
}

/* ---- sequences of HTTP requests ---- */

static struct model_check_step *status(struct stage *t, uint16_t low, uint16_t high)
{
	const struct model_status_range range = { low, high };
	struct model_check_step *s = step_add(&t->b, MODEL_STEP_EXPECT, "");

	free(s->data);
	s->data = malloc(sizeof(range) + 1);
	memcpy(s->data, &range, sizeof(range));
	s->length = sizeof(range);
	s->match = MODEL_MATCH_STATUS;
	return s;
}

/* A sequence that begins with this request. */
static void asked_by_http(struct stage *t, const char *request)
{
	t->b.check_http = true;
	step_add(&t->b, MODEL_STEP_SEND, request);
}

/* The first request has been sent. */
static void begin_http(struct stage *t, const char *request)
{
	begin(t);
	asks(t, request);
}

/* Two requests over one connection: the second one waits for the first answer's end, and sees its own answer only. */
static void http_requests_follow_each_other(void **state)
{
	struct stage *t = *state;

	asked_by_http(t, "GET /a");
	status(t, 200, 299);
	step_add(&t->b, MODEL_STEP_SEND, "GET /b");
	expect(t, MODEL_MATCH_STRING, "ready");
	begin_http(t, "GET /a");
	take(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nrea");
	take(t, "dy");
	asks(t, "GET /b");
	take(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nre");
	take(t, "ady");
	assert_done(t, CHECK_L7OK, "");
	assert_int_equal(t->run.result.http_status, 200);
}

static void http_status_is_judged_at_once(void **state)
{
	struct stage *t = *state;

	asked_by_http(t, "GET /a");
	status(t, 200, 399);
	begin_http(t, "GET /a");
	take(t, "HTTP/1.1 503 Busy\r\n");
	assert_done(t, CHECK_L7STS, "Busy at step 2 (expect status '200-399')");
	assert_int_equal(t->run.result.http_status, 503);
}

static void http_text_is_one_of_the_body(void **state)
{
	struct stage *t = *state;

	asked_by_http(t, "GET /a");
	expect(t, MODEL_MATCH_REGEX, "^rea.y$");
	expect(t, MODEL_MATCH_STRING, "X-Ready")->negated = true;
	begin_http(t, "GET /a");
	take(t, "HTTP/1.1 200 OK\r\nX-Ready: 1\r\nContent-Length: 5\r\n\r\nready");
	assert_done(t, CHECK_L7OK, "");
}

static void http_text_that_is_not_there(void **state)
{
	struct stage *t = *state;

	asked_by_http(t, "GET /a");
	expect(t, MODEL_MATCH_STRING, "ready");
	begin_http(t, "GET /a");
	take(t, "HTTP/1.0 200 OK\r\n\r\nrea");
	script_closed(&t->run);
	assert_done(t, CHECK_L7RSP, "not in the answer at step 2 (expect string 'ready')");
}

static void http_noise(void **state)
{
	struct stage *t = *state;

	asked_by_http(t, "GET /a");
	expect(t, MODEL_MATCH_STRING, "ready");
	begin_http(t, "GET /a");
	take(t, "ready or not");
	assert_done(t, CHECK_L7RSP, "not HTTP/1.x at step 2 (expect string 'ready')");
}

static void http_head_has_no_body(void **state)
{
	struct stage *t = *state;

	asked_by_http(t, "HEAD /a");
	expect(t, MODEL_MATCH_STATUS_REGEX, "^2..$");
	step_add(&t->b, MODEL_STEP_SEND, "GET /b");
	status(t, 200, 200);
	begin_http(t, "HEAD /a");
	take(t, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	asks(t, "GET /b");
	script_closed(&t->run);
	assert_done(t, CHECK_L7RSP, "no answer, closed at step 4 (expect status '200')");
}

int main(void)
{
#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		SCRIPT_TEST(send_and_expect),
		SCRIPT_TEST(without_steps_that_talk_the_connection_is_enough),
		SCRIPT_TEST(what_does_not_come_is_waited_for_until_the_server_closes),
		SCRIPT_TEST(an_empty_answer_says_so),
		SCRIPT_TEST(an_unwanted_answer_fails_at_once),
		SCRIPT_TEST(that_it_does_not_come_is_known_at_the_end),
		SCRIPT_TEST(min_recv_decides_without_waiting),
		SCRIPT_TEST(min_recv_missed_is_a_failure),
		SCRIPT_TEST(expects_in_a_row_look_at_the_same_bytes),
		SCRIPT_TEST(what_is_sent_drops_the_answer_before),
		SCRIPT_TEST(a_second_connection_is_asked_for),
		SCRIPT_TEST(binary_patterns_may_hold_nul),
		SCRIPT_TEST(a_regular_expression_sees_beyond_a_nul),
		SCRIPT_TEST(an_answer_is_looked_at_up_to_its_limit),
		SCRIPT_TEST(and_not_beyond_it),
		SCRIPT_TEST(a_lost_datagram_is_sent_again),
		SCRIPT_TEST(scripts_are_told_apart),
		SCRIPT_TEST(http_requests_follow_each_other),
		SCRIPT_TEST(http_status_is_judged_at_once),
		SCRIPT_TEST(http_text_is_one_of_the_body),
		SCRIPT_TEST(http_text_that_is_not_there),
		SCRIPT_TEST(http_noise),
		SCRIPT_TEST(http_head_has_no_body),
	};

	return cmocka_run_group_tests_name("health_script", tests, NULL, NULL);
}
