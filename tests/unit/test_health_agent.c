/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HAProxy's agent-check: what its words mean, alone and together, what no word is; and an agent on loopback whose
 * orders are carried out, kept, and taken back.
 */
#include "health_world.h"

#include "health/agent_answer.h"

static struct agent_answer read_ok(const char *line)
{
	struct agent_answer a = {};
	char wrong[40] = "";

	if (!agent_answer_read(line, strlen(line), &a, wrong, sizeof(wrong)))
		fail_msg("'%s': '%s' is not read", line, wrong);
	return a;
}

static void read_bad(const char *line, const char *word)
{
	struct agent_answer a = { .percent = 7 };
	char wrong[40] = "";

	assert_false(agent_answer_read(line, strlen(line), &a, wrong, sizeof(wrong)));
	assert_string_equal(wrong, word);
	assert_int_equal(a.percent, 7);
}

static void words_alone(void **state)
{
	assert_true(read_ok("75%").has_percent);
	assert_int_equal(read_ok("75%").percent, 75);
	assert_int_equal(read_ok("0%").percent, 0);
	assert_false(read_ok("75%").has_admin || read_ok("75%").has_state);
	assert_int_equal(read_ok("ready").admin, HEALTH_READY);
	assert_int_equal(read_ok("drain").admin, HEALTH_DRAIN);
	assert_int_equal(read_ok("maint").admin, HEALTH_MAINT);
	assert_true(read_ok("up").has_state);
	assert_false(read_ok("up").down);
	assert_true(read_ok("down").down);
	assert_true(read_ok("fail").down);
	assert_string_equal(read_ok("stopped").word, "stopped");
	assert_true(read_ok("maxconn:30").has_maxconn);
}

static void words_together_in_any_order(void **state)
{
	struct agent_answer a = read_ok(" up,\tready  50% maxconn:10");

	assert_true(a.has_state && a.has_admin && a.has_percent && a.has_maxconn);
	assert_int_equal(a.percent, 50);
	a = read_ok("UP Drain");
	assert_int_equal(a.admin, HEALTH_DRAIN);
}

static void a_reason_ends_the_line(void **state)
{
	char line[2 * AGENT_REASON_MAX] = "";

	assert_string_equal(read_ok("down#disk full, 99%").reason, "disk full, 99%");
	assert_string_equal(read_ok("stopped # by hand").reason, "by hand");
	assert_string_equal(read_ok("down#\x1b[2J").reason, "?[2J");
	assert_false(read_ok("down#50%").has_percent);
	memcpy(line, "down#", 5);
	memset(line + 5, 'x', sizeof(line) - 6);
	assert_int_equal(strlen(read_ok(line).reason), AGENT_REASON_MAX - 1);
}

static void nothing_is_an_order_too(void **state)
{
	struct agent_answer a = read_ok("");

	assert_false(a.has_percent || a.has_admin || a.has_state);
}

static void what_is_no_word_makes_the_line_void(void **state)
{
	read_bad("up 50", "50");
	read_bad("drained", "drained");
	read_bad("-5%", "-5%");
	read_bad("%", "%");
	read_bad("99999%", "99999%");
	read_bad("25601%", "25601%");
	read_bad("50% maxconn:", "maxconn:");
	read_bad("up \x01\x02", "??");
	assert_int_equal(read_ok("25600%").percent, AGENT_PERCENT_MAX);
}

/* --- with an agent on loopback */

/* A server without a check of its own, but with an agent that says `text`. */
static struct model_server *agent_server(struct world *w, const char *text)
{
	struct peer *p = peer_new(w, SPEAK, text);
	struct model_server *s = server_new_at(backend_new(w, "b", MODEL_CHECK_TCP), "s", loopback("127.0.0.1", 9));

	s->check = false;
	s->weight = 10;
	s->agent = true;
	s->agent_at = loopback("127.0.0.1", p->port);
	s->agent_inter_ms = 20;
	world_configure(w);
	world_until(w, view(w, 0, 0).agent_result[0]);
	return s;
}

static void says(struct world *w, const char *text)
{
	unsigned asked = w->peers[0].accepted;

	w->peers[0].text = text;
	world_until(w, w->peers[0].accepted >= asked + 2);
}

