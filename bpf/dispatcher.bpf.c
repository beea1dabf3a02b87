// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A dispatcher by libxdp's protocol (version 2), for a libxdp whose own is too old for the kernel: since spring 2025, in
 * the stable kernels too, a function may be replaced by one that changes packets only if it may change them itself.
 * libxdp's own does so from 1.5.5 on; Debian 12 has 1.3.1. libxdp finds it by LIBXDP_OBJECT_PATH, fills its
 * configuration in and replaces its functions; user/dataplane/dispatcher.c puts it there. Names and layout are libxdp's.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/prog_dispatcher.h>

static volatile const struct xdp_dispatcher_config conf = {};

/* Changes nothing, and says to the verifier that it might. The volatile variable keeps the compiler from knowing better. */
#define PLACE(n)                                          \
	__attribute__((noinline)) int prog##n(struct xdp_md *ctx) \
	{                                                 \
		volatile int result = XDP_DISPATCHER_RETVAL; \
							  \
		if (!ctx)                                 \
			return XDP_ABORTED;               \
		bpf_xdp_adjust_tail(ctx, 0);              \
		return result;                            \
	}
PLACE(0) PLACE(1) PLACE(2) PLACE(3) PLACE(4) PLACE(5) PLACE(6) PLACE(7) PLACE(8) PLACE(9)

#define GO_ON(n)                                                  \
	do {                                                      \
		if (count <= n)                                   \
			return XDP_PASS;                          \
		result = prog##n(ctx);                            \
		if (!((1U << result) & conf.chain_call_actions[n])) \
			return result;                            \
	} while (0)

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	__u8 count = conf.num_progs_enabled;
	int result;

	GO_ON(0); GO_ON(1); GO_ON(2); GO_ON(3); GO_ON(4); GO_ON(5); GO_ON(6); GO_ON(7); GO_ON(8); GO_ON(9);
	return XDP_PASS;
}

/* What libxdp tries out whether the kernel can do it. */
SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
