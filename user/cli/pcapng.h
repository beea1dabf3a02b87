/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes packets as a pcapng file (IETF draft-ietf-opsawg-pcapng), which keeps of each packet its interface, its direction
 * and a comment; libpcap can't write that. Used by trace.c.
 */
#ifndef CLI_PCAPNG_H
#define CLI_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PCAPNG_INTERFACES_MAX = 64, PCAPNG_COMMENT_MAX = 512 };

struct pcapng {
	FILE *file;
	uint32_t snap;
	char names[PCAPNG_INTERFACES_MAX][16];
	unsigned count;
};

struct pcapng_packet {
	const char *interface;
	bool outbound;
	uint64_t ns;            /* since 1970 */
	const uint8_t *bytes;
	size_t kept, length;
	const char *comment;    /* NULL: none */
};

/* Each writes at once what it says. 0, or -errno. */
int pcapng_begin(struct pcapng *p, FILE *file, uint32_t snap);
int pcapng_write(struct pcapng *p, const struct pcapng_packet *packet);
/* So many packets are not in the file so far, and why (an interface's statistics). Nothing where no packet is in it yet. */
int pcapng_missed(struct pcapng *p, uint64_t ns, uint64_t packets, const char *why);

#endif
