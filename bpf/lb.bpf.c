// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The load balancer in the kernel. It reads like a table of contents: parse, then is it a server's reply, then is it
 * for a service of ours and where does it go, then act and account. Each stage answers with one verdict
 * (alwayson/abi.h); CONTINUE means that the next one decides.
 */
#include "fragment.h"
#include "reject.h"
#include "trace.h"
#include "transparent.h"

enum action { ACTION_PASS, ACTION_DROP, ACTION_TX, ACTION_SEND };

static __always_inline enum action action_of(enum verdict verdict)
{
	switch (verdict) {
#define X(name, action, label, text) \
	case VERDICT_##name:         \
		return ACTION_##action;
		VERDICTS(X)
#undef X
	default:
		return ACTION_DROP;
	}
}

static __always_inline bool is_nat_port(__be16 port)
{
	__u32 zero = 0;
	struct control *c = bpf_map_lookup_elem(&control, &zero);
	__u16 p = bpf_ntohs(port);

	return c && p >= c->nat_low && p <= c->nat_high;
}

/* A TCP or UDP packet, or the first fragment of one. */
static __always_inline enum verdict handle_flow(struct packet *p, __u64 word, const bool v6)
{
	enum verdict verdict = VERDICT_CONTINUE;

	if (with_nat && is_nat_port(p->dport))
		verdict = nat_reply(p, word, v6);
	if (!verdict) {
		verdict = steer(p, word, v6);
		if (with_transparent && verdict == VERDICT_NO_SERVICE)
			verdict = v6 ? transparent6(p, word) : transparent4(p, word);
	}
	return refuse(p, verdict, v6);
}

static __always_inline enum verdict handle(struct packet *p, __u64 word, const bool v6)
{
	enum verdict verdict = v6 ? packet_parse6(p) : packet_parse4(p);

	if (verdict)
		return verdict;
	if (packet_fragment(p) == FRAGMENT_LATER)
		return v6 ? fragment_later6(p, word) : fragment_later4(p, word);
	if (p->protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return related(p, word, v6);
	if (packet_fragment(p) && !(v6 ? fragment_first6(p) : fragment_first4(p)))
		return VERDICT_INTERNAL;
	verdict = handle_flow(p, word, v6);
	if (packet_fragment(p)) {
		const enum verdict way = action_of(verdict) == ACTION_SEND ? verdict : VERDICT_CONTINUE;

		if (v6)
			fragment_remember6(p, word, way);
		else
			fragment_remember4(p, word, way);
	}
	return verdict;
}

static __always_inline enum verdict handle_link(struct packet *p, __u64 word)
{
	const __be16 proto = packet_parse_link(p);

	if (proto == bpf_htons(ETH_P_IP))
		return handle(p, word, false);
	if (proto == bpf_htons(ETH_P_IPV6))
		return with_ipv6 ? handle(p, word, true) : VERDICT_NO_SERVICE;
	return proto ? VERDICT_NOT_IP : VERDICT_TRUNCATED;
}

/* on-agent-death pass. An agent that becomes another program gives itself some time ahead: hence signed. */
static __always_inline bool agent_is_dead(const struct control *c)
{
	return c && (__s32)((__u32)bpf_jiffies64() - *(const volatile __u32 *)&c->heartbeat) > (__s32)death_jiffies;
}

/* Is a frame ours to look at: does the agent live, and is it for this host? */
static __always_inline enum verdict handle_frame(struct packet *p, const struct control *c, __u64 word)
{
	p->eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	p->length = p->end - (void *)p->eth;
	if (death_jiffies && agent_is_dead(c))
		return VERDICT_AGENT_DEAD;
	if ((void *)(p->eth + 1) > p->end)
		return VERDICT_TRUNCATED;
	if (c && !service_knows_mac(c, p->eth) &&
	    !service_owns_mac(word, *(__be32 *)p->eth, *(__be16 *)((void *)p->eth + 4)))
		return VERDICT_OTHER_HOST;
	return VERDICT_CONTINUE;
}

SEC("xdp.frags")
int lb(struct xdp_md *ctx)
{
	struct packet p = { .ctx = ctx };
	__u32 zero = 0;
	struct control *c = bpf_map_lookup_elem(&control, &zero);
	__u64 word = c ? load_u64(&c->word) : 0;
	enum verdict verdict = handle_frame(&p, c, word);
	int action;

	p.haze = word >> 32;
	p.trace = word;
	asm volatile("" : : "r"(&p) : "memory"); /* what p holds is read there, not kept beside it: that would take more stack */
	if (trace_is_on(&p))
		trace_came(ctx);
	if (!verdict)
		verdict = handle_link(&p, word);

	switch (action_of(verdict)) {
	case ACTION_PASS:
		action = XDP_PASS;
		break;
	case ACTION_TX:
		action = XDP_TX;
		break;
	case ACTION_SEND:
		action = XDP_TX;
		if (p.way_out != ctx->ingress_ifindex)
			action = bpf_redirect_map(&devices, p.way_out, XDP_DROP);
		if (action == XDP_DROP) /* the way out is no NIC of ours */
			verdict = VERDICT_INTERNAL;
		break;
	default:
		action = XDP_DROP;
	}
	explain_end(verdict, p.way_out, p.server);
	account_verdict(verdict, p.length);
	if (trace_is_on(&p))
		trace_left(ctx, &p, verdict, action);
	return action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
