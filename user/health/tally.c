/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HAProxy keeps one number per server, its health: 0 .. rise + fall - 1, up from `rise` on, set to an end whenever the
 * threshold is crossed. The same machine is spelled out here: a state, and how many results in a row contradict it.
 * Called by server.c. Must stay pure.
 */
#include "health/tally.h"

void tally_start(struct tally *t, enum model_init_state init)
{
	*t = (struct tally){ .state = HEALTH_INIT, .first_decides = true };
	switch (init) {
	case MODEL_INIT_DEFAULT:
		break;
	case MODEL_INIT_UP:
		t->state = HEALTH_UP;
		break;
	case MODEL_INIT_DOWN:
		t->state = HEALTH_DOWN;
		break;
	case MODEL_INIT_FULLY_UP:
		*t = (struct tally){ .state = HEALTH_UP };
		break;
	case MODEL_INIT_FULLY_DOWN:
		*t = (struct tally){ .state = HEALTH_DOWN };
		break;
	}
}

void tally_assume(struct tally *t, enum health_check_state state)
{
	*t = (struct tally){ .state = state, .first_decides = true };
}

void tally_forget(struct tally *t)
{
	t->count = 0;
}

bool tally_count(struct tally *t, enum check_outcome outcome, unsigned rise, unsigned fall)
{
	enum health_check_state says;
	unsigned needed;

	if (outcome == CHECK_UNKNOWN)
		return false;
	says = outcome == CHECK_PASSED ? HEALTH_UP : HEALTH_DOWN;
	if (says == t->state) {
		t->count = 0;
		t->first_decides = false;
		return false;
	}
	needed = outcome == CHECK_PASSED ? rise : fall;
	t->count++;
	/* >=: a reload may have lowered the threshold below what was counted already. */
	if (!t->first_decides && t->count < needed)
		return false;
	*t = (struct tally){ .state = says };
	return true;
}

enum tally_pace tally_pace(const struct tally *t)
{
	if (t->first_decides || t->count)
		return TALLY_TRANSITION;
	return t->state == HEALTH_DOWN ? TALLY_DOWN : TALLY_STEADY;
}
