/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What decap.bpf.c, the program that unwraps on a server, and its loader (user/dataplane/decap.c) share: verdicts, map
 * keys, limits. Nothing of the balancer's own tables is here: the two programs run on different hosts.
 */
#ifndef ALWAYSON_DECAP_H
#define ALWAYSON_DECAP_H

#include <linux/types.h>

/*
 * X(NAME, action, label, what it means): the counter's index, the label in `decap show`, and the XDP action.
 * Only UNWRAPPED changes a packet; whatever is not understood goes to the host as it came.
 */
#define DECAP_VERDICTS(X)                                                                                            \
	X(UNWRAPPED, PASS, "unwrapped", "taken out of its outer header and given to the host")                       \
	X(OTHER, PASS, "other", "no tunnel packet; given to the host untouched")                                     \
	X(NOT_HERE, PASS, "not_here", "a tunnel packet to an address that is none of ours; to the host untouched")   \
	X(NOT_ALLOWED, PASS, "not_allowed", "a tunnel packet from an address that no --from covers; to the host")    \
	X(FRAGMENT, PASS, "fragment", "a fragment of a tunnel packet; to the host untouched")                        \
	X(OPTIONS, PASS, "options", "an outer IPv4 header with options; to the host untouched")                      \
	X(MALFORMED, PASS, "malformed", "lengths, versions or the outer checksum are wrong; to the host untouched")  \
	X(NESTED, PASS, "nested", "a tunnel packet inside a tunnel packet; to the host untouched")                   \
	X(CONGESTION, DROP, "congestion", "marked as congested on the way, for a sender without ECN (RFC 6040)")     \
	X(INTERNAL, DROP, "internal", "the header could not be taken off: a defect")

enum decap_verdict {
#define X(name, action, label, text) DECAP_##name,
	DECAP_VERDICTS(X)
#undef X
	DECAP_VERDICT_MAX
};

#define DECAP_SOURCES_MAX   256 /* --from prefixes */
#define DECAP_ADDRESSES_MAX 256 /* addresses that are unwrapped for, the NIC's own and --address */

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* An address of either family: IPv4 in the first 4 bytes, the rest zero. Key of `addresses`; the loader writes. */
struct decap_address {
	__u32 family;      /* 4, 6 */
	__u32 addr[4];     /* as it lies in the packet */
};

/* Key of `sources`, a longest-prefix match; the loader writes. prefixlen: 32 bits of `family`, and the prefix. */
struct decap_source {
	__u32 prefixlen;
	struct decap_address prefix;
};

/* counters[verdict]; program, each CPU its own. */
struct decap_counter {
	__u64 packets;
	__u64 bytes;       /* of the frame as it came */
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct decap_address) == 20, "decap_address");
_Static_assert(sizeof(struct decap_source) == 24, "decap_source");
_Static_assert(sizeof(struct decap_counter) == 16, "decap_counter");

#endif