static void a_percentage_is_a_share_of_the_weight(void **state)
{
	struct world *w = *state;
	struct health_view v;

	agent_server(w, "50%\n");
	v = view(w, 0, 0);
	assert_string_equal(v.agent_result, "L7OK");
	assert_int_equal(v.weight, 10);
	assert_int_equal(v.share_percent, 50);
	assert_true(v.accepts_new);
	assert_int_equal(w->shares, 1);
	assert_int_equal(w->changes, 0); /* no line for each of them */
	says(w, "250%\n");
	assert_int_equal(view(w, 0, 0).weight, 25);
	assert_int_equal(view(w, 0, 0).share_percent, 100);
	says(w, "25600%\n");
	assert_int_equal(view(w, 0, 0).weight, MODEL_WEIGHT_MAX);
	says(w, "0%\n");
	assert_int_equal(view(w, 0, 0).weight, 0);
	assert_false(view(w, 0, 0).accepts_new);
	says(w, "100%\n");
	assert_int_equal(view(w, 0, 0).weight, 10);
	assert_true(view(w, 0, 0).accepts_new);
}

static void down_and_up_are_the_agents(void **state)
{
	struct world *w = *state;

	agent_server(w, "down#disk full\r\n");
	assert_false(view(w, 0, 0).up);
	assert_string_equal(w->reason, "agent: down #disk full");
	assert_string_equal(view(w, 0, 0).agent_result, "L7OK: down #disk full");
	assert_int_equal(w->downs, 1);
	/* What is not said does not change; that it is gone says nothing. */
	says(w, "100%\n");
	assert_false(view(w, 0, 0).up);
	peer_close(&w->peers[0]);
	world_until(w, !strcmp(view(w, 0, 0).agent_result, "L4CON: Connection refused"));
	assert_false(view(w, 0, 0).up);
	peer_open(&w->peers[0], "127.0.0.1", w->peers[0].port);
	says(w, "up\n");
	assert_true(view(w, 0, 0).up);
	assert_int_equal(w->ups, 1);
}

static void a_check_and_an_agent_must_agree(void **state)
{
	struct world *w = *state;
	struct peer *checked = peer_new(w, HOLD, NULL), *agent = peer_new(w, SPEAK, "up ready\n");
	struct model_server *s = server_new(backend_new(w, "b", MODEL_CHECK_TCP), "s", checked);

	s->agent = true;
	s->agent_at = loopback("127.0.0.1", agent->port);
	s->agent_inter_ms = 20;
	world_configure(w);
	world_until(w, view(w, 0, 0).up && view(w, 0, 0).agent_result[0]);
	agent->text = "fail\n";
	world_until(w, !view(w, 0, 0).up);
	assert_int_equal(view(w, 0, 0).check, HEALTH_UP);
	peer_close(checked);
	world_until(w, view(w, 0, 0).check == HEALTH_DOWN);
	agent->text = "up\n";
	world_until(w, !view(w, 0, 0).agent_down);
	assert_false(view(w, 0, 0).up);
}

static void drain_and_maint_are_added_to_those_by_hand(void **state)
{
	struct world *w = *state;

	agent_server(w, "drain\n");
	assert_int_equal(view(w, 0, 0).admin, HEALTH_DRAIN);
	assert_false(view(w, 0, 0).admin_is_override);
	health_set_admin(w->h, "b/s", HEALTH_MAINT);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_MAINT);
	/* An agent that says ready all the time does not put a server back that somebody is at work on. */
	says(w, "ready\n");
	assert_int_equal(view(w, 0, 0).admin, HEALTH_MAINT);
	health_set_admin(w->h, "b/s", HEALTH_READY);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_READY);
	/* It is still asked in maint, since only it can take its own back. */
	says(w, "maint\n");
	assert_int_equal(view(w, 0, 0).admin, HEALTH_MAINT);
	says(w, "ready\n");
	assert_int_equal(view(w, 0, 0).admin, HEALTH_READY);
}

