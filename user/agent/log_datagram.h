/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One syslog receiver: RFC 3164 lines as datagrams to a UNIX socket such as /dev/log, or over UDP. Called by log.c.
 * Never waits; connects anew when the receiver went away.
 */
#ifndef AGENT_LOG_DATAGRAM_H
#define AGENT_LOG_DATAGRAM_H

#include <stddef.h>

#include "model/model.h"

struct log_datagram {
	int fd;                /* -1 = not connected */
	bool udp;
	unsigned facility;
	size_t length_max;     /* of a datagram, in bytes */
	struct sockaddr_storage to;
	socklen_t to_length;
	char host[65];         /* "" = left out: a local daemon knows it */
};

/* from: a model_log of kind SOCKET or UDP; not referred to afterwards. Connects at the first line. */
void log_datagram_init(struct log_datagram *d, const struct model_log *from);
void log_datagram_done(struct log_datagram *d);
/*
 * Sends one line. 0; -EAGAIN: the receiver is there, but takes no more just now; or why it is not there. -ECONNREFUSED
 * over UDP is about an earlier line; this one was sent nevertheless.
 */
int log_datagram_send(struct log_datagram *d, int level, const char *line, size_t length);

#endif
