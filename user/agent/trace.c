/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "dataplane/trace.h"

struct tracer {
	struct agent *agent;
	struct trace *trace;
	struct event *readable, *idle, *deadline;
	struct control_request *waiting; /* who waits for an event; NULL */
	bool running;
	uint64_t number;                 /* of the trace that runs */
	uint64_t lost;                   /* since the last reply: the queue was full */
	struct trace_event *queue;       /* a ring of TRACE_QUEUE_MAX, while it runs */
	unsigned first, count;
};

static const char *const verdict_labels[VERDICT_MAX] = {
#define X(name, action, label, text) [VERDICT_##name] = label,
	VERDICTS(X)
#undef X
};

static void stop(struct tracer *t)
{
	if (!t->running)
		return;
	trace_stop(t->trace);
	event_del(t->readable);
	event_del(t->idle);
	event_del(t->deadline);
	free(t->queue);
	t->queue = NULL;
	t->running = false;
}

static json_t *hex(const uint8_t *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * TRACE_SNAP_MAX + 1];

	for (size_t i = 0; i < length; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * length] = '\0';
	return json_string(text);
}

static json_t *frame_json(const struct tracer *t, unsigned ifindex, uint32_t length, const uint8_t *bytes, uint32_t kept)
{
	const struct net_interface *n = net_interface_by_index(t->agent->net, ifindex);

	return json_pack("{s:s, s:I, s:o}", "interface", n ? n->name : "?", "length", (json_int_t)length, "frame",
			 hex(bytes, kept));
}

static json_int_t wall_ns(uint64_t ns)
{
	struct timespec wall, mono;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	return (json_int_t)(wall.tv_sec - mono.tv_sec) * 1000000000 + (wall.tv_nsec - mono.tv_nsec) + (json_int_t)ns;
}

static json_t *event_json(const struct tracer *t, const struct trace_event *e)
{
	const bool back = e->out_ifindex == 0; /* by the NIC it came in by */

	return json_pack("{s:I, s:s, s:o, s:o}", "at_ns", wall_ns(e->ns), "verdict",
			 verdict_labels[e->verdict] ? verdict_labels[e->verdict] : "?", "in",
			 frame_json(t, e->in_ifindex, e->in_length, e->in, e->in_kept), "out",
			 e->out_length ? frame_json(t, back ? e->in_ifindex : e->out_ifindex, e->out_length, e->out,
						    e->out_kept) :
					 json_null());
}

static void reply(struct tracer *t, struct control_request *r)
{
	const struct timeval idle = { .tv_sec = TRACE_IDLE_MS / 1000 };
	json_t *list = json_array();
	uint64_t limited, lost;

	for (unsigned i = 0; i < TRACE_REPLY_MAX && t->count; i++) {
		json_array_append_new(list, event_json(t, &t->queue[t->first]));
		t->first = (t->first + 1) % TRACE_QUEUE_MAX;
		t->count--;
	}
	trace_missed(t->trace, &limited, &lost);
	control_reply(r, json_pack("{s:I, s:o, s:I, s:I}", "trace", (json_int_t)t->number, "events", list, "limited",
				   (json_int_t)limited, "lost", (json_int_t)(lost + t->lost)));
	evtimer_add(t->idle, &idle);
}

static void answer_waiting(struct tracer *t)
{
	struct control_request *r = t->waiting;

	if (!r)
		return;
	t->waiting = NULL;
	event_del(t->deadline);
	reply(t, r);
}

static void on_event(const struct trace_event *e, void *ctx)
{
	struct tracer *t = ctx;

	if (t->count == TRACE_QUEUE_MAX) {
		t->lost++;
		return;
	}
	t->queue[(t->first + t->count++) % TRACE_QUEUE_MAX] = *e;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct tracer *t = ctx;

	trace_read(t->trace);
	if (t->count)
		answer_waiting(t);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	answer_waiting(ctx);
}

static void on_idle(evutil_socket_t fd, short what, void *ctx)
{
	stop(ctx);
}

