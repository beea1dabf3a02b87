/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of a slot: every step from every state, and what they are for: under dense random changes of owner no
 * connection of a living server ever moves. The simulated packets go by the rules of bpf/steer.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/cleanup.h"
#include "table/states.h"

#define CLEAN(current)           SLOT(current, 0, SLOT_CLEAN)
#define DIRTY(current, previous) SLOT(current, previous, SLOT_DIRTY)
#define TRACKED(current)         SLOT(current, 0, SLOT_TRACKED)

static void expect_slot(const char *what, uint64_t is, uint64_t wanted)
{
	if (is == wanted)
		return;
	print_error("%s: {%u, %u, %u}, wanted {%u, %u, %u}\n", what, SLOT_CURRENT(is), SLOT_PREVIOUS(is),
		    SLOT_STATE(is), SLOT_CURRENT(wanted), SLOT_PREVIOUS(wanted), SLOT_STATE(wanted));
	fail();
}

static void another_owner(void **state)
{
	static const struct {
		const char *what;
		uint64_t slot;
		uint32_t owner;
		bool old_keeps;
		uint64_t wanted;
		bool began;
	} cases[] = {
		{ "the same one", CLEAN(1), 1, true, CLEAN(1), false },
		{ "the same one, dirty", DIRTY(1, 2), 1, true, DIRTY(1, 2), false },
		{ "the same one, though it is gone", TRACKED(1), 1, false, TRACKED(1), false },
		{ "clean", CLEAN(1), 2, true, DIRTY(2, 1), true },
		{ "tracked", TRACKED(1), 2, true, DIRTY(2, 1), true },
		{ "dirty: only current changes, and X goes on", DIRTY(2, 1), 3, true, DIRTY(3, 1), false },
		{ "dirty, back to the previous one", DIRTY(2, 1), 1, true, TRACKED(1), false },
		{ "nobody is up", CLEAN(1), 0, true, DIRTY(0, 1), true },
		{ "nobody is up, dirty", DIRTY(2, 1), 0, true, DIRTY(0, 1), false },
		{ "nobody is up, and the old table answers", DIRTY(2, 0), 0, true, DIRTY(0, 0), false },
		{ "somebody is up again", DIRTY(0, 1), 2, true, DIRTY(2, 1), false },
		{ "the first one ever", CLEAN(0), 1, true, CLEAN(1), false },
		{ "clean, the old one is gone", CLEAN(1), 2, false, CLEAN(2), false },
		{ "tracked, the old one is gone", TRACKED(1), 2, false, TRACKED(2), false },
		{ "dirty, the old one is gone", DIRTY(2, 1), 3, false, DIRTY(3, 1), false },
		{ "the largest ids", CLEAN(0xffffff), 0xfffffe, true, DIRTY(0xfffffe, 0xffffff), true },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		bool began = !cases[i].began;

		expect_slot(cases[i].what,
			    slot_assign(cases[i].slot, cases[i].owner, cases[i].old_keeps, &began), cases[i].wanted);
		if (began != cases[i].began)
			fail_msg("%s: X %s", cases[i].what, began ? "begins" : "does not begin");
	}
}

static void a_server_is_gone(void **state)
{
	expect_slot("as previous", slot_forget(DIRTY(2, 1), 1), TRACKED(2));
	expect_slot("as previous, nobody is up", slot_forget(DIRTY(0, 1), 1), TRACKED(0));
	expect_slot("as current: not our matter", slot_forget(DIRTY(2, 1), 2), DIRTY(2, 1));
	expect_slot("another one", slot_forget(DIRTY(2, 1), 3), DIRTY(2, 1));
	expect_slot("clean", slot_forget(CLEAN(1), 1), CLEAN(1));
	expect_slot("tracked", slot_forget(TRACKED(1), 1), TRACKED(1));
	expect_slot("id 0 is nobody", slot_forget(DIRTY(2, 0), 0), DIRTY(2, 0));
}

static void time_goes_by(void **state)
{
	expect_slot("X is over, dirty", slot_settle(DIRTY(2, 1)), TRACKED(2));
	expect_slot("X is over, tracked", slot_settle(TRACKED(2)), TRACKED(2));
	expect_slot("X is over, clean", slot_settle(CLEAN(2)), CLEAN(2));
	expect_slot("no foreign record, tracked", slot_clean(TRACKED(2)), CLEAN(2));
	expect_slot("no foreign record, dirty", slot_clean(DIRTY(2, 1)), DIRTY(2, 1));
	expect_slot("no foreign record, clean", slot_clean(CLEAN(2)), CLEAN(2));
}

/* ---- the simulation: one slot, its flows, and a clock of steps ---- */

enum { SERVERS = 4, FLOWS = 48, X = 20, STEPS = 200000 };

struct sim_flow {
	uint32_t server;    /* 0: not open */
	uint32_t record;    /* server that a record names; 0: none */
	unsigned sent;      /* step of its last packet */
};

struct sim {
	uint64_t random;
	uint64_t slot;
	unsigned now, dirty_until;
	bool up[SERVERS + 1], gone[SERVERS + 1];
	struct sim_flow flows[FLOWS];
	unsigned opened;
};

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003. */
static uint32_t sim_random(struct sim *s, uint32_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (s->random >> 32) * below >> 32;
}

