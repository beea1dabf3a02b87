/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `trace`: packets as they came and as they left, until Ctrl-C or the count. Starts a trace and asks for its events again
 * and again; when it ends, so does the trace. Called through the verb table.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/frame_text.h"
#include "cli/ask.h"
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/follow.h"
#include "cli/pcapng.h"
#include "cli/render.h"
#include "cli/table.h"
#include "control/control.h"

enum { WAIT_MS = 30000, FRAME_BYTES_MAX = 256 };

struct tracing {
	const struct cli_options *o;
	const struct cli_output *to;
	json_int_t number;      /* of the trace */
	uint64_t left;          /* packets still to be shown */
	uint64_t missed;        /* told so far */
	struct pcapng pcap;     /* file NULL: none */
};

static size_t read_frame(const json_t *frame, uint8_t bytes[static FRAME_BYTES_MAX])
{
	const char *hex = json_string_value(json_object_get(frame, "frame"));
	size_t n = 0;

	for (; hex && n < FRAME_BYTES_MAX && hex[2 * n] && hex[2 * n + 1]; n++) {
		const char pair[3] = { hex[2 * n], hex[2 * n + 1], '\0' };

		bytes[n] = strtoul(pair, NULL, 16);
	}
	return n;
}

static int write_frame(struct tracing *t, const json_t *event, const json_t *frame, bool outbound)
{
	uint8_t bytes[FRAME_BYTES_MAX];
	const struct pcapng_packet p = {
		.interface = field_text(frame, "interface"), .outbound = outbound,
		.ns = (uint64_t)field_number(event, "at_ns"), .bytes = bytes, .kept = read_frame(frame, bytes),
		.length = (size_t)field_number(frame, "length"), .comment = field_text(event, "verdict"),
	};

	return pcapng_write(&t->pcap, &p);
}

int render_trace(const json_t *event, const struct render *render)
{
	const json_t *in = json_object_get(event, "in"), *out = json_object_get(event, "out");
	const json_int_t ns = field_number(event, "at_ns");
	const time_t seconds = ns / 1000000000;
	char text[FRAME_TEXT_MAX], clock[16];
	uint8_t bytes[FRAME_BYTES_MAX];
	FILE *to = render->out;
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&seconds, &tm));
	fprintf(to, "%s.%06" JSON_INTEGER_FORMAT " ", clock, ns % 1000000000 / 1000);
	print_safe(to, field_text(event, "verdict"));
	fputc(' ', to);
	print_safe(to, field_text(in, "interface"));
	fprintf(to, " %s\n", frame_text(bytes, read_frame(in, bytes), text));
	if (json_is_object(out)) {
		fputs("    -> ", to);
		print_safe(to, field_text(out, "interface"));
		fprintf(to, " %s\n", frame_text(bytes, read_frame(out, bytes), text));
	}
	return 0;
}

static int take_event(struct tracing *t, const json_t *event)
{
	const json_t *out = json_object_get(event, "out");
	int r = 0;

	if (t->pcap.file) {
		r = write_frame(t, event, json_object_get(event, "in"), false);
		if (r == 0 && json_is_object(out))
			r = write_frame(t, event, out, true);
	} else if (t->o->json) {
		json_dumpf(event, t->to->out, JSON_COMPACT);
		fputc('\n', t->to->out);
	} else {
		render_trace(event, &(struct render){ .out = t->to->out, .colour = t->to->colour });
	}
	t->left--;
	return r;
}

/* Nothing is left out in silence, nor in a file whose reader did not see the terminal. 0, or -errno. */
static int tell_missed(struct tracing *t, const json_t *reply)
{
	const uint64_t limited = (uint64_t)field_number(reply, "limited"), lost = (uint64_t)field_number(reply, "lost");
	struct timespec now;
	char why[128];

	if (limited + lost == t->missed)
		return 0;
	t->missed = limited + lost;
	snprintf(why, sizeof(why), "not shown so far: %" PRIu64 " above the rate, %" PRIu64 " as they came too fast", limited,
		 lost);
	fprintf(t->to->err, "alwayson: %s\n", why);
	clock_gettime(CLOCK_REALTIME, &now);
	return t->pcap.file ? pcapng_missed(&t->pcap, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
					    t->missed, why) :
			      0;
}

static bool reader_is_gone(FILE *out)
{
	struct pollfd p = { .fd = fileno(out) };

	return p.fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP));
}

