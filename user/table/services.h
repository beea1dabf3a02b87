/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lays out the open-addressed tables in which the program finds services and own addresses. Written into memory that
 * nobody reads yet (the inactive half). The layout is the contract with bpf/service.h.
 */
#ifndef TABLE_SERVICES_H
#define TABLE_SERVICES_H

#include <stddef.h>
#include <stdint.h>

#include <alwayson/abi.h>

#include "base/addr.h"

struct services_entry {
	struct addr addr;
	uint16_t port;     /* host order; 0 for ENTRY_OWN, ENTRY_ALL_PORTS */
	uint8_t protocol;  /* IPPROTO_TCP, IPPROTO_UDP; 0 for ENTRY_OWN */
	uint8_t kind;      /* ENTRY_* */
	uint32_t service;  /* ENTRY_SERVER: ENTRY_SERVED */
	uint16_t address;  /* address id, not 0 */
};

/* The entry of a MAC address that frames to this host may name. */
void services_mac_entry(struct services_entry *ret, const uint8_t mac[6]);

/*
 * Place the entries of one family (others are passed over) into table[0 .. SERVICE_TABLE_MAX), all of which is
 * overwritten as far as used: the smallest power of two in which every entry stands within SERVICE_PROBES of its hash.
 * 0 and its logarithm; -EEXIST when two entries have one key; -ENOSPC when even SERVICE_TABLE_MAX does not do.
 */
int services_layout4(const struct services_entry *entries, size_t count, struct service_entry4 *table,
		     unsigned *ret_size_log2);
int services_layout6(const struct services_entry *entries, size_t count, struct service_entry6 *table,
		     unsigned *ret_size_log2);

#endif
