/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A trace: packets as they came and as they left, told to the agent through a ring buffer (alwayson/trace.h). Off, it
 * costs a look at a bit of a word that is read anyway. Called by lb.bpf.c before the first stage and after the last; what
 * is wanted and how much of it is decided here, so that a flood does not reach the agent.
 */
#ifndef BPF_TRACE_H
#define BPF_TRACE_H

#include <alwayson/trace.h>

#include "packet.h"

ARRAY(trace_filters, struct trace_filter, 1);
ARRAY(trace_states, struct trace_state, 1);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TRACE_RING_SIZE);
} trace_ring SEC(".maps");

/* The event that is being put together: each CPU has one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_event);
} trace_events SEC(".maps");

/*
 * The bit as a number of its own: the verifier (all kernels) remembers of the word itself what a test has shown, and would
 * walk everything that lies between the two tests twice.
 */
static __always_inline bool trace_is_on(const struct packet *p)
{
	__u32 bit = p->trace >> CONTROL_TRACE_SHIFT;

	asm volatile("" : "+r"(bit));
	return bit & 1;
}

static __always_inline __u32 trace_copy(struct xdp_md *ctx, __u8 *to, __u32 length, __u32 snap)
{
	__u32 kept = length < snap ? length : snap;

	if (!kept || kept > TRACE_SNAP_MAX)
		return 0;
	/* The same number, by which Linux 6.1 sees that it is not 0. */
	kept = ((kept - 1) & (TRACE_SNAP_MAX - 1)) + 1;
	asm volatile("" : "+r"(kept));
	if (bpf_xdp_load_bytes(ctx, 0, to, kept))
		return 0;
	return kept;
}

/* The frame as it came. */
static __noinline int trace_came(struct xdp_md *ctx)
{
	__u32 zero = 0;
	const struct trace_filter *f = bpf_map_lookup_elem(&trace_filters, &zero);
	struct trace_event *e = bpf_map_lookup_elem(&trace_events, &zero);

	if (!f || !e)
		return 0;
	e->in_length = bpf_xdp_get_buff_len(ctx);
	e->in_ifindex = ctx->ingress_ifindex;
	e->in_kept = trace_copy(ctx, e->in, e->in_length, f->snap);
	return 0;
}

/* Which side of a frame is looked at: its sender or its receiver. */
struct trace_side {
	__u64 addr[2];
	__u16 port;
	__u8 family;
	__u8 protocol;
};

/* A side of a frame of which the program knows where the headers are. false: not IP. */
static __always_inline bool trace_read(const __u8 *frame, const struct packet *p, const bool receiver,
				       struct trace_side *s)
{
	const __u32 l3 = p->link & 31, l4 = (l3 + p->header) & 0xff;
	const __u8 version = frame[l3] >> 4;

	s->addr[0] = s->addr[1] = 0;
	if (version == 4) {
		s->addr[0] = *(const __u32 *)&frame[l3 + 12 + (receiver ? 4 : 0)];
	} else if (version == 6) {
		s->addr[0] = *(const __u64 *)&frame[l3 + 8 + (receiver ? 16 : 0)];
		s->addr[1] = *(const __u64 *)&frame[l3 + 16 + (receiver ? 16 : 0)];
	} else {
		return false;
	}
	s->family = version;
	s->protocol = p->protocol;
	s->port = 0;
	if (l4 <= TRACE_SNAP_MAX - 4)
		s->port = bpf_ntohs(*(const __u16 *)&frame[l4 + (receiver ? 2 : 0)]);
	return true;
}

static __always_inline bool trace_is_service(const struct trace_filter *f, const struct trace_side *s)
{
	return s->family == f->service_family && s->protocol == f->protocol && s->port >= f->port_low &&
	       s->port <= f->port_high &&
	       (f->flags & TRACE_ANY || (s->addr[0] == f->service[0] && s->addr[1] == f->service[1]));
}

static __always_inline bool trace_is_source(const struct trace_filter *f, const struct trace_side *s)
{
	return s->family == f->source_family && (s->addr[0] & f->source_mask[0]) == f->source[0] &&
	       (s->addr[1] & f->source_mask[1]) == f->source[1];
}

/* A client's packet says it as it came; a server's reply as it left. */
static __always_inline bool trace_wants(const struct trace_filter *f, const struct trace_event *e,
					const struct packet *p, enum verdict verdict)
{
	const bool back = verdict == VERDICT_NAT_REPLY || verdict == VERDICT_TRANSPARENT_REPLY;
	const __u8 *frame = back ? e->out : e->in;
	struct trace_side side;

	if (f->verdicts && !(f->verdicts >> (verdict & 63) & 1))
		return false;
	if (f->flags & TRACE_SERVICE && (!trace_read(frame, p, !back, &side) || !trace_is_service(f, &side)))
		return false;
	if (f->flags & TRACE_SOURCE && (!trace_read(frame, p, back, &side) || !trace_is_source(f, &side)))
		return false;
	return true;
}

/* At most `rate` in a second; CPUs that begin one together may tell a few more. */
static __always_inline bool trace_may_tell(const struct trace_filter *f, struct trace_state *s)
{
	const __u64 window = f->jiffies ? bpf_jiffies64() / f->jiffies : 0;

	if (s->window != window) {
		s->window = window;
		s->told = 0;
	}
	if (__sync_fetch_and_add(&s->told, 1) < f->rate)
		return true;
	__sync_fetch_and_add(&s->limited, 1);
	return false;
}

/* The frame as it leaves (sent), or what became of it. */
static __noinline int trace_left(struct xdp_md *ctx, const struct packet *p, enum verdict verdict, int action)
{
	const bool sent = action == XDP_TX || action == XDP_REDIRECT;
	__u32 zero = 0;
	const struct trace_filter *f = bpf_map_lookup_elem(&trace_filters, &zero);
	struct trace_event *e = bpf_map_lookup_elem(&trace_events, &zero);
	struct trace_state *s = bpf_map_lookup_elem(&trace_states, &zero);

	if (!p || !f || !e || !s)
		return 0;
	e->out_length = sent ? bpf_xdp_get_buff_len(ctx) : 0;
	e->out_kept = trace_copy(ctx, e->out, e->out_length, f->snap);
	e->out_ifindex = sent ? p->way_out : 0;
	if (!trace_wants(f, e, p, verdict) || !trace_may_tell(f, s))
		return 0;
	e->ns = bpf_ktime_get_ns();
	e->number = f->number;
	e->verdict = verdict;
	if (bpf_ringbuf_output(&trace_ring, e, sizeof(*e), 0))
		__sync_fetch_and_add(&s->lost, 1);
	return 0;
}

#endif
