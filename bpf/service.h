/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Second stage: is the packet for a service, or for an own address of ours? Open-addressed tables laid out by the
 * agent, compared inline: no BPF hash map stands on the packet's way. Reads the half that `word` names.
 */
#ifndef BPF_SERVICE_H
#define BPF_SERVICE_H

#include "packet.h"

/* What a look-up found. address 0 = nothing. */
struct place {
	__u32 service;
	__u32 address;
};

static __always_inline __u32 table_size_mask(__u64 word, int shift)
{
	return ((1U << (word >> shift & 31)) - 1) & (SERVICE_TABLE_MAX - 1);
}

static __always_inline __u64 entry_key(__be16 port, __u8 protocol, __u8 kind)
{
	return (__u64)port | (__u64)protocol << 16 | (__u64)kind << 24;
}

static __always_inline struct place service_find4(__u64 word, __be32 addr, __be16 port, __u8 protocol, __u8 kind)
{
	__u64 key = (__u64)addr | entry_key(port, protocol, kind) << 32;
	__u32 mask = table_size_mask(word, CONTROL_SIZE4_SHIFT);
	__u32 base = (word & CONTROL_HALF) * SERVICE_TABLE_MAX;
	__u32 hash = SERVICE_HASH(key);
	struct place none = {};

#pragma unroll
	for (__u32 i = 0; i < SERVICE_PROBES; i++) {
		__u32 index = base + ((hash + i) & mask);
		struct service_entry4 *e = bpf_map_lookup_elem(&services4, &index);
		__u64 found;

		if (!e)
			break;
		found = load_u64((__u64 *)e);
		if (found == key) {
			struct place p = { .service = e->service, .address = e->address };

			return p;
		}
		if (!found)
			break;
	}
	return none;
}

static __always_inline struct place service_find6(__u64 word, const __u64 addr[2], __be16 port, __u8 protocol,
						  __u8 kind)
{
	__u64 tail = entry_key(port, protocol, kind);
	__u32 mask = table_size_mask(word, CONTROL_SIZE6_SHIFT);
	__u32 base = (word & CONTROL_HALF) * SERVICE_TABLE_MAX;
	__u32 hash = SERVICE_HASH(addr[0] ^ SERVICE_FOLD(addr[1]) ^ tail << 32);
	struct place none = {};

#pragma unroll
	for (__u32 i = 0; i < SERVICE_PROBES; i++) {
		__u32 index = base + ((hash + i) & mask);
		struct service_entry6 *e = bpf_map_lookup_elem(&services6, &index);

		if (!e)
			break;
		if (e->addr[0] == addr[0] && e->addr[1] == addr[1] && *(__u32 *)&e->port == (__u32)tail) {
			struct place p = { .service = e->service, .address = e->address };

			return p;
		}
		if (!e->kind)
			break;
	}
	return none;
}

/*
 * The service on all ports of an address: asked for when no service has the packet's port, and only where the agent
 * says that there is one at all. Global functions: they stand on the way of every packet for no service.
 */
__noinline int service_all_ports4(struct place *ret, __u64 word, __be32 addr, __u8 protocol)
{
	if (ret)
		*ret = service_find4(word, addr, 0, protocol, ENTRY_ALL_PORTS);
	return 0;
}

__noinline int service_all_ports6(struct place *ret, __u64 word, __u64 high, __u64 low, __u8 protocol)
{
	const __u64 addr[2] = { high, low };

	if (ret)
		*ret = service_find6(word, addr, 0, protocol, ENTRY_ALL_PORTS);
	return 0;
}

/* Whose service this address, port and protocol are. Port 0 is nobody's. */
static __always_inline void service_of4(struct place *ret, __u64 word, __be32 addr, __be16 port, __u8 protocol)
{
	*ret = service_find4(word, addr, port, protocol, ENTRY_SERVICE);
	if (!ret->address && word & CONTROL_ALL_PORTS && port)
		service_all_ports4(ret, word, addr, protocol);
}

static __always_inline void service_of6(struct place *ret, __u64 word, const __u64 addr[2], __be16 port, __u8 protocol)
{
	*ret = service_find6(word, addr, port, protocol, ENTRY_SERVICE);
	if (!ret->address && word & CONTROL_ALL_PORTS && port)
		service_all_ports6(ret, word, addr[0], addr[1], protocol);
}

/*
 * Whose server this address, port and protocol are (FORWARD_TRANSPARENT). Asked for when the destination is no service,
 * and for the packets that ICMP errors quote.
 */
__noinline int service_served4(struct place *ret, __u64 word, __be32 addr, __u32 port, __u8 protocol)
{
	if (!ret)
		return 0;
	*ret = service_find4(word, addr, port, protocol, ENTRY_SERVER);
	if (!ret->address && word & CONTROL_ALL_PORTS)
		*ret = service_find4(word, addr, 0, protocol, ENTRY_SERVER);
	return 0;
}

/* A global function has five arguments at most: port and protocol are one. */
__noinline int service_served6(struct place *ret, __u64 word, __u64 high, __u64 low, __u32 port_protocol)
{
	const __u64 addr[2] = { high, low };

	if (!ret)
		return 0;
	*ret = service_find6(word, addr, port_protocol, port_protocol >> 16, ENTRY_SERVER);
	if (!ret->address && word & CONTROL_ALL_PORTS)
		*ret = service_find6(word, addr, 0, port_protocol >> 16, ENTRY_SERVER);
	return 0;
}

/*
 * Is a frame for this host, as the kernel would take it (PACKET_HOST)? What a NIC in promiscuous mode, a veth or a virtual
 * machine's NIC gets beside that, because a switch floods it, is another host's: a balancer's beside this one, perhaps.
 * Global: asked of few, for most name an address that is near (below).
 */
__noinline int service_owns_mac(__u64 word, __be32 first, __be16 last)
{
	return !(word & CONTROL_MACS) || service_find4(word, first, last, 0, ENTRY_MAC).address;
}

/*
 * Does a frame name one of the addresses near the control word? Without branches, which would double what the verifier (all
 * kernels) has to look at: of a number of 48 bits, less one, the highest of 64 is set only if it was zero.
 */
static __always_inline bool service_knows_mac(const struct control *c, const void *eth)
{
	const __u64 mac = (__u64)*(const __be32 *)eth | (__u64)*(const __be16 *)(eth + 4) << 32;
	__u64 found = 0;

#pragma unroll
	for (int i = 0; i < CONTROL_MACS_NEAR; i++)
		found |= (load_u64(&c->macs[i]) ^ mac) - 1;
	return found >> 63;
}

static __always_inline struct service *service_get(__u64 word, __u32 id)
{
	__u32 index = (word & CONTROL_HALF) * MAX_SERVICES + id;

	return bpf_map_lookup_elem(&services, &index);
}

static __always_inline struct server *server_get(__u64 word, __u32 id)
{
	__u32 index = (word & CONTROL_HALF) * MAX_SERVERS + id;

	return bpf_map_lookup_elem(&servers, &index);
}

#endif
