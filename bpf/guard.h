/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is asked of a client before a connection of its own begins: access lists, and how many it has opened lately.
 * Called by steer.h for packets that open connections of services with SERVICE_GUARDED; established ones never come
 * here. Global functions, which the verifier checks once each; they see no packet.
 */
#ifndef BPF_GUARD_H
#define BPF_GUARD_H

#include "access.h"
#include "rate.h"

static __always_inline int guard(__u64 word, __u32 id, __u64 high, __u64 low, const bool v6)
{
	struct service *s = service_get(word, id);

	if (!s)
		return VERDICT_INTERNAL;
	if (s->flags & SERVICE_ACCESS && access_is_refused(load_u64(&s->access), high, low, v6))
		return VERDICT_ACCESS_DENIED;
	if (s->flags & SERVICE_RATE && rate_is_exceeded(s, high, low))
		return VERDICT_RATE_LIMITED;
	return VERDICT_CONTINUE;
}

__noinline int guard4(__u64 word, __u32 service, __be32 source)
{
	return guard(word, service, 0, bpf_ntohl(source), false);
}

/* The address's halves as they lie in the packet. */
__noinline int guard6(__u64 word, __u32 service, __u64 high, __u64 low)
{
	return guard(word, service, bpf_be64_to_cpu(high), bpf_be64_to_cpu(low), true);
}

#endif
