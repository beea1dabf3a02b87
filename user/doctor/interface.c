/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions about one interface that packets are steered on. Called by the table of doctor.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dataplane/inspect.h"
#include "doctor/internal.h"

enum { DEVICES_STACKED_MAX = 4 };

static bool is_veth(const struct doctor_nic *n)
{
	return n->device.peer_ifindex != 0;
}

void doctor_link(struct doctor *d, struct doctor_nic *n)
{
	const struct net_interface *i = net_interface_by_index(d->net, n->device.ifindex);

	if (i && !i->ethernet)
		doctor_say(d, DOCTOR_FAIL, n->device.name, "steer on the Ethernet device that packets come by",
			   "no Ethernet device: frames can't be steered there");
	else if (!n->device.up)
		doctor_say(d, DOCTOR_FAIL, n->device.name, doctor_remedy("ip link set dev %s up; is the cable in?", n->device.name),
			   "down, or without carrier");
	else
		doctor_say(d, DOCTOR_OK, n->device.name, "", "up, MTU %u", n->device.mtu);
}

/* Before Linux 6.3 drivers do not tell what they can. */
static const char *const native_drivers[] = {
	"veth", "virtio_net", "i40e", "iavf", "ice", "ixgbe", "ixgbevf", "igb", "igc", "mlx4_en", "mlx5_core", "ena", "bnxt_en",
	"nfp", "sfc", "hv_netvsc", "mvneta", "mvpp2", "qede", "thunder-nicvf", "tun", "gve", "stmmac", "fec", "dpaa2-eth",
	"enetc", "tsnep", "cpsw", "xen_netfront", "mana", "vmxnet3", "bonding",
};

static bool is_known_native(const char *driver)
{
	for (size_t i = 0; i < array_size(native_drivers); i++)
		if (strncmp(driver, native_drivers[i], strlen(native_drivers[i])) == 0)
			return true;
	return false;
}

void doctor_driver(struct doctor *d, struct doctor_nic *n)
{
	const struct device *at = &n->device;
	const char *driver = *at->driver ? at->driver : "unknown";

	if (n->ours && at->xdp == DEVICE_XDP_NATIVE) {
		doctor_say(d, DOCTOR_OK, at->name, "", "driver %s, steering natively", driver);
	} else if (at->features_known && at->features & DEVICE_XDP_BASIC && n->generic) {
		doctor_say(d, DOCTOR_WARN, at->name,
			   doctor_remedy("alwayson unload %s && alwayson load %s native, or `interface %s xdp auto`", at->name,
					 at->name, at->name),
			   "driver %s can do XDP natively, but generic mode is in use: several times slower", driver);
	} else if (at->features_known && at->features & DEVICE_XDP_BASIC) {
		doctor_say(d, DOCTOR_OK, at->name, "", "driver %s, can do XDP natively", driver);
	} else if (at->features_known || !is_known_native(driver)) {
		doctor_say(d, DOCTOR_WARN, at->name, "a NIC whose driver has XDP: virtio_net, ixgbe, i40e, ice, mlx5, ena, ...",
			   "driver %s %s native XDP: generic mode works, several times slower", driver,
			   at->features_known ? "has no" : "is not known for");
	} else {
		doctor_say(d, DOCTOR_OK, at->name, "", "driver %s, known for native XDP", driver);
	}
}

/* Does the configuration say `xdp shared` of it? */
static bool is_shared(const struct doctor *d, const char *name)
{
	const struct model *m = d->subject->model;

	for (size_t i = 0; m && i < m->global.interfaces.count; i++)
		if (strcmp(m->global.interfaces.items[i].name, name) == 0)
			return m->global.interfaces.items[i].mode == MODEL_XDP_SHARED;
	return false;
}

