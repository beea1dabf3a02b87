/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manners of checking, one row each: what they send, and what they make of what comes. Called by attempt.c. What
 * comes is from a server that may be broken or hostile: each manner has its limit of bytes, and nothing here loops over
 * more than was brought.
 */
#include "health/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/dns.h"

struct talk_manner {
	void (*begin)(struct talk *t);     /* the connection is wanted, or not */
	void (*connected)(struct talk *t);
	const void *(*out)(const struct talk *t, size_t *ret_length); /* all of it, sent or not */
	void (*sent)(struct talk *t);      /* all of it */
	void (*take)(struct talk *t, const void *bytes, size_t count);
	void (*closed)(struct talk *t);
	const char *(*silence)(const struct talk *t, char buf[static CHECK_DETAIL_MAX]);
	void (*again)(struct talk *t);     /* what was sent last, for datagrams; NULL = never */
	void (*end)(struct talk *t);
};

static void done(struct talk *t, enum check_code code, const char *detail)
{
	check_result_set(&t->result, code, detail);
	t->want = TALK_DONE;
}

static void want_way(struct talk *t)
{
	t->way = (struct talk_way){ .at = t->target->at, .tls = t->target->tls };
	t->want = TALK_CONNECT;
}

static void nothing(struct talk *t)
{
}

static const void *out_request(const struct talk *t, size_t *ret_length)
{
	*ret_length = t->target->request_length;
	return t->target->request;
}

static void want_to_send(struct talk *t)
{
	t->sent = 0;
	t->want = TALK_SEND;
}

static void want_to_receive(struct talk *t)
{
	t->want = TALK_RECEIVE;
}

static const char *no_answer(const struct talk *t, char buf[static CHECK_DETAIL_MAX])
{
	return "no answer";
}

/* --- the connection is all */

static void connect_connected(struct talk *t)
{
	done(t, t->way.tls ? CHECK_L6OK : CHECK_L4OK, NULL);
}

/* --- http: the status line */

static void http_begin(struct talk *t)
{
	status_line_init(&t->line);
	want_way(t);
}

static bool is_expected(const struct attempt_target *t, unsigned code)
{
	if (!t->expect_count)
		return code >= 200 && code <= 399;
	for (size_t i = 0; i < t->expect_count; i++)
		if (code >= t->expect[i].low && code <= t->expect[i].high)
			return !t->expect_negated;
	return t->expect_negated;
}

static void http_take(struct talk *t, const void *bytes, size_t count)
{
	bool good;

	switch (status_line_feed(&t->line, bytes, count)) {
	case STATUS_LINE_MORE:
		break;
	case STATUS_LINE_DONE:
		good = is_expected(t->target, t->line.code);
		done(t, good ? CHECK_L7OK : CHECK_L7STS, good ? NULL : t->line.reason);
		t->result.http_status = t->line.code;
		break;
	case STATUS_LINE_BAD:
		done(t, CHECK_L7RSP, "not HTTP/1.x");
		break;
	case STATUS_LINE_LONG:
		done(t, CHECK_L7RSP, "status line too long");
		break;
	}
}

static void http_closed(struct talk *t)
{
	done(t, CHECK_L7RSP, t->line.length ? "closed within the status line" : "no answer, closed");
}

static const char *http_silence(const struct talk *t, char buf[static CHECK_DETAIL_MAX])
{
	return t->line.length ? "status line incomplete" : "no answer";
}

/* --- tcp-check, udp-check: a script */

static void follow_script(struct talk *t)
{
	const struct model_check_step *s;

	switch (t->script.want) {
	case SCRIPT_CONNECT:
		want_way(t);
		s = script_connect(&t->script);
		if (!s)
			break;
		if (s->addr.family)
			t->way.at.addr = s->addr;
		if (s->port)
			t->way.at.port = s->port;
		t->way.tls = s->tls || (s->server_options && t->target->tls);
		t->way.linger = s->linger;
		t->way.sni = s->sni;
		t->way.alpn = s->alpn;
		break;
	case SCRIPT_SEND:
		want_to_send(t);
		break;
	case SCRIPT_RECEIVE:
		t->want = TALK_RECEIVE;
		break;
	case SCRIPT_DONE:
		t->result = t->script.result;
		t->want = TALK_DONE;
		break;
	}
}

static void script_talk_begin(struct talk *t)
{
	script_begin(&t->script, t->target->script);
	follow_script(t);
}

static void script_talk_connected(struct talk *t)
{
	script_connected(&t->script);
	follow_script(t);
}

static const void *script_talk_out(const struct talk *t, size_t *ret_length)
{
	return script_out(&t->script, ret_length);
}

static void script_talk_sent(struct talk *t)
{
	script_sent(&t->script);
	follow_script(t);
}

static void script_talk_take(struct talk *t, const void *bytes, size_t count)
{
	script_take(&t->script, bytes, count);
	follow_script(t);
}

static void script_talk_closed(struct talk *t)
{
	script_closed(&t->script);
	follow_script(t);
}

static const char *script_talk_silence(const struct talk *t, char buf[static CHECK_DETAIL_MAX])
{
	return script_where(&t->script, buf);
}

static void script_talk_again(struct talk *t)
{
	script_again(&t->script);
	t->sent = 0;
	follow_script(t);
}

