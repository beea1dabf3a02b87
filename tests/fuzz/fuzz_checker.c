/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker of the checks says to the agent. A plugin that went wild may write into its socket, so none of it is to
 * be trusted. Input: packets, each behind a byte of its kind, a byte of its ticket and two of its length.
 */
#include "checker/pool.c"

#include <sys/socket.h>

#include "fuzz/fuzz.h"

static unsigned done_count;

static void on_check(enum checker_outcome outcome, const struct plugin_result *r, const char *reason, void *arg)
{
	done_count++;
	demand((outcome == CHECKER_JOB_DONE) == (r != NULL));
	demand(r || reason);
	if (r)
		demand(r->code < PLUGIN_CODE_COUNT && memchr(r->text, '\0', PLUGIN_TEXT_MAX));
}

static void on_log(int level, const char *text, void *ctx)
{
	demand(*text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	struct checker *c = calloc(1, sizeof(*c));
	struct checker_job *j = calloc(1, sizeof(*j));
	struct checker_worker *w;
	int ends[2];

	if (!base)
		base = event_base_new();
	demand(base && c && j && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	c->base = base;
	c->ops.on_event = on_log;
	for (size_t i = 0; i < CHECKER_WORKERS_MAX; i++)
		c->workers[i] = (struct checker_worker){ .checker = c, .socket = -1, .pidfd = -1 };
	for (size_t i = 0; i < CHECKER_TEMPLATES; i++)
		c->templates[i] = (struct checker_template){ .checker = c, .socket = -1, .pidfd = -1 };
	w = &c->workers[0];
	w->phase = WORKER_IDLE;
	w->hello = true;
	w->socket = ends[0];
	event_assign(&w->io, base, ends[0], EV_READ | EV_PERSIST, on_io, w);
	event_assign(&w->timer, base, -1, 0, on_timer, w);
	*j = (struct checker_job){ .checker = c, .done = on_check, .connect_ms = 1000, .total_ms = 1000 };
	done_count = 0;
	dispatch(w, j);
	while (size >= 4 && w->socket == ends[0]) {
		char packet[CHECKER_MESSAGE_MAX] = "";
		struct checker_head head = { .kind = data[0], .ticket = w->ticket + (int8_t)data[1] };
		size_t length = (size_t)data[2] << 8 | data[3];

		/* Of the right length more often than by chance. */
		if (head.kind == CHECKER_DONE && length & 1)
			length = sizeof(struct checker_done);
		length = length > sizeof(packet) ? sizeof(packet) : length;
		memcpy(packet, &head, sizeof(head));
		if (length > sizeof(head))
			memcpy(packet + sizeof(head), data + 4, size - 4 < length - sizeof(head) ? size - 4 : length - sizeof(head));
		data += 4 + (size - 4 < length ? size - 4 : length);
		size -= 4 + (size - 4 < length ? size - 4 : length);
		if (send(ends[1], packet, length, MSG_NOSIGNAL) < 0)
			break;
		on_io(ends[0], EV_READ, w);
	}
	if (w->socket >= 0 && w->job)
		finish(end_worker(w, false), CHECKER_JOB_UNKNOWN, NULL, "over");
	else if (w->socket >= 0)
		end_worker(w, false);
	demand(done_count == 1);
	close(ends[1]);
	free(c);
	return 0;
}
