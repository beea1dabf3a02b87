/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pure half of net_listeners(): reading one socket out of what the kernel says. For listeners.c and its tests.
 * Readers return 0 (reported, or none of the kind asked for) or -EBADMSG.
 */
#ifndef NET_LISTENERS_H
#define NET_LISTENERS_H

#include <linux/netlink.h>

#include "net/net.h"

struct listeners_visitor {
	bool (*visit)(const struct endpoint *at, bool udp, void *ctx);
	void *ctx;
	bool stopped; /* visit has returned false */
};

int listeners_read_diag(const struct nlmsghdr *m, bool udp, struct listeners_visitor *v);
/* A line of /proc/net/tcp, tcp6, udp or udp6 after the headings. */
int listeners_read_proc(const char *line, uint8_t family, bool udp, struct listeners_visitor *v);
/* Reads the four files of a folder; one that is missing is empty. 0 or -errno. */
int listeners_from_proc(const char *folder, struct listeners_visitor *v);

#endif
