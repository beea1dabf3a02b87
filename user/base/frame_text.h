/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame in one line for people. Called by the agent and the CLI with bytes from the network or a file: whatever they
 * are, no byte beyond them is read, and the text fits.
 */
#ifndef BASE_FRAME_TEXT_H
#define BASE_FRAME_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_TEXT_MAX = 512, FRAME_MACS_MAX = 40 };

/*
 * "192.0.2.7:5000 > 192.0.2.10:80 tcp SYN, ttl 64, 60 bytes": addresses, ports, what it is, IP bytes; of a tunnel the
 * packet inside as well, of an ICMP error what it is about. bytes: an Ethernet frame, or as much of it as there is.
 * Returns buf.
 */
const char *frame_text(const uint8_t *bytes, size_t length, char buf[static FRAME_TEXT_MAX]);
/* "02:00:00:00:00:01 > 02:00:00:00:00:02": sender and receiver. Returns buf. */
const char *frame_macs(const uint8_t *bytes, size_t length, char buf[static FRAME_MACS_MAX]);

#endif
