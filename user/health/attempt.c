/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A check from its first packet to its result: waits for the wire, brings its bytes to the talk, minds the time.
 * Called by server.c and agent_check.c, and by libevent. The server may be broken or hostile: the talk bounds the bytes,
 * the deadline the time, and here the number of reads is bounded.
 *
 * A function that returns bool says whether the next step may follow at once. False: the attempt waits, or has ended
 * and may be gone; it must not be touched any more.
 */
#include "health/attempt.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* As much as a script looks at: what is longer need not be read in one piece. */
enum { READ_SIZE = SCRIPT_ANSWER_MAX };

static void attempt_go_on(struct attempt *a);

uint64_t attempt_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Limits count from the next whole ms: the one that runs has begun already, and would make them short by that much. */
static uint64_t next_whole_ms(void)
{
	return attempt_clock_ms() + 1;
}

static void attempt_close(struct attempt *a)
{
	event_del(&a->io);
	wire_close(&a->wire);
	talk_end(&a->talk);
	*a->place = NULL;
}

void attempt_cancel(struct attempt **place)
{
	struct attempt *a = *place;

	if (!a)
		return;
	if (a->phase == ATTEMPT_ELSEWHERE)
		a->owner.elsewhere->cancel(a, a->owner.elsewhere->ctx);
	attempt_close(a);
	free(a);
}

/* A check that was answered, but not by way of the service's address: the program that sends it there is not in place. */
static bool went_astray(const struct attempt *a, const struct check_result *r)
{
	return a->steer.mark && check_result_outcome(r) == CHECK_PASSED &&
	       a->owner.via->sent(a->steer.mark, a->owner.via->ctx) == a->sent_before;
}

/* Nothing may touch the attempt after this: it is gone, and its owner may be. */
static void attempt_finish(struct attempt *a, const struct check_result *result)
{
	struct check_result r = *result; /* it may be part of what is closed */

	if (went_astray(a, &r))
		check_result_set(&r, CHECK_SOCKERR, "not sent via the service's address: the way leads past our NICs");

	attempt_close(a);
	a->owner.on_done(a, &r);
	free(a);
}

static void attempt_finish_as(struct attempt *a, enum check_code code, const char *detail)
{
	struct check_result r;

	check_result_set(&r, code, detail);
	attempt_finish(a, &r);
}

static void attempt_expire(struct attempt *a)
{
	char text[CHECK_DETAIL_MAX];

	if (a->phase == ATTEMPT_CONNECTING)
		attempt_finish_as(a, CHECK_L4TOUT, NULL);
	else if (a->phase == ATTEMPT_HANDSHAKE)
		attempt_finish_as(a, CHECK_L6TOUT, NULL);
	else
		attempt_finish_as(a, CHECK_L7TOUT, talk_silence(&a->talk, text));
}

static void attempt_on_io(evutil_socket_t fd, short what, void *arg);

static bool is_ready(int fd, short what)
{
	struct pollfd p = { .fd = fd, .events = what & EV_READ ? POLLIN : POLLOUT };

	return poll(&p, 1, 0) > 0;
}

/*
 * Time is over before anybody has looked: the loop was busy, or the process stood still. What is there may have come in
 * time. Once in each limit, or who sends without end would never be late.
 */
static bool attempt_is_served_late(struct attempt *a, short what)
{
	if (!what || a->late || !is_ready(a->wire.fd, what))
		return false;
	a->late = true;
	return true;
}

/* Waits for the wire, or, with what 0, for pause_ms to be over; in either case no longer than there is time. */
static bool attempt_wait(struct attempt *a, short what, uint64_t pause_ms)
{
	uint64_t now = attempt_clock_ms(), until = a->deadline_ms, left;
	struct timeval delay;

	if (now >= a->deadline_ms) {
		if (attempt_is_served_late(a, what))
			return true;
		attempt_expire(a);
		return false;
	}
	if (!what && now + pause_ms < until)
		until = now + pause_ms;
	if (a->again_ms && a->again_ms < until)
		until = a->again_ms;
	left = until > now ? until - now : 0;
	delay.tv_sec = (time_t)(left / 1000);
	delay.tv_usec = (suseconds_t)(left % 1000 * 1000);
	a->waits = what;
	event_assign(&a->io, a->owner.base, what ? a->wire.fd : -1, what, attempt_on_io, a);
	if (event_add(&a->io, &delay) < 0)
		attempt_finish_as(a, CHECK_SOCKERR, "cannot wait for the socket");
	return false;
}

