/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb.skel.h"

#include "dataplane/internal.h"

struct trace {
	struct dataplane_maps *maps;
	struct ring_buffer *ring;
	void (*on_event)(const struct trace_event *e, void *ctx);
	void *ctx;
	uint32_t number;
	unsigned seen;          /* in this turn */
};

static int take(void *ctx, void *data, size_t size)
{
	const struct trace_event *e = data;
	struct trace *t = ctx;

	if (size >= sizeof(*e) && e->number == t->number && e->verdict < VERDICT_MAX &&
	    e->in_kept <= TRACE_SNAP_MAX && e->out_kept <= TRACE_SNAP_MAX)
		t->on_event(e, t->ctx);
	return ++t->seen < TRACE_EVENTS_A_TURN ? 0 : -ECANCELED;
}

static void set_bit(struct dataplane_maps *m, bool on)
{
	const uint64_t word = m->control->word;

	__atomic_store_n(&m->control->word, on ? word | CONTROL_TRACE : word & ~CONTROL_TRACE, __ATOMIC_RELEASE);
}

int trace_new(struct dataplane *d, void (*on_event)(const struct trace_event *e, void *ctx), void *ctx,
	      struct trace **ret)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->maps = &d->maps;
	t->on_event = on_event;
	t->ctx = ctx;
	t->number = d->maps.trace_filter->number; /* an earlier agent's */
	t->ring = ring_buffer__new(bpf_map__fd(d->lb->maps.trace_ring), take, t, NULL);
	if (!t->ring) {
		free(t);
		return -errno;
	}
	*ret = t;
	return 0;
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	trace_stop(t);
	ring_buffer__free(t->ring);
	free(t);
}

int trace_fd(const struct trace *t)
{
	return ring_buffer__epoll_fd(t->ring);
}

void trace_start(struct trace *t, const struct trace_filter *filter)
{
	struct trace_filter f = *filter;

	f.number = ++t->number;
	f.jiffies = t->maps->hz;
	*t->maps->trace_filter = f;
	memset(t->maps->trace_state, 0, sizeof(*t->maps->trace_state));
	set_bit(t->maps, true);
}

void trace_stop(struct trace *t)
{
	set_bit(t->maps, false);
}

void trace_read(struct trace *t)
{
	t->seen = 0;
	ring_buffer__consume(t->ring);
}

void trace_missed(const struct trace *t, uint64_t *ret_limited, uint64_t *ret_lost)
{
	*ret_limited = __atomic_load_n(&t->maps->trace_state->limited, __ATOMIC_RELAXED);
	*ret_lost = __atomic_load_n(&t->maps->trace_state->lost, __ATOMIC_RELAXED);
}