/* Who waited has left: so has the trace's reason. */
static void on_gone(void *ctx)
{
	struct tracer *t = ctx;

	t->waiting = NULL;
	stop(t);
}

static int tracer_new(struct agent *a, struct tracer **ret)
{
	struct tracer *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->agent = a;
	r = trace_new(a->dataplane, on_event, t, &t->trace);
	if (r < 0) {
		free(t);
		return r;
	}
	t->readable = event_new(a->base, trace_fd(t->trace), EV_READ | EV_PERSIST, on_readable, t);
	t->idle = evtimer_new(a->base, on_idle, t);
	t->deadline = evtimer_new(a->base, on_deadline, t);
	if (!t->readable || !t->idle || !t->deadline) {
		tracer_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void tracer_free(struct tracer *t)
{
	if (!t)
		return;
	if (t->readable && t->idle && t->deadline)
		stop(t);
	if (t->readable)
		event_free(t->readable);
	if (t->idle)
		event_free(t->idle);
	if (t->deadline)
		event_free(t->deadline);
	trace_free(t->trace);
	free(t);
}

/* ---- the filter ---- */

static bool read_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && !*end && *ret <= max;
}

static const char *take_service(const struct agent *a, const char *name, struct trace_filter *f)
{
	for (size_t i = 0; i < a->model->services.count; i++) {
		const struct model_service *s = &a->model->services.items[i];

		if (strcmp(s->name, name))
			continue;
		f->flags |= TRACE_SERVICE | (s->any_addr ? TRACE_ANY : 0);
		memcpy(f->service, s->addr.bytes, sizeof(f->service));
		f->service_family = s->addr.family == AF_INET6 ? 6 : 4;
		f->protocol = s->protocol == MODEL_TCP ? IPPROTO_TCP : IPPROTO_UDP;
		f->port_low = s->port_low;
		f->port_high = s->port_high;
		return NULL;
	}
	return "is no service; `alwayson show services` lists them";
}

static const char *take_source(const struct agent *a, const char *text, struct trace_filter *f)
{
	struct addr addr, ones = {};
	unsigned length;

	if (addr_parse_prefix(text, &addr, &length) < 0)
		return "is no address or prefix";
	memset(ones.bytes, 0xff, addr.family == AF_INET6 ? 16 : 4);
	ones.family = addr.family;
	ones = addr_mask(&ones, length);
	addr = addr_mask(&addr, length);
	memcpy(f->source, addr.bytes, sizeof(f->source));
	memcpy(f->source_mask, ones.bytes, sizeof(f->source_mask));
	f->source_family = addr.family == AF_INET6 ? 6 : 4;
	f->flags |= TRACE_SOURCE;
	return NULL;
}

static const char *take_verdict(const struct agent *a, const char *text, struct trace_filter *f)
{
	_Static_assert(VERDICT_MAX <= 64, "a bit each");
	for (unsigned v = 0; v < VERDICT_MAX; v++)
		if (verdict_labels[v] && strcmp(verdict_labels[v], text) == 0) {
			f->verdicts |= 1ULL << v;
			return NULL;
		}
	return "is no verdict; `alwayson show verdicts` lists them";
}

static const char *take_rate(const struct agent *a, const char *text, struct trace_filter *f)
{
	uint64_t n;

	if (!read_number(text, TRACE_RATE_MAX, &n) || !n)
		return "is not a number of events a second from 1 to 100000";
	f->rate = n;
	return NULL;
}

static const char *take_snap(const struct agent *a, const char *text, struct trace_filter *f)
{
	uint64_t n;

	if (!read_number(text, TRACE_SNAP_MAX, &n) || !n)
		return "is not a number of bytes from 1 to 256";
	f->snap = n;
	return NULL;
}

static const struct {
	const char *word;
	const char *(*take)(const struct agent *a, const char *text, struct trace_filter *f);
} words[] = {
	{ "service", take_service }, { "source", take_source }, { "verdict", take_verdict }, { "rate", take_rate },
	{ "snap", take_snap },
};

/* NULL, or what is wrong with *ret_word. */
static const char *read_filter(const struct agent *a, unsigned argc, const char *const *argv, struct trace_filter *f,
			       const char **ret_word)
{
	*f = (struct trace_filter){ .rate = TRACE_RATE_DEFAULT, .snap = TRACE_SNAP_MAX };
	for (unsigned i = 0; i < argc; i += 2) {
		const char *wrong = "is not service, source, verdict, rate or snap";

		*ret_word = argv[i];
		for (size_t w = 0; w < array_size(words); w++)
			if (strcmp(words[w].word, argv[i]) == 0) {
				if (i + 1 == argc)
					return "needs a value";
				*ret_word = argv[i + 1];
				wrong = words[w].take(a, argv[i + 1], f);
				break;
			}
		if (wrong)
			return wrong;
	}
	return NULL;
}

void verb_trace_start(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	const struct timeval idle = { .tv_sec = TRACE_IDLE_MS / 1000 };
	struct trace_filter filter;
	struct agent *a = ctx;
	const char *word, *wrong = read_filter(a, argc, argv, &filter, &word);
	struct tracer *t;

	if (wrong) {
		control_fail(r, CONTROL_USAGE, "%s %s", word, wrong);
		return;
	}
	if (!a->tracer && tracer_new(a, &a->tracer) < 0) {
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	t = a->tracer;
	if (t->running) {
		control_fail(r, CONTROL_FAILED, "a trace is running already: one at a time");
		return;
	}
	t->queue = calloc(TRACE_QUEUE_MAX, sizeof(*t->queue));
	if (!t->queue || event_add(t->readable, NULL) || evtimer_add(t->idle, &idle)) {
		free(t->queue);
		t->queue = NULL;
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	t->first = t->count = 0;
	t->lost = 0;
	t->number++;
	t->running = true;
	trace_start(t->trace, &filter);
	control_reply(r, json_pack("{s:I, s:I, s:I}", "trace", (json_int_t)t->number, "rate", (json_int_t)filter.rate,
				   "snap", (json_int_t)filter.snap));
}

void verb_trace_next(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	struct tracer *t = a->tracer;
	uint64_t number, wait_ms = TRACE_WAIT_DEFAULT_MS;
	struct timeval wait;

	if (!read_number(argv[0], INT64_MAX, &number)) {
		control_fail(r, CONTROL_USAGE, "%s: NUMBER is what `trace` gave", argv[0]);
		return;
	}
	if (argc > 1 && !read_number(argv[1], TRACE_WAIT_MAX_MS, &wait_ms)) {
		control_fail(r, CONTROL_USAGE, "%s: WAIT_MS is a number of milliseconds up to %d", argv[1],
			     TRACE_WAIT_MAX_MS);
		return;
	}
	if (!t || !t->running || t->number != number || t->waiting) {
		control_fail(r, CONTROL_FAILED, "trace %s has ended", argv[0]);
		return;
	}
	if (t->count || !wait_ms) {
		reply(t, r);
		return;
	}
	wait = (struct timeval){ .tv_sec = (time_t)(wait_ms / 1000), .tv_usec = wait_ms % 1000 * 1000 };
	event_del(t->idle);
	t->waiting = r;
	evtimer_add(t->deadline, &wait);
	control_on_gone(r, on_gone, t);
}

void verb_trace_stop(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	struct tracer *t = a->tracer;
	uint64_t number;

	if (!read_number(argv[0], INT64_MAX, &number)) {
		control_fail(r, CONTROL_USAGE, "%s: NUMBER is what `trace` gave", argv[0]);
		return;
	}
	if (!t || !t->running || t->number != number) {
		control_fail(r, CONTROL_FAILED, "trace %s has ended", argv[0]);
		return;
	}
	answer_waiting(t);
	stop(t);
	control_reply(r, json_object());
}