static void attempt_on_io(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;

	/*
	 * libevent tells of a time-out alone even if the socket became ready in the same turn, and counts in ticks of a
	 * coarse clock: an answer that came in time while the loop was busy must not be taken for none.
	 */
	if (!a->waits || what & a->waits || is_ready(a->wire.fd, a->waits)) {
		attempt_go_on(a);
		return;
	}
	if (a->again_ms && attempt_clock_ms() >= a->again_ms && attempt_clock_ms() < a->deadline_ms) {
		a->again_ms = 0;
		talk_again(&a->talk);
		attempt_go_on(a);
		return;
	}
	if (attempt_wait(a, a->waits, 0))
		attempt_go_on(a);
}

/* What came of an operation on the wire other than WIRE_DONE. */
static bool attempt_hold(struct attempt *a, enum wire_outcome o, const struct check_result *failure)
{
	if (o == WIRE_WANTS_READ)
		return attempt_wait(a, EV_READ, 0);
	if (o == WIRE_WANTS_WRITE)
		return attempt_wait(a, EV_WRITE, 0);
	attempt_finish(a, failure);
	return false;
}

static void attempt_established(struct attempt *a)
{
	/* A script's further connections share the answer's time. */
	if (!a->connected) {
		a->deadline_ms = schedule_answer_deadline_ms(a->schedule, a->started_ms, next_whole_ms());
		a->late = false;
	}
	a->connected = true;
	a->phase = ATTEMPT_TALKING;
	talk_connected(&a->talk);
}

static bool attempt_connected(struct attempt *a)
{
	if (!a->talk.way.tls) {
		attempt_established(a);
		return true;
	}
	a->phase = ATTEMPT_HANDSHAKE;
	return true;
}

/* False: the check is over. */
static bool attempt_steer(struct attempt *a)
{
	a->steer = (struct wire_steer){ .tunnel = a->target->via.tunnel, .source = a->target->source };
	if (!a->target->via.service.family)
		return true;
	if (a->owner.via)
		a->steer.mark = a->owner.via->mark(a->target, a->owner.via->ctx);
	if (a->steer.mark) {
		a->sent_before = a->owner.via->sent(a->steer.mark, a->owner.via->ctx);
		return true;
	}
	attempt_finish_as(a, CHECK_SOCKERR, "no way via the service's address");
	return false;
}

static bool attempt_connect(struct attempt *a)
{
	struct check_result failure;
	enum wire_outcome o;

	wire_close(&a->wire);
	if (!attempt_steer(a))
		return false;
	a->phase = ATTEMPT_CONNECTING;
	o = wire_open(&a->wire, &a->talk.way, a->target->datagram, &a->steer, &failure);
	return o == WIRE_DONE ? attempt_connected(a) : attempt_hold(a, o, &failure);
}

static bool attempt_opened(struct attempt *a)
{
	struct check_result failure;
	enum wire_outcome o = wire_opened(&a->wire, &failure);

	return o == WIRE_DONE ? attempt_connected(a) : attempt_hold(a, o, &failure);
}

static bool attempt_shake(struct attempt *a)
{
	struct check_result failure;
	enum wire_outcome o = wire_handshake(&a->wire, &a->target->peer, &a->talk.way, &failure);

	if (o == WIRE_DONE) {
		attempt_established(a);
		return true;
	}
	if (o == WIRE_WANTS_READ && ++a->reads > ATTEMPT_READS_FREE)
		return attempt_wait(a, 0, ATTEMPT_READ_PAUSE_MS);
	return attempt_hold(a, o, &failure);
}

/* A third of what time there is, twice: what is lost on the way is asked again. */
static void attempt_plan_again(struct attempt *a)
{
	uint64_t now = attempt_clock_ms();

	a->datagrams++;
	a->again_ms = 0;
	if (a->datagrams < ATTEMPT_DATAGRAMS && now < a->deadline_ms)
		a->again_ms = now + (a->deadline_ms - now) / (ATTEMPT_DATAGRAMS - a->datagrams + 1) + 1;
}