static void script_talk_end(struct talk *t)
{
	script_end(&t->script);
}

/* --- dns */

static void dns_connected(struct talk *t)
{
	dns_set_id((uint8_t *)t->target->request, t->dns_id);
	want_to_send(t);
}

static const void *dns_out(const struct talk *t, size_t *ret_length)
{
	/* A reload may have put another copy of the query in its place. */
	dns_set_id((uint8_t *)t->target->request, t->dns_id);
	return out_request(t, ret_length);
}

static void dns_take(struct talk *t, const void *bytes, size_t count)
{
	dns_set_id((uint8_t *)t->target->request, t->dns_id);
	dns_judge((const uint8_t *)t->target->request, t->target->request_length, bytes, count, t->target->any_answer,
		  &t->result);
	t->want = TALK_DONE;
}

/* --- agent-check: one line of orders */

static void agent_begin(struct talk *t)
{
	t->agent = (struct talk_agent){ .line = malloc(AGENT_ANSWER_MAX) };
	if (t->agent.line)
		want_way(t);
	else
		done(t, CHECK_SOCKERR, "out of memory");
}

static void agent_connected(struct talk *t)
{
	if (t->target->request_length)
		want_to_send(t);
	else
		want_to_receive(t);
}

static void agent_take(struct talk *t, const void *bytes, size_t count)
{
	struct talk_agent *a = &t->agent;
	char wrong[40], text[CHECK_DETAIL_MAX];

	for (const char *c = bytes; count--; c++) {
		if (*c == '\n' || *c == '\r') {
			if (agent_answer_read(a->line, a->length, &a->answer, wrong, sizeof(wrong))) {
				snprintf(text, sizeof(text), "%s%s%s", a->answer.word,
					 a->answer.reason[0] ? " #" : "", a->answer.reason);
				done(t, CHECK_L7OK, text);
			} else {
				snprintf(text, sizeof(text), "'%s' is no word of an agent", wrong);
				done(t, CHECK_L7RSP, text);
			}
			return;
		}
		if (a->length == AGENT_ANSWER_MAX - 1) {
			done(t, CHECK_L7RSP, "line too long");
			return;
		}
		a->line[a->length++] = *c;
	}
}

static void agent_closed(struct talk *t)
{
	done(t, CHECK_L7RSP, t->agent.length ? "closed within the line" : "no answer, closed");
}

static const char *agent_silence(const struct talk *t, char buf[static CHECK_DETAIL_MAX])
{
	return t->agent.length ? "line incomplete" : "no answer";
}

static void agent_end(struct talk *t)
{
	free(t->agent.line);
	t->agent.line = NULL;
}

static const struct talk_manner manners[] = {
	[TARGET_CONNECT] = {
		.begin = want_way, .connected = connect_connected, .out = out_request, .sent = nothing,
		.closed = nothing, .silence = no_answer, .end = nothing,
	},
	[TARGET_HTTP] = {
		.begin = http_begin, .connected = want_to_send, .out = out_request, .sent = want_to_receive,
		.take = http_take, .closed = http_closed, .silence = http_silence, .end = nothing,
	},
	[TARGET_SCRIPT] = {
		.begin = script_talk_begin, .connected = script_talk_connected, .out = script_talk_out,
		.sent = script_talk_sent, .take = script_talk_take, .closed = script_talk_closed,
		.silence = script_talk_silence, .again = script_talk_again, .end = script_talk_end,
	},
	[TARGET_DNS] = {
		.begin = want_way, .connected = dns_connected, .out = dns_out, .sent = want_to_receive,
		.take = dns_take, .closed = nothing, .silence = no_answer, .again = want_to_send, .end = nothing,
	},
	[TARGET_AGENT] = {
		.begin = agent_begin, .connected = agent_connected, .out = out_request, .sent = want_to_receive,
		.take = agent_take, .closed = agent_closed, .silence = agent_silence, .end = agent_end,
	},
};

void talk_begin(struct talk *t, const struct attempt_target *target, uint16_t id)
{
	t->manner = &manners[target->manner];
	t->target = target;
	t->sent = 0;
	if (target->manner == TARGET_DNS)
		t->dns_id = id;
	t->manner->begin(t);
}

void talk_end(struct talk *t)
{
	if (t->manner)
		t->manner->end(t);
	t->manner = NULL;
}

void talk_connected(struct talk *t)
{
	t->manner->connected(t);
}

const void *talk_out(const struct talk *t, size_t *ret_length)
{
	const char *all = t->manner->out(t, ret_length);

	*ret_length -= t->sent;
	return all + t->sent;
}

void talk_sent(struct talk *t, size_t count)
{
	size_t left;

	talk_out(t, &left);
	t->sent += count;
	if (count >= left)
		t->manner->sent(t);
}

void talk_again(struct talk *t)
{
	if (t->manner->again)
		t->manner->again(t);
}

void talk_take(struct talk *t, const void *bytes, size_t count)
{
	t->manner->take(t, bytes, count);
}

void talk_closed(struct talk *t)
{
	t->manner->closed(t);
}

const char *talk_silence(const struct talk *t, char buf[static CHECK_DETAIL_MAX])
{
	return t->manner->silence(t, buf);
}
