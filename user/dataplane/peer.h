/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of connections that another balancer told of: put into the flow table by a program in the kernel
 * (bpf/peer.bpf.c), a batch at a time. Used by the agent's peers, loaded only where there are some. Knows no network.
 */
#ifndef DATAPLANE_PEER_H
#define DATAPLANE_PEER_H

#include <alwayson/peer.h>

#include "dataplane/dataplane.h"

struct dataplane_peer;

/* Loads the program, which uses the flow table of d. 0, or -errno with a line for people. */
int dataplane_peer_open(struct dataplane *d, struct dataplane_peer **ret, char error[DATAPLANE_ERROR_MAX]);
void dataplane_peer_close(struct dataplane_peer *p); /* takes NULL */
/* Where the next records are to be written: count of them, at most PEER_BATCH, then dataplane_peer_run(). */
struct peer_batch *dataplane_peer_batch(struct dataplane_peer *p);
/* Puts them in; each record's result says what became of it. 0 or -errno. */
int dataplane_peer_run(struct dataplane_peer *p);

#endif