/* It would wait for the acknowledgement of the handshake, which we hold back: 40 ms. One of many is enough. */
static void who_speaks_first_is_heard_at_once(void **state)
{
	struct world *w = *state;

	agent_server(w, "50%\n");
	w->m.backends.items[0].check_timeout_ms = 25;
	world_configure(w);
	w->peers[0].text = "75%\n";
	world_until(w, view(w, 0, 0).share_percent == 75);
}

static void it_is_sent_what_the_line_says(void **state)
{
	struct world *w = *state;
	struct model_server *s = agent_server(w, "up\n");

	w->peers[0].manner = ANSWER;
	s->agent_send = strdup("b/s\n");
	world_configure(w);
	world_until(w, w->peers[0].asked >= 1);
	assert_string_equal(w->peers[0].last_request, "b/s\n");
}

static void orders_outlive_a_reload_of_the_same_agent(void **state)
{
	struct world *w = *state;
	struct model_server *s = agent_server(w, "down 30%\n");

	s->agent_inter_ms = 60000;
	world_configure(w);
	assert_false(view(w, 0, 0).up);
	assert_int_equal(view(w, 0, 0).share_percent, 30);
	/* Another agent starts anew, none at all frees the server. */
	s->agent_at.port = 9;
	world_configure(w);
	assert_true(view(w, 0, 0).up);
	assert_int_equal(view(w, 0, 0).share_percent, 100);
	s->agent = false;
	world_configure(w);
	assert_false(view(w, 0, 0).agent);
}

static char longest[AGENT_ANSWER_MAX + 2];

/* The longest line that is read, and one byte more. */
static void a_line_has_a_limit(void **state)
{
	struct world *w = *state;

	memset(longest, ' ', sizeof(longest));
	memcpy(longest, "drain", 5);
	longest[AGENT_ANSWER_MAX - 1] = '\n';
	longest[AGENT_ANSWER_MAX] = '\0';
	agent_server(w, longest);
	assert_string_equal(view(w, 0, 0).agent_result, "L7OK");
	assert_int_equal(view(w, 0, 0).admin, HEALTH_DRAIN);
	longest[AGENT_ANSWER_MAX - 1] = ' ';
	longest[AGENT_ANSWER_MAX] = '\n';
	longest[AGENT_ANSWER_MAX + 1] = '\0';
	world_until(w, !strcmp(view(w, 0, 0).agent_result, "L7RSP: line too long"));
	assert_int_equal(view(w, 0, 0).admin, HEALTH_DRAIN);
}

static void bad_agents_order_nothing(void **state)
{
	static const struct {
		const char *text, *result;
	} cases[] = {
		{ "down", "L7RSP: closed within the line" },
		{ "", "L7RSP: no answer, closed" },
		{ "down now\n", "L7RSP: 'now' is no word of an agent" },
		{ "\x16\x03\x01\n", "L7RSP: '?\?\?' is no word of an agent" },
	};
	struct world *w = *state;

	agent_server(w, "up\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w->peers[0].text = cases[i].text;
		world_until(w, !strcmp(view(w, 0, 0).agent_result, cases[i].result));
		assert_true(view(w, 0, 0).up);
	}
	w->peers[0].manner = HOLD;
	world_until(w, !strcmp(view(w, 0, 0).agent_result, "L7TOUT: no answer"));
	assert_true(view(w, 0, 0).up);
}

int main(void)
{
#define AGENT_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_alone),
		cmocka_unit_test(words_together_in_any_order),
		cmocka_unit_test(a_reason_ends_the_line),
		cmocka_unit_test(nothing_is_an_order_too),
		cmocka_unit_test(what_is_no_word_makes_the_line_void),
		AGENT_TEST(a_percentage_is_a_share_of_the_weight),
		AGENT_TEST(down_and_up_are_the_agents),
		AGENT_TEST(a_check_and_an_agent_must_agree),
		AGENT_TEST(drain_and_maint_are_added_to_those_by_hand),
		AGENT_TEST(who_speaks_first_is_heard_at_once),
		AGENT_TEST(it_is_sent_what_the_line_says),
		AGENT_TEST(orders_outlive_a_reload_of_the_same_agent),
		AGENT_TEST(a_line_has_a_limit),
		AGENT_TEST(bad_agents_order_nothing),
	};

	return cmocka_run_group_tests_name("health_agent", tests, NULL, NULL);
}