void doctor_program(struct doctor *d, struct doctor_nic *n)
{
	char name[INSPECT_NAME_MAX] = "", instance[INSPECT_INSTANCE_MAX];
	const struct device *at = &n->device;

	if (at->xdp == DEVICE_XDP_NONE && !at->program) {
		if (n->ours)
			doctor_say(d, DOCTOR_FAIL, at->name, doctor_remedy("alwayson unload %s; alwayson load %s", at->name, at->name),
				   "the agent takes itself for attached, but no program is there");
		else
			doctor_say(d, DOCTOR_OK, at->name, "", "no XDP program is attached: free to take");
		return;
	}
	if (n->ours && is_shared(d, at->name) && !n->shared) {
		doctor_say(d, DOCTOR_WARN, at->name,
			   doctor_remedy("`attach_failed` in the agent's log says why; or `interface %s` without `xdp shared`", at->name),
			   "our program is attached alone (id %u), though the configuration says `xdp shared`", at->program);
		return;
	}
	if (n->ours && is_shared(d, at->name) && inspect_instance(at->ifindex, at->program, instance) == -ENOENT) {
		doctor_say(d, DOCTOR_FAIL, at->name, doctor_remedy("alwayson unload %s; alwayson load %s", at->name, at->name),
			   "the agent takes itself for attached, but is not in the dispatcher that is there (id %u)", at->program);
		return;
	}
	if (n->ours) {
		doctor_say(d, DOCTOR_OK, at->name, "", is_shared(d, at->name) ?
			   "our program is attached, in libxdp's dispatcher (id %u)" : "our program is attached (id %u)",
			   at->program);
		return;
	}
	if (inspect_instance(at->ifindex, at->program, instance) == 0) {
		doctor_say(d, DOCTOR_WARN, at->name,
			   doctor_remedy("start alwaysond --name %s: it takes over program and connections", instance),
			   "instance %s of ours steers here, and its agent does not answer: nobody checks its servers", instance);
		return;
	}
	inspect_program_name(at->program, name);
	if (strcmp(name, "xdp_dispatcher") == 0 && is_shared(d, at->name)) {
		doctor_say(d, DOCTOR_OK, at->name, "", "libxdp's dispatcher is attached, and `xdp shared` goes along with it");
		return;
	}
	doctor_say(d, DOCTOR_FAIL, at->name,
		   strcmp(name, "xdp_dispatcher") == 0 ? doctor_remedy("`interface %s xdp shared`, or xdp-loader unload %s --all",
								       at->name, at->name) :
							 doctor_remedy("ip link set dev %s xdp off", at->name),
		   "another XDP program is attached: %s (id %u): alwaysond refuses to start", *name ? name : "of unknown name",
		   at->program);
}

/* ---- veth ---- */

void doctor_peer(struct doctor *d, struct doctor_nic *n)
{
	const struct device *p = &n->peer;

	if (!is_veth(n) || n->generic)
		return;
	if (!p->ifindex) {
		doctor_say(d, DOCTOR_WARN, n->device.name,
			   "in the peer's namespace: `ip link show` must say `xdp` at its end, `ethtool -K PEER tx off` must be "
			   "done; or `interface IFACE xdp generic`",
			   "a veth whose peer is in a network namespace that can't be looked into");
		return;
	}
	if (p->xdp == DEVICE_XDP_NATIVE)
		doctor_say(d, DOCTOR_OK, n->device.name, "", "its peer %s has an XDP program, so it takes what we send", p->name);
	else
		doctor_say(d, DOCTOR_FAIL, n->device.name,
			   doctor_remedy("%sgive %s a native program that passes all (`ip link set dev %s xdpdrv object "
					 "pass.bpf.o section xdp.frags`), or `interface %s xdp generic`",
					 n->device.peer_elsewhere ? "in its namespace " : "", p->name, p->name, n->device.name),
			   "a veth whose peer %s has no native XDP program: the kernel drops every frame that we send, in silence",
			   p->name);
}

void doctor_checksum(struct doctor *d, struct doctor_nic *n)
{
	const struct device *p = &n->peer;
	int on;

	if (!is_veth(n) || !p->ifindex)
		return;
	on = device_offload(n->there, p->name, "tx-checksum-ip-generic");
	if (on > 0)
		doctor_say(d, DOCTOR_FAIL, n->device.name,
			   doctor_remedy("%sethtool -K %s tx off", n->device.peer_elsewhere ? "in its namespace: " : "", p->name),
			   "its peer %s leaves checksums unfilled (tx offload): receivers drop what is steered (TcpInCsumErrors)",
			   p->name);
	else if (on == 0)
		doctor_say(d, DOCTOR_OK, n->device.name, "", "its peer %s fills checksums in", p->name);
}

/* ---- offloads ---- */

/* The NIC that a VLAN device's frames come by, whatever there is in between. */
static void find_lowest(const struct doctor *d, const struct device *of, char name[static sizeof(of->name)])
{
	struct device below = *of;

	for (int i = 0; i < DEVICES_STACKED_MAX && below.below; i++)
		if (device_read_index(d->devices, below.below, &below) < 0)
			break;
	snprintf(name, sizeof(of->name), "%s", below.name);
}

