/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of a consistent-hash slot: how an owner changes without breaking a connection and without a table for those
 * that need none. Pure; the reconciler stores what comes out. A slot is one word {current, previous, state}, abi.h.
 *
 *   clean     every packet goes to `current`; nothing is looked up or remembered.
 *   dirty     since a change of owner, for X (the longest idle time of the backend): a new connection goes to `current`
 *             and is recorded; any other packet without a record goes to `previous` and is recorded.
 *   tracked   after X: a packet follows its record, else goes to `current`. Clean again when no record names another
 *             server.
 */
#ifndef TABLE_STATES_H
#define TABLE_STATES_H

#include <stdbool.h>
#include <stdint.h>

#include <alwayson/abi.h>

/*
 * The slot with another owner (0 = nobody is up). old_keeps: the present owner may keep its connections (it is down,
 * drained or moved away from); false: it is gone for good, or there is none. *ret_began: X begins now.
 */
static inline uint64_t slot_assign(uint64_t slot, uint32_t owner, bool old_keeps, bool *ret_began)
{
	const uint32_t current = SLOT_CURRENT(slot), previous = SLOT_PREVIOUS(slot), state = SLOT_STATE(slot);

	*ret_began = false;
	if (owner == current)
		return slot;
	if (!current || !old_keeps)
		return SLOT(owner, previous, state);
	if (state != SLOT_DIRTY) {
		*ret_began = true;
		return SLOT(owner, current, SLOT_DIRTY);
	}
	if (owner == previous && owner)
		return SLOT(owner, 0, SLOT_TRACKED);
	return SLOT(owner, previous, SLOT_DIRTY);
}

/* A server is gone for good: nobody goes to it as `previous` any more. (As `current` it is replaced by slot_assign().) */
static inline uint64_t slot_forget(uint64_t slot, uint32_t server)
{
	if (SLOT_STATE(slot) == SLOT_DIRTY && SLOT_PREVIOUS(slot) == server && server)
		return SLOT(SLOT_CURRENT(slot), 0, SLOT_TRACKED);
	return slot;
}

/* X is over. */
static inline uint64_t slot_settle(uint64_t slot)
{
	return SLOT_STATE(slot) == SLOT_DIRTY ? SLOT(SLOT_CURRENT(slot), 0, SLOT_TRACKED) : slot;
}

/* A whole look at the records, begun a grace period after the slot was tracked, found none that names another server. */
static inline uint64_t slot_clean(uint64_t slot)
{
	return SLOT_STATE(slot) == SLOT_TRACKED ? SLOT(SLOT_CURRENT(slot), 0, SLOT_CLEAN) : slot;
}

#endif
