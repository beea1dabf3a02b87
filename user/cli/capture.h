/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets from a file that tcpdump and its like have written, read by libpcap; whatever is in it, bounded. Used by
 * explain_packet.c.
 */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture;

enum capture_limit {
	CAPTURE_PACKETS_MAX = 1000,
	CAPTURE_ERROR_MAX = 512,
};

/* For the verb table: any path that is not empty. */
bool capture_is_path(const char *text);
/* Opens a file of Ethernet frames. 0, or -EINVAL and why in error. */
int capture_open(const char *path, struct capture **ret, char error[static CAPTURE_ERROR_MAX]);
void capture_close(struct capture *c); /* takes NULL */
/*
 * The next frame: the bytes that were kept (valid until the next call) and its length on the wire. 1; 0 at the end;
 * -EINVAL, and why in error, when the file is damaged; -E2BIG behind CAPTURE_PACKETS_MAX.
 */
int capture_next(struct capture *c, const uint8_t **ret, size_t *ret_kept, size_t *ret_length,
		 char error[static CAPTURE_ERROR_MAX]);

#endif
