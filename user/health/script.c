/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A run through a tcp-check, by HAProxy 2.6's rules: expects that follow each other look at the same bytes; those are
 * dropped when something is sent or connected after an expect; without `min-recv` a pattern that is not there is
 * waited for until the server closes, and so is the proof that an unwanted one does not come. Called by talk.c. Must
 * bound what a server can make it do: the buffer is fixed, and attempt.c limits how often it is called.
 */
#include "health/script.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/http_answer.h"

struct script_step {
	struct model_check_step s; /* its own copies of the strings */
	regex_t regex;
	bool compiled;
};

struct script {
	unsigned references;
	bool http;           /* answers are HTTP's */
	size_t count;
	struct script_step steps[];
};

static char *copy_text(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

static int step_init(struct script_step *to, const struct model_check_step *from)
{
	bool failed = false;

	to->s = *from;
	to->s.comment = copy_text(from->comment, &failed);
	to->s.sni = copy_text(from->sni, &failed);
	to->s.alpn = copy_text(from->alpn, &failed);
	to->s.data = malloc(from->length + 1);
	if (failed || !to->s.data)
		return -ENOMEM;
	memcpy(to->s.data, from->data ? (const void *)from->data : "", from->length);
	to->s.data[from->length] = '\0';
	if (from->kind != MODEL_STEP_EXPECT ||
	    (from->match != MODEL_MATCH_REGEX && from->match != MODEL_MATCH_STATUS_REGEX))
		return 0;
	if (regcomp(&to->regex, (const char *)to->s.data, REG_EXTENDED))
		return -EINVAL;
	to->compiled = true;
	return 0;
}

static void step_done(struct script_step *t)
{
	free(t->s.comment);
	free(t->s.sni);
	free(t->s.alpn);
	free(t->s.data);
	if (t->compiled)
		regfree(&t->regex);
}

int script_new(const struct model_backend *b, struct script **ret)
{
	struct script *s = calloc(1, sizeof(*s) + b->steps.count * sizeof(s->steps[0]));
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->references = 1;
	s->http = b->check_http;
	for (size_t i = 0; i < b->steps.count && !r; i++, s->count++)
		r = step_init(&s->steps[i], &b->steps.items[i]);
	if (r < 0) {
		script_unref(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct script *script_ref(struct script *s)
{
	s->references++;
	return s;
}

void script_unref(struct script *s)
{
	if (!s || --s->references)
		return;
	for (size_t i = 0; i < s->count; i++)
		step_done(&s->steps[i]);
	free(s);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_step(const struct model_check_step *a, const struct model_check_step *b)
{
	return a->kind == b->kind && same_text(a->comment, b->comment) && a->server_options == b->server_options &&
	       addr_equal(&a->addr, &b->addr) && a->port == b->port && a->tls == b->tls && a->linger == b->linger &&
	       same_text(a->sni, b->sni) && same_text(a->alpn, b->alpn) && a->length == b->length &&
	       !memcmp(a->data, b->data, a->length) && a->match == b->match && a->negated == b->negated &&
	       a->min_recv == b->min_recv;
}

bool script_equal(const struct script *a, const struct script *b)
{
	if (a == b || !a || !b)
		return a == b;
	if (a->count != b->count || a->http != b->http)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_step(&a->steps[i].s, &b->steps[i].s))
			return false;
	return true;
}

static const struct model_check_step *step_at(const struct script_run *r)
{
	return r->step < r->script->count ? &r->script->steps[r->step].s : NULL;
}

static void show_ranges(const struct model_check_step *s, char *text, size_t size)
{
	for (size_t i = 0, at = 0; i < s->length / sizeof(struct model_status_range) && at < size; i++) {
		struct model_status_range r;

		memcpy(&r, s->data + i * sizeof(r), sizeof(r));
		at += (size_t)snprintf(text + at, size - at, r.low == r.high ? "%s%u" : "%s%u-%u", i ? "," : "", r.low, r.high);
	}
}

const char *script_where(const struct script_run *r, char buf[static CHECK_DETAIL_MAX])
{
	static const char *const kinds[] = { "connect", "send", "expect" };
	static const char *const matches[] = { "string", "binary", "rstring", "status", "rstatus" };
	const size_t at = r->want == SCRIPT_RECEIVE ? r->waits : r->step;
	const struct model_check_step *s = at < r->script->count ? &r->script->steps[at].s : NULL;
	char shown[32] = "";

	if (!s)
		snprintf(buf, CHECK_DETAIL_MAX, "before the first step");
	else if (s->comment)
		snprintf(buf, CHECK_DETAIL_MAX, "step %zu (%.60s)", at + 1, s->comment);
	else if (s->kind != MODEL_STEP_EXPECT)
		snprintf(buf, CHECK_DETAIL_MAX, "step %zu (%s)", at + 1, kinds[s->kind]);
	else {
		for (size_t i = 0; i < s->length && s->match == MODEL_MATCH_BINARY && i < 12; i++)
			snprintf(shown + 2 * i, 3, "%02x", s->data[i]);
		if (s->match == MODEL_MATCH_STATUS)
			show_ranges(s, shown, sizeof(shown));
		else if (s->match != MODEL_MATCH_BINARY)
			snprintf(shown, sizeof(shown), "%.30s", (const char *)s->data);
		for (char *c = shown; *c; c++)
			*c = *c < ' ' || *c > '~' ? '?' : *c;
		snprintf(buf, CHECK_DETAIL_MAX, "step %zu (expect %s%s '%s')", at + 1, s->negated ? "! " : "",
			 matches[s->match], shown);
	}
	return buf;
}

static void finish(struct script_run *r, enum check_code code, const char *why)
{
	char where[CHECK_DETAIL_MAX], text[2 * CHECK_DETAIL_MAX];

	snprintf(text, sizeof(text), "%s%s%s", why, why[0] ? " at " : "", why[0] ? script_where(r, where) : "");
	check_result_set(&r->result, code, text);
	r->want = SCRIPT_DONE;
}

static bool matches(const struct script_step *t, const char *answer, size_t kept)
{
	regmatch_t span = { .rm_so = 0, .rm_eo = (regoff_t)kept };

	if (t->s.match == MODEL_MATCH_REGEX)
		return !regexec(&t->regex, answer, 1, &span, REG_STARTEND);
	return memmem(answer, kept, t->s.data, t->s.length);
}

_Static_assert(SCRIPT_ANSWER_MAX == 16384, "complaint() says so");

enum verdict_of_step { STEP_GOOD, STEP_BAD, STEP_WAITS };

static enum verdict_of_step look(const struct script_run *r, const struct script_step *t)
{
	bool found;

	if (!r->final && (!r->kept || r->kept < t->s.min_recv))
		return STEP_WAITS;
	found = r->kept && matches(t, r->answer, r->kept);
	/* With min-recv what is not there by then is not there; without it, it may still come. */
	if (!found && !r->final && !t->s.min_recv)
		return STEP_WAITS;
	return found != t->s.negated ? STEP_GOOD : STEP_BAD;
}

static const char *complaint(const struct script_run *r, const struct script_step *t)
{
	if (t->s.negated)
		return "unwanted answer";
	if (!r->kept)
		return "no answer, closed";
	return r->kept == SCRIPT_ANSWER_MAX ? "not within 16384 bytes" : "not in the answer";
}

/* ---- answers that are HTTP's ---- */

/* Was the last request one whose answer has no body? */
static bool asked_head(const struct script_run *r)
{
	for (size_t i = r->step; i-- > 0;)
		if (r->script->steps[i].s.kind == MODEL_STEP_SEND)
			return !strncmp((const char *)r->script->steps[i].s.data, "HEAD ", 5);
	return false;
}

/* What there is of the answer; its body is behind it in the buffer. */
static void read_http(struct script_run *r, struct http_answer *ret)
{
	http_answer_read(r->answer, r->kept, asked_head(r), r->answer + SCRIPT_ANSWER_MAX, ret);
	r->http_status = ret->status;
	ret->complete |= r->final;
}

static bool status_matches(const struct script_step *t, unsigned status)
{
	struct model_status_range range;
	char text[16];

	if (t->s.match == MODEL_MATCH_STATUS_REGEX) {
		snprintf(text, sizeof(text), "%u", status);
		return !regexec(&t->regex, text, 0, NULL, 0);
	}
	for (size_t i = 0; i < t->s.length / sizeof(range); i++) {
		memcpy(&range, t->s.data + i * sizeof(range), sizeof(range));
		if (status >= range.low && status <= range.high)
			return true;
	}
	return false;
}

static bool is_about_status(const struct script_step *t)
{
	return t->s.match == MODEL_MATCH_STATUS || t->s.match == MODEL_MATCH_STATUS_REGEX;
}

static enum verdict_of_step look_http(const struct script_run *r, const struct script_step *t, const struct http_answer *a)
{
	bool found;

	if (a->bad)
		return STEP_BAD;
	if (is_about_status(t)) {
		if (a->status)
			return status_matches(t, a->status) != t->s.negated ? STEP_GOOD : STEP_BAD;
		return r->final ? STEP_BAD : STEP_WAITS;
	}
	if (!a->head)
		return r->final ? STEP_BAD : STEP_WAITS;
	found = a->body_length && matches(t, r->answer + SCRIPT_ANSWER_MAX, a->body_length);
	if (!found && !a->complete)
		return STEP_WAITS;
	return found != t->s.negated ? STEP_GOOD : STEP_BAD;
}

static void finish_http(struct script_run *r, const struct script_step *t, const struct http_answer *a)
{
	if (!r->kept)
		finish(r, CHECK_L7RSP, "no answer, closed");
	else if (a->bad || !a->status)
		finish(r, CHECK_L7RSP, a->bad ? "not HTTP/1.x" : "closed within the status line");
	else if (is_about_status(t))
		finish(r, CHECK_L7STS, a->reason);
	else
		finish(r, CHECK_L7RSP, t->s.negated ? "unwanted answer" : r->kept == SCRIPT_ANSWER_MAX ?
		       "not within 16384 bytes" : "not in the answer");
	r->result.http_status = r->result.code == CHECK_L7STS ? a->status : 0;
}

/* Before the next request over the same connection: the rest of the answer must not be taken for the next one. */
static bool is_read_to_its_end(struct script_run *r)
{
	struct http_answer a;

	if (!r->script->http || !r->kept || r->final)
		return true;
	read_http(r, &a);
	return a.complete || a.bad;
}

static void expect(struct script_run *r)
{
	const struct script_step *t = &r->script->steps[r->step];
	struct http_answer http;

	/* The second half is an HTTP answer's body. */
	if (!r->answer)
		r->answer = malloc((r->script->http ? 2 : 1) * SCRIPT_ANSWER_MAX);
	if (!r->answer) {
		finish(r, CHECK_SOCKERR, "out of memory");
		return;
	}
	if (r->script->http)
		read_http(r, &http);
	switch (r->script->http ? look_http(r, t, &http) : look(r, t)) {
	case STEP_GOOD:
		r->step++;
		break;
	case STEP_BAD:
		if (r->script->http)
			finish_http(r, t, &http);
		else
			finish(r, CHECK_L7RSP, complaint(r, t));
		break;
	case STEP_WAITS:
		r->want = SCRIPT_RECEIVE;
		r->waits = r->step;
		/* What was fine before may not be so with more bytes: the expects in a row are all asked again. */
		while (r->step && r->script->steps[r->step - 1].s.kind == MODEL_STEP_EXPECT)
			r->step--;
		break;
	}
}

static void drop_answer(struct script_run *r)
{
	if (r->step && r->script->steps[r->step - 1].s.kind == MODEL_STEP_EXPECT) {
		r->kept = 0;
		r->final = false;
	}
}

/* From the step that is due to what it wants of the connection. */
static void go_on(struct script_run *r)
{
	r->want = SCRIPT_DONE;
	for (;;) {
		const struct model_check_step *s = step_at(r);
		size_t before = r->step;

		if (!r->connected) {
			r->want = SCRIPT_CONNECT;
		} else if (!s) {
			check_result_set(&r->result, CHECK_L7OK, NULL);
			r->result.http_status = r->http_status;
			r->want = SCRIPT_DONE;
		} else if (s->kind == MODEL_STEP_CONNECT) {
			drop_answer(r);
			r->want = SCRIPT_CONNECT;
		} else if (s->kind == MODEL_STEP_SEND) {
			if (!is_read_to_its_end(r)) {
				r->want = SCRIPT_RECEIVE;
				r->waits = r->step;
				return;
			}
			drop_answer(r);
			r->want = SCRIPT_SEND;
		} else {
			expect(r);
			if (r->want == SCRIPT_DONE && r->step != before)
				continue;
		}
		return;
	}
}

void script_begin(struct script_run *r, struct script *s)
{
	*r = (struct script_run){ .script = script_ref(s) };
	go_on(r);
}

void script_end(struct script_run *r)
{
	script_unref(r->script);
	free(r->answer);
	r->script = NULL;
	r->answer = NULL;
}

const struct model_check_step *script_connect(const struct script_run *r)
{
	const struct model_check_step *s = step_at(r);

	return s && s->kind == MODEL_STEP_CONNECT ? s : NULL;
}

void script_connected(struct script_run *r)
{
	r->connected = true;
	r->kept = 0;
	r->final = false;
	if (script_connect(r))
		r->step++;
	go_on(r);
}

const void *script_out(const struct script_run *r, size_t *ret_length)
{
	const struct model_check_step *s = step_at(r);

	*ret_length = s->length;
	return s->data;
}

void script_sent(struct script_run *r)
{
	r->step++;
	go_on(r);
}

void script_again(struct script_run *r)
{
	size_t step = r->step;

	while (step && r->script->steps[step - 1].s.kind == MODEL_STEP_EXPECT)
		step--;
	if (!step || r->script->steps[step - 1].s.kind != MODEL_STEP_SEND)
		return;
	r->step = step - 1;
	go_on(r);
}

void script_take(struct script_run *r, const void *bytes, size_t count)
{
	size_t room = SCRIPT_ANSWER_MAX - r->kept;

	if (count > room)
		count = room;
	memcpy(r->answer + r->kept, bytes, count);
	r->kept += count;
	r->final = r->kept == SCRIPT_ANSWER_MAX;
	go_on(r);
}

void script_closed(struct script_run *r)
{
	r->final = true;
	go_on(r);
}