void doctor_gro(struct doctor *d, struct doctor_nic *n)
{
	static const struct { const char *kernel, *ethtool; } merging[] = {
		{ "rx-gro", "gro" }, { "rx-lro", "lro" }, { "rx-gro-hw", "rx-gro-hw" },
	};
	char on[64] = "", words[96] = "", name[sizeof(n->device.name)];

	find_lowest(d, &n->device, name);
	for (size_t i = 0; i < array_size(merging); i++)
		if (device_offload(d->devices, name, merging[i].kernel) > 0) {
			snprintf(on + strlen(on), sizeof(on) - strlen(on), " %s", merging[i].ethtool);
			snprintf(words + strlen(words), sizeof(words) - strlen(words), " %s off", merging[i].ethtool);
		}
	if (!n->generic)
		doctor_say(d, DOCTOR_OK, n->device.name, "", "packets are steered before anything merges them%s%s",
			   *on ? "; on are" : "", on);
	else if (*on)
		doctor_say(d, DOCTOR_WARN, n->device.name, doctor_remedy("ethtool -K %s%s", name, words),
			   "generic mode gets packets merged by%s: larger than the MTU, they are dropped on their way out "
			   "(too_big)", on);
	else
		doctor_say(d, DOCTOR_OK, n->device.name, "", "nothing merges packets before generic mode sees them");
}

void doctor_vlan(struct doctor *d, struct doctor_nic *n)
{
	const bool off = device_offload(d->devices, n->device.name, DEVICE_RX_VLAN) <= 0;

	if (off)
		doctor_say(d, DOCTOR_OK, n->device.name, "", "VLAN tags stay in the frames");
	else if (!device_offload_is_free(d->devices, n->device.name, DEVICE_RX_VLAN))
		doctor_say(d, DOCTOR_NOTE, n->device.name, "another NIC, where frames are tagged",
			   "the NIC takes VLAN tags off and can't be told not to: with tagged traffic replies go out without their "
			   "tag");
	else if (n->ours)
		doctor_say(d, DOCTOR_WARN, n->device.name, doctor_remedy("ethtool -K %s rxvlan off", n->device.name),
			   "the NIC takes VLAN tags off before the program sees them, somebody has switched that on again: with "
			   "tagged traffic replies go out without their tag");
	else
		doctor_say(d, DOCTOR_OK, n->device.name, "",
			   "the NIC takes VLAN tags off: the agent switches that off while it steers there");
}

/* ---- queues ---- */

void doctor_queues(struct doctor *d, struct doctor_nic *n)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const struct device *at = &n->device;
	const unsigned possible = cpus > 0 && at->rx_queues_max > (unsigned)cpus ? (unsigned)cpus : at->rx_queues_max;

	if (!at->rx_queues)
		return;
	if (at->rx_queues < possible)
		doctor_say(d, DOCTOR_NOTE, at->name, doctor_remedy("ethtool -L %s combined %u (or rx %u)", at->name, possible, possible),
			   "%u of %u receive queues in use: no more CPUs than that steer, and there are %ld", at->rx_queues,
			   at->rx_queues_max, cpus);
	else if (at->rss_queues && at->rss_queues < at->rx_queues)
		doctor_say(d, DOCTOR_NOTE, at->name, doctor_remedy("ethtool -X %s equal %u", at->name, at->rx_queues),
			   "RSS spreads packets to %u of %u receive queues", at->rss_queues, at->rx_queues);
	else
		doctor_say(d, DOCTOR_OK, at->name, "", "%u receive queues for %ld CPUs", at->rx_queues, cpus);
}

void doctor_rp_filter(struct doctor *d, struct doctor_nic *n)
{
	char path[80];
	long all = 0, own = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", n->device.name);
	if (doctor_number("/proc/sys/net/ipv4/conf/all/rp_filter", &all) < 0 || doctor_number(path, &own) < 0)
		return;
	/* The larger one is in force. */
	if ((all > own ? all : own) != 1)
		doctor_say(d, DOCTOR_OK, n->device.name, "", "rp_filter is not strict");
	else if (d->nics.count > 1)
		doctor_say(d, DOCTOR_WARN, n->device.name,
			   doctor_remedy("sysctl -w net.ipv4.conf.%s.rp_filter=2%s", n->device.name,
					 all == 1 ? " net.ipv4.conf.all.rp_filter=0" : ""),
			   "rp_filter is strict: with several interfaces the host drops replies to its checks that come in by "
			   "another one than its route goes out by");
	else
		doctor_say(d, DOCTOR_OK, n->device.name, "", "rp_filter is strict, which does no harm with one interface");
}
