/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Last stage: counts. Each CPU has its own entries, so plain additions do; the agent sums them by reading memory.
 */
#ifndef BPF_ACCOUNT_H
#define BPF_ACCOUNT_H

#include "packet.h"

static __always_inline void account_event(enum lb_event event)
{
	__u32 index = bpf_get_smp_processor_id() * EVENT_MAX + event;
	__u64 *counter = bpf_map_lookup_elem(&event_counters, &index);

	if (counter)
		*counter += 1;
}

static __always_inline void account_verdict(enum verdict verdict, __u32 bytes)
{
	__u32 index = bpf_get_smp_processor_id() * VERDICT_MAX + verdict;
	struct counter *counter = bpf_map_lookup_elem(&verdict_counters, &index);

	if (counter) {
		counter->packets += 1;
		counter->bytes += bytes;
	}
}

static __always_inline struct traffic *account_service(__u32 service)
{
	__u32 index = bpf_get_smp_processor_id() * MAX_SERVICES + service;

	return bpf_map_lookup_elem(&service_counters, &index);
}

static __always_inline struct traffic *account_server(__u32 server)
{
	__u32 index = bpf_get_smp_processor_id() * MAX_SERVERS + server;

	return bpf_map_lookup_elem(&server_counters, &index);
}

static __always_inline void account_request(__u32 service, __u32 server, __u32 bytes)
{
	struct traffic *t = account_service(service);

	if (t) {
		t->packets_in += 1;
		t->bytes_in += bytes;
	}
	t = account_server(server);
	if (t) {
		t->packets_in += 1;
		t->bytes_in += bytes;
	}
}

static __always_inline void account_connection(__u32 service, __u32 server)
{
	struct traffic *t = account_service(service);

	if (t)
		t->connections += 1;
	t = account_server(server);
	if (t)
		t->connections += 1;
}

static __always_inline void account_refused(__u32 service)
{
	struct traffic *t = account_service(service);

	if (t)
		t->refused += 1;
}

#endif
