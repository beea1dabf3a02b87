/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program in the kernel replaced by itself while packets pass, with other switches or more slots: a thread loads it,
 * which takes a second or so, and it takes the old one's place between two turns of the loop. One after the other, in
 * the order they were asked for. Called for a reload, and where the reconciler's tables have no room.
 */
#ifndef AGENT_PROGRAM_H
#define AGENT_PROGRAM_H

#include "agent/agent.h"

/*
 * Asks for one. Fewer slots than there are: as many as there are; switches NULL: as they are then. done is called once,
 * from the loop, after which the slots may be used; r < 0: nothing has changed, error says why. 0, or -errno: nothing
 * follows.
 */
int program_replace(struct agent *a, uint32_t slots, const struct dataplane_switches *switches,
		    void (*done)(int r, const char *error, void *ctx), void *ctx);
/* More slots; then what found no room is tried again. */
void program_grow(struct agent *a);
/* The agent stops: who has asked hears nothing any more. */
void program_stop(struct agent *a);

#endif
