/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables that are not as they are wanted, and who of them is next. Thousands may change at a time: what a run puts into the
 * map is bounded by time, the rest waits for further turns of the loop. A table that has changed since the run before does
 * not wait behind those that were waiting already. Part of the reconciler.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/reconcile_internal.h"

enum { DONE, CHANGED, WAITING };

static uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

bool queue_is_empty(const struct queue *q)
{
	return !q->changed && !q->waiting;
}

static void drop_wanted(struct queue *q)
{
	for (size_t b = 0; q->wanted && b < q->backends; b++)
		layout_done(&q->wanted[b]);
	free(q->wanted);
	q->wanted = NULL;
}

void queue_drop(struct queue *q)
{
	drop_wanted(q);
	free(q->states);
	free(q->seen);
	*q = (struct queue){ .next = q->next };
}

int queue_renew(struct reconcile *r, struct layout *wanted)
{
	const size_t backends = r->model->backends.count;
	struct queue *q = &r->queue, new = { .wanted = wanted, .backends = backends, .next = q->next };

	new.states = calloc(backends + 1, sizeof(*new.states));
	new.seen = calloc(backends + 1, sizeof(*new.seen));
	if (!new.states || !new.seen) {
		free(new.states);
		free(new.seen);
		return -ENOMEM;
	}
	for (size_t b = 0; b < backends; b++) {
		if (!slots_differ(r, b, &wanted[b]))
			continue;
		new.seen[b] = layout_digest(&wanted[b]);
		/* Also one that was tried in vain, and will be again. */
		new.states[b] = q->seen && q->seen[b] == new.seen[b] ? WAITING : CHANGED;
		*(new.states[b] == WAITING ? &new.waiting : &new.changed) += 1;
	}
	queue_drop(q);
	*q = new;
	return 0;
}

/* Puts the next one of this state. 0 or -errno. */
static int put_next(struct reconcile *r, uint8_t state)
{
	struct queue *q = &r->queue;
	size_t b = q->next % q->backends;

	/* Round and round: where tables change faster than they are put, each has its turn all the same. */
	while (q->states[b] != state)
		b = (b + 1) % q->backends;
	*(state == WAITING ? &q->waiting : &q->changed) -= 1;
	q->states[b] = DONE;
	q->next = b + 1;
	return slots_put(r, b, &q->wanted[b]);
}

int queue_put(struct reconcile *r)
{
	const uint64_t end = r->ops.on_more ? clock_us() + r->ops.slice_us : UINT64_MAX;
	struct queue *q = &r->queue;
	const size_t waiting = q->waiting;
	bool late = false;
	int first = 0;

	/* One of those that let others go first goes as well, whatever the time: they must not wait for ever. */
	while (!queue_is_empty(q) && (!late || (waiting && q->waiting == waiting))) {
		const int e = put_next(r, q->changed && !late ? CHANGED : WAITING);

		if (e < 0 && !first)
			first = e;
		late = clock_us() >= end;
	}
	if (queue_is_empty(q))
		drop_wanted(q);
	return first;
}
