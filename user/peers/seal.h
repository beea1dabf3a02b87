/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The code at a datagram's end: HMAC-SHA256 by a key that is derived from the balancers' shared secret, cut to WIRE_MAC
 * bytes (RFC 2104, 5). The derived key steers nothing: who learns it can't aim at slots. Used by the agent's peers.
 */
#ifndef PEERS_SEAL_H
#define PEERS_SEAL_H

#include <alwayson/hash.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seal;

/* NULL: no memory, or OpenSSL refuses. */
struct seal *seal_new(const struct hash_key *secret);
void seal_free(struct seal *s); /* takes NULL */
/* Appends the code to `length` bytes: WIRE_MAC further ones. 0 or -ENOMEM. */
int seal_put(struct seal *s, uint8_t *data, size_t length);
/* Is the code of a whole datagram right? */
bool seal_fits(struct seal *s, const uint8_t *data, size_t length);

#endif
