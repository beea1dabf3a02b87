/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a NIC is, for the doctor: driver, XDP, offloads, queues, and the other end of a veth, also in another network
 * namespace. Asks rtnetlink, genetlink and ethtool, changes nothing. Blocks for as long as the kernel's answers take: not
 * for the agent's loop.
 */
#ifndef NET_DEVICE_H
#define NET_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct devices; /* one network namespace's */

enum device_xdp { DEVICE_XDP_NONE, DEVICE_XDP_NATIVE, DEVICE_XDP_GENERIC, DEVICE_XDP_OTHER /* offloaded, or several */ };

/* What the driver says it can (NETDEV_XDP_ACT_* of linux/netdev.h). */
enum device_xdp_feature {
	DEVICE_XDP_BASIC = 1 << 0,
	DEVICE_XDP_REDIRECT = 1 << 1,
	DEVICE_XDP_XMIT = 1 << 2,       /* frames can be redirected to it */
	DEVICE_XDP_FRAGMENTS = 1 << 5,  /* programs for packets of several buffers */
};

struct device {
	unsigned ifindex;
	char name[16];
	char driver[32];          /* "veth", "virtio_net"; "" = not known */
	unsigned mtu;
	bool up;
	enum device_xdp xdp;
	uint32_t program;         /* id of what is attached; 0 = none, or not known */
	bool features_known;      /* kernels from 6.3 on tell */
	uint32_t features;        /* enum device_xdp_feature */
	unsigned rx_queues, rx_queues_max; /* in use, and what the NIC has; 0 = not known */
	unsigned rss_queues;      /* that the RSS table spreads to; 0 = not known */
	unsigned peer_ifindex;    /* of a veth; 0 = none */
	bool peer_elsewhere;      /* in another network namespace ... */
	int peer_netns;           /* ... that has this id here; -1 = not known */
	unsigned below;           /* the NIC below a VLAN device or the like, in this namespace; 0 = none */
};

/* This process's network namespace. 0 or -errno. */
int devices_open(struct devices **ret);
/*
 * The namespace that a NIC's peer is in, found among those that have a process or a name in /run/netns. 0; -ENOENT: it
 * is none of them; -EPERM. Needs CAP_SYS_ADMIN; the calling thread is in its own namespace again afterwards.
 */
int devices_open_peer(const struct devices *d, const struct device *of, struct devices **ret);
void devices_close(struct devices *d); /* takes NULL */

/* 0; -ENODEV: there is no such NIC; -errno. */
int device_read(const struct devices *d, const char *name, struct device *ret);
int device_read_index(const struct devices *d, unsigned ifindex, struct device *ret);
/* An offload by the kernel's name ("rx-gro"): 1 on, 0 off, -ENOENT: it has none such; -errno. */
int device_offload(const struct devices *d, const char *name, const char *offload);
/* Can it be changed? False where the driver keeps it as it is, or does not have it. */
bool device_offload_is_free(const struct devices *d, const char *name, const char *offload);
/* 0; -EOPNOTSUPP: the driver keeps it as it is; -errno. Needs CAP_NET_ADMIN. */
int device_set_offload(const struct devices *d, const char *name, const char *offload, bool on);
/* `ethtool -K IFACE rxvlan`: the NIC takes 802.1Q tags off; and those of 802.1ad. */
#define DEVICE_RX_VLAN "rx-vlan-hw-parse"
#define DEVICE_RX_VLAN_STAG "rx-vlan-stag-hw-parse"

#endif
