/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of doctor/ share: what is known of host, interfaces and ways, and how a finding is said. Nobody outside
 * doctor/ includes this.
 */
#ifndef DOCTOR_INTERNAL_H
#define DOCTOR_INTERNAL_H

#include <stdbool.h>

#include "doctor/doctor.h"
#include "net/device.h"
#include "net/net.h"

/* An interface that packets are steered on, or would be. */
struct doctor_nic {
	struct device device;
	bool generic;            /* runs or would run in generic mode */
	bool ours;               /* an agent that answers is attached there, ... */
	bool shared;             /* ... in libxdp's dispatcher */
	struct devices *there;   /* the peer's namespace, where it was found; NULL */
	struct device peer;      /* of a veth; ifindex 0 = not seen */
};

struct doctor {
	const struct doctor_subject *subject;
	struct doctor_report *report;
	const char *check;       /* whose findings are said now */
	bool failed;             /* out of memory */
	struct devices *devices;
	struct event_base *base;
	struct net *net;
	struct vec(struct doctor_nic) nics;
};

/* Says a finding; remedy may be "". */
void doctor_say(struct doctor *d, enum doctor_level level, const char *where, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* A remedy with its words filled in, to the end of the block. */
const char *doctor_format(char *buf, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define doctor_remedy(...) doctor_format((char[DOCTOR_TEXT_MAX]){ "" }, DOCTOR_TEXT_MAX, __VA_ARGS__)

/* A number from a file of /proc; -ENOENT and so on where there is none. */
int doctor_number(const char *path, long *ret);
/* The kernel's release as numbers. */
bool doctor_kernel_is_at_least(unsigned major, unsigned minor);
/* Of the agent that answers, else of this process (pid 0): does it have a capability? */
bool doctor_has_capability(int pid, unsigned capability);
/* The agent's process, 0 without one. */
int doctor_agent_pid(const struct doctor *d);
struct doctor_nic *doctor_nic_by_index(struct doctor *d, unsigned ifindex);
/* "BACKEND/SERVER" in buf. */
const char *doctor_server_name(char buf[static DOCTOR_WHERE_MAX], const struct model_backend *b,
			       const struct model_server *s);

/* host.c */
void doctor_kernel(struct doctor *d);
void doctor_btf(struct doctor *d);
void doctor_bpffs(struct doctor *d);
void doctor_capabilities(struct doctor *d);
void doctor_limits(struct doctor *d);
void doctor_ports(struct doctor *d);
void doctor_ip_forward(struct doctor *d);
/* agent.c */
void doctor_configuration(struct doctor *d);
void doctor_agent(struct doctor *d);
void doctor_notices(struct doctor *d);
void doctor_drops(struct doctor *d);
/* filter.c */
void doctor_conntrack(struct doctor *d);
void doctor_filter(struct doctor *d);
/* interface.c */
void doctor_driver(struct doctor *d, struct doctor_nic *n);
void doctor_link(struct doctor *d, struct doctor_nic *n);
void doctor_program(struct doctor *d, struct doctor_nic *n);
void doctor_peer(struct doctor *d, struct doctor_nic *n);
void doctor_checksum(struct doctor *d, struct doctor_nic *n);
void doctor_gro(struct doctor *d, struct doctor_nic *n);
void doctor_vlan(struct doctor *d, struct doctor_nic *n);
void doctor_queues(struct doctor *d, struct doctor_nic *n);
void doctor_rp_filter(struct doctor *d, struct doctor_nic *n);
/* way.c */
void doctor_address(struct doctor *d);
void doctor_neighbour(struct doctor *d);
void doctor_mtu(struct doctor *d);
/* vip.c */
void doctor_vip(struct doctor *d);

#endif