/* The exit code; -1: go on. */
static int next(struct tracing *t)
{
	struct ask_reply reply;
	const json_t *event;
	char line[128];
	size_t i;
	int r;

	snprintf(line, sizeof(line), "v%d trace next %" JSON_INTEGER_FORMAT " %d\n", CONTROL_PROTOCOL, t->number, WAIT_MS);
	r = ask(t->o, line, WAIT_MS + CLI_ANSWER_MS, &reply);
	if (r == -EINTR)
		return CONTROL_DONE;
	if (r < 0)
		return ask_explain(t->o, t->to, r, WAIT_MS + CLI_ANSWER_MS);
	if (!field_true(reply.json, "ok")) {
		r = ask_refused(t->o, t->to, reply.json);
		ask_reply_done(&reply);
		return r;
	}
	json_array_foreach(json_object_get(reply.json, "events"), i, event) {
		if (!t->left)
			break;
		r = take_event(t, event);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = tell_missed(t, reply.json);
	ask_reply_done(&reply);
	if (r < 0)
		return ask_give_up(t->o, t->to, CONTROL_FAILED, "cannot write the file: %s", strerror(-r));
	if (fflush(t->to->out) != 0)
		return CONTROL_FAILED; /* the caller says why */
	return !t->left || reader_is_gone(t->to->out) ? CONTROL_DONE : -1;
}

static const char *given(const struct cli_options *o, const char *name)
{
	const char *value = NULL;

	for (unsigned i = 0; i < o->given_count; i++)
		if (strcmp(o->given[i].name, name) == 0)
			value = o->given[i].value;
	return value;
}

/* The request: each filter's word and value. -E2BIG. */
static int make_request(const struct cli_options *o, char line[static CONTROL_REQUEST_MAX + 1])
{
	size_t used = snprintf(line, CONTROL_REQUEST_MAX + 1, "v%d trace", CONTROL_PROTOCOL);

	for (unsigned i = 0; i < o->given_count && used < CONTROL_REQUEST_MAX; i++)
		if (strcmp(o->given[i].name, "--pcap") && strcmp(o->given[i].name, "--count"))
			used += snprintf(line + used, CONTROL_REQUEST_MAX + 1 - used, " %s %s", o->given[i].name + 2,
					 o->given[i].value);
	if (used >= CONTROL_REQUEST_MAX)
		return -E2BIG;
	strcpy(line + used, "\n");
	return 0;
}

static int begin(struct tracing *t)
{
	char line[CONTROL_REQUEST_MAX + 1];
	struct ask_reply reply;
	int r;

	if (make_request(t->o, line) < 0)
		return ask_give_up(t->o, t->to, CONTROL_USAGE, "the command is longer than %d bytes", CONTROL_REQUEST_MAX);
	r = ask(t->o, line, CLI_ANSWER_MS, &reply);
	if (r < 0)
		return ask_explain(t->o, t->to, r, CLI_ANSWER_MS);
	r = field_true(reply.json, "ok") ? CONTROL_DONE : ask_refused(t->o, t->to, reply.json);
	t->number = field_number(reply.json, "trace");
	if (r == CONTROL_DONE)
		fprintf(t->to->err, "alwayson: tracing, at most %" JSON_INTEGER_FORMAT " packets a second; Ctrl-C ends it\n",
			field_number(reply.json, "rate"));
	ask_reply_done(&reply);
	return r;
}

/* It would end by itself, a while later: nobody else could begin one until then. */
static void finish(const struct tracing *t)
{
	struct ask_reply reply;
	char line[128];
	int r;

	snprintf(line, sizeof(line), "v%d trace stop %" JSON_INTEGER_FORMAT "\n", CONTROL_PROTOCOL, t->number);
	do
		r = ask(t->o, line, CLI_ANSWER_MS, &reply);
	while (r == -EINTR);
	if (r == 0)
		ask_reply_done(&reply);
}

static volatile sig_atomic_t ended_by;

static void on_signal(int number)
{
	ended_by = number;
	client_interrupt();
}

/*
 * Ctrl-C, or who waits for us is gone: the trace is to end with us. A second signal ends us as it would have. They are held
 * back until it is known whether the trace has begun: *ret_mask is for then.
 */
static void catch_signals(sigset_t *ret_mask)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND }, before;
	sigset_t held;

	ended_by = 0;
	sigemptyset(&held);
	for (size_t i = 0; i < array_size(numbers); i++)
		sigaddset(&held, numbers[i]);
	sigprocmask(SIG_BLOCK, &held, ret_mask);
	for (size_t i = 0; i < array_size(numbers); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

int follow_trace(const struct cli_options *o, const struct cli_output *to)
{
	const char *path = given(o, "--pcap"), *count = given(o, "--count");
	struct tracing t = { .o = o, .to = to, .left = count ? strtoull(count, NULL, 10) : UINT64_MAX };
	FILE *file = NULL;
	sigset_t mask;
	int code, r = 0;

	if (path) {
		file = fopen(path, "we");
		if (!file || (r = pcapng_begin(&t.pcap, file, FRAME_BYTES_MAX)) < 0) {
			code = ask_give_up(o, to, CONTROL_FAILED, "%s: %s", path, strerror(file ? -r : errno));
			if (file)
				fclose(file);
			return code;
		}
	}
	catch_signals(&mask);
	code = begin(&t);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (code == CONTROL_DONE)
		do
			code = ended_by ? CONTROL_DONE : next(&t);
		while (code < 0);
	if (code == CONTROL_DONE)
		finish(&t);
	if (file && fclose(file) != 0 && code == CONTROL_DONE)
		code = ask_give_up(o, to, CONTROL_FAILED, "%s: %s", path, strerror(errno));
	if (ended_by)
		raise(ended_by); /* its default is back */
	return code;
}