static bool attempt_send(struct attempt *a)
{
	struct check_result failure;
	enum wire_outcome o;
	size_t length, count;
	const void *out = talk_out(&a->talk, &length);

	o = wire_write(&a->wire, out, length, &count, &failure);
	if (o == WIRE_CLOSED) {
		check_result_set(&failure, CHECK_L7RSP, "closed");
		o = WIRE_FAILED;
	}
	if (o != WIRE_DONE)
		return attempt_hold(a, o, &failure);
	if (a->wire.datagram)
		attempt_plan_again(a);
	talk_sent(&a->talk, count);
	return true;
}

static bool attempt_receive(struct attempt *a)
{
	char buf[READ_SIZE];
	struct check_result failure;
	enum wire_outcome o;
	size_t count;

	o = wire_read(&a->wire, buf, sizeof(buf), &count, &failure);
	/* TLS may have read a record that carries no data. */
	if (o == WIRE_WANTS_READ && !a->wire.tls)
		return attempt_wait(a, EV_READ, 0);
	a->reads++;
	if (o == WIRE_DONE)
		talk_take(&a->talk, buf, count);
	else if (o == WIRE_CLOSED)
		talk_closed(&a->talk);
	else if (o != WIRE_WANTS_READ || a->reads <= ATTEMPT_READS_FREE)
		return attempt_hold(a, o, &failure);
	if (a->reads > ATTEMPT_READS_FREE && a->talk.want == TALK_RECEIVE)
		return attempt_wait(a, 0, ATTEMPT_READ_PAUSE_MS);
	return true;
}

static bool attempt_talk(struct attempt *a)
{
	switch (a->talk.want) {
	case TALK_CONNECT:
		return attempt_connect(a);
	case TALK_SEND:
		return attempt_send(a);
	case TALK_RECEIVE:
		return attempt_receive(a);
	case TALK_DONE:
		attempt_finish(a, &a->talk.result);
		return false;
	}
	return false;
}

static bool attempt_step(struct attempt *a)
{
	switch (a->phase) {
	case ATTEMPT_CONNECTING:
		return attempt_opened(a);
	case ATTEMPT_HANDSHAKE:
		return attempt_shake(a);
	case ATTEMPT_TALKING:
		return attempt_talk(a);
	case ATTEMPT_ELSEWHERE:
		break;
	}
	return false;
}

/* Ends: every step sends, receives or leaves something behind of what is bounded, or waits. */
static void attempt_go_on(struct attempt *a)
{
	while (attempt_step(a))
		;
}

static void attempt_start_elsewhere(struct attempt *a)
{
	int r = -EOPNOTSUPP;

	a->deadline_ms = schedule_answer_deadline_ms(a->schedule, a->started_ms, a->started_ms);
	a->phase = ATTEMPT_ELSEWHERE;
	if (!attempt_steer(a))
		return;
	if (a->owner.elsewhere)
		r = a->owner.elsewhere->start(a, a->owner.elsewhere->ctx);
	if (r < 0)
		attempt_finish_as(a, CHECK_SOCKERR, strerror(-r));
}

static uint16_t unguessable(void)
{
	uint16_t id = 0;

	/* Without entropy, early in a boot, the port alone is hard to guess. */
	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
		id = (uint16_t)attempt_clock_ms();
	return id;
}

/* Without memory for it the check says nothing about its server, and is over at once. */
static void attempt_fail_to_start(struct attempt **place, const struct attempt_owner *owner)
{
	struct attempt none = { .owner = *owner, .place = place };
	struct check_result r;

	check_result_set(&r, CHECK_SOCKERR, strerror(ENOMEM));
	owner->on_done(&none, &r);
}

void attempt_start(struct attempt **place, const struct attempt_owner *owner, const struct attempt_target *target,
		   const struct schedule *schedule)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (!a) {
		attempt_fail_to_start(place, owner);
		return;
	}
	a->owner = *owner;
	a->place = place;
	a->target = target;
	a->schedule = schedule;
	a->started_ms = next_whole_ms();
	wire_init(&a->wire);
	event_assign(&a->io, owner->base, -1, 0, attempt_on_io, a);
	*place = a;
	if (target->manner == TARGET_ELSEWHERE) {
		attempt_start_elsewhere(a);
		return;
	}
	a->deadline_ms = schedule_connect_deadline_ms(schedule, a->started_ms);
	a->phase = ATTEMPT_TALKING;
	talk_begin(&a->talk, target, target->datagram ? unguessable() : 0);
	attempt_go_on(a);
}

void attempt_answer(struct attempt *a, const struct check_result *r)
{
	if (a->phase == ATTEMPT_ELSEWHERE)
		attempt_finish(a, r);
}