/* Where the program sends a packet, and what it remembers of it. 0: refused. */
static uint32_t sim_steer(struct sim *s, struct sim_flow *f, bool opens)
{
	const uint32_t current = SLOT_CURRENT(s->slot), previous = SLOT_PREVIOUS(s->slot);
	uint32_t to;

	if (SLOT_STATE(s->slot) == SLOT_CLEAN)
		return current;
	if (f->record && opens && !s->up[f->record])
		f->record = 0;
	if (f->record)
		return f->record;
	if (SLOT_STATE(s->slot) == SLOT_TRACKED)
		return current;
	to = opens ? current : previous;
	f->record = to;
	return to;
}

static void sim_open(struct sim *s, struct sim_flow *f)
{
	*f = (struct sim_flow){ .record = f->record, .sent = s->now };
	f->server = sim_steer(s, f, true);
	if (f->server && !s->up[f->server])
		fail_msg("step %u: a new connection goes to server %u, which is down", s->now, f->server);
	s->opened += f->server != 0;
}

static void sim_send(struct sim *s, struct sim_flow *f)
{
	const uint32_t to = sim_steer(s, f, false);

	if (to != f->server)
		fail_msg("step %u: a connection of server %u goes to %u; slot {%u, %u, %u}", s->now, f->server, to,
			 SLOT_CURRENT(s->slot), SLOT_PREVIOUS(s->slot), SLOT_STATE(s->slot));
	f->sent = s->now;
}

/* The owner is the first server that is up: as with rendezvous, whoever comes back gets the slot back. */
static void sim_assign(struct sim *s)
{
	const uint32_t current = SLOT_CURRENT(s->slot);
	uint32_t owner = 0;
	bool began;

	for (uint32_t id = SERVERS; id; id--)
		if (s->up[id])
			owner = id;
	s->slot = slot_assign(s->slot, owner, !s->gone[current], &began);
	if (began)
		s->dirty_until = s->now + X;
}

static void sim_fail_for_good(struct sim *s, uint32_t id)
{
	s->up[id] = false;
	s->gone[id] = true;
	for (size_t i = 0; i < FLOWS; i++) {
		if (s->flows[i].server == id)
			s->flows[i] = (struct sim_flow){};
		if (s->flows[i].record == id)
			s->flows[i].record = 0;
	}
	s->slot = slot_forget(s->slot, id);
	sim_assign(s);
	s->gone[id] = false; /* another one of this id: it has been given back */
}

/* What the agent's sweep does: records that say what the slot says are dropped, and without others it is clean. */
static void sim_sweep(struct sim *s)
{
	bool foreign = false;

	if (SLOT_STATE(s->slot) == SLOT_DIRTY && s->now >= s->dirty_until)
		s->slot = slot_settle(s->slot);
	for (size_t i = 0; i < FLOWS; i++) {
		struct sim_flow *f = &s->flows[i];

		if (f->record && s->now - f->sent > X)
			f->record = 0;
		if (f->record == SLOT_CURRENT(s->slot) && SLOT_STATE(s->slot) == SLOT_TRACKED)
			f->record = 0;
		foreign |= f->record != 0;
	}
	if (!foreign)
		s->slot = slot_clean(s->slot);
}

static void sim_step(struct sim *s, bool some_for_good)
{
	const uint32_t id = 1 + sim_random(s, SERVERS);

	if (sim_random(s, 25) == 0) {
		if (some_for_good && sim_random(s, 4) == 0) {
			sim_fail_for_good(s, id);
		} else {
			s->up[id] = !s->up[id];
			sim_assign(s);
		}
	}
	for (size_t i = 0; i < FLOWS; i++) {
		struct sim_flow *f = &s->flows[i];

		if (!f->server) {
			if (sim_random(s, 30) == 0)
				sim_open(s, f);
		} else if (s->now - f->sent >= X - 1 || sim_random(s, 10) == 0) {
			sim_send(s, f);
		} else if (sim_random(s, 60) == 0) {
			f->server = 0;
		}
	}
	sim_sweep(s);
}

static void run(bool some_for_good, uint64_t seed)
{
	struct sim s = { .random = seed, .up = { [1] = true, [2] = true, [3] = true, [4] = true } };
	unsigned in_state[3] = {};

	sim_assign(&s);
	for (s.now = 0; s.now < STEPS; s.now++) {
		sim_step(&s, some_for_good);
		in_state[SLOT_STATE(s.slot)]++;
	}
	/* Nothing was proven if it hardly happened. */
	assert_true(s.opened > STEPS / 4);
	for (size_t i = 0; i < array_size(in_state); i++)
		assert_true(in_state[i] > STEPS / 100);
}

static void no_connection_moves(void **state)
{
	run(false, 0x9e3779b97f4a7c15ULL);
}

static void no_connection_moves_when_others_are_gone_for_good(void **state)
{
	run(true, 0xd1b54a32d192ed03ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_owner),
		cmocka_unit_test(a_server_is_gone),
		cmocka_unit_test(time_goes_by),
		cmocka_unit_test(no_connection_moves),
		cmocka_unit_test(no_connection_moves_when_others_are_gone_for_good),
	};

	return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
