/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the program compares of a QUIC connection id: its first octet's config rotation and the server id behind it
 * (draft-ietf-quic-load-balancers, unencrypted). The contract with bpf/quic.h.
 */
#ifndef TABLE_QUIC_H
#define TABLE_QUIC_H

#include <stdint.h>

#include <alwayson/abi.h>

/* id: 1 .. QUIC_SERVER_ID_MAX bytes; config: 0 .. 6. The first bytes of such a connection id, all that is not compared 0. */
void quic_first_bytes(unsigned config, const uint8_t *id, unsigned length, uint8_t ret[16]);
/* Which bits of a connection id's first 16 bytes are compared, as words that lie in the packet. */
void quic_mask(unsigned length, uint64_t ret[2]);

#endif
