/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A check's connection: TCP, TLS over it, or a connected UDP socket. Opened, read, written and closed here, and every
 * errno of it turned into a result. Called by attempt.c, which waits for it. Never blocks; sets no timer.
 * A TCP connection is closed by RST: no TIME_WAIT a check, and what the peer still has to say is not wanted.
 */
#ifndef HEALTH_WIRE_H
#define HEALTH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "health/result.h"
#include "health/talk.h"
#include "health/tls.h"

struct wire {
	int fd;             /* -1 = closed */
	bool datagram, linger;
	bool hushed;        /* the handshake's last ACK is held back: the server's application sees nothing of it yet */
	struct ssl_st *tls; /* NULL = plain, or not yet */
};

/* What a check's packets have in common with clients'. All zero: it goes the kernel's way, as any socket. */
struct wire_steer {
	uint32_t mark;      /* via vip: by it a program in the kernel sends them to the service's address; else 0 */
	bool tunnel;        /* an outer header is put in front */
	struct addr source; /* nat: an own address towards servers; family 0 = none */
};

enum wire_limit {
	WIRE_TUNNEL_MSS = 1160, /* leaves room for the headers of a tunnel at IPv6's smallest MTU, 1280 */
};

enum wire_outcome {
	WIRE_DONE,
	WIRE_WANTS_READ,
	WIRE_WANTS_WRITE,
	WIRE_CLOSED,  /* by the peer */
	WIRE_FAILED,  /* the result is filled */
};

void wire_init(struct wire *w);
void wire_close(struct wire *w); /* may be called twice */
/* Begins to connect. DONE, WANTS_WRITE or FAILED. */
enum wire_outcome wire_open(struct wire *w, const struct talk_way *to, bool datagram, const struct wire_steer *steer,
			    struct check_result *ret);
bool wire_is_steered(const struct wire_steer *s);
/* A TCP socket of that way for somebody else, who connects it: not yet connected, blocking. -errno. */
int wire_steered_socket(uint8_t family, const struct wire_steer *steer);
/* Once it is writable: is it connected? DONE or FAILED. */
enum wire_outcome wire_opened(struct wire *w, struct check_result *ret);
/* TLS over it; called until it is DONE. */
enum wire_outcome wire_handshake(struct wire *w, const struct tls_peer *p, const struct talk_way *to,
				 struct check_result *ret);
enum wire_outcome wire_read(struct wire *w, void *buf, size_t size, size_t *ret_count, struct check_result *ret);
enum wire_outcome wire_write(struct wire *w, const void *buf, size_t size, size_t *ret_count,
			     struct check_result *ret);

#endif
