/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/vlan.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <syslog.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "net/device.h"

/* 802.1Q and 802.1ad, by their bit in vlan_offloads.off. */
static const char *const offloads[] = { DEVICE_RX_VLAN, DEVICE_RX_VLAN_STAG };

static unsigned switch_off(const struct devices *d, const char *name, int *ret_error)
{
	unsigned off = 0;

	*ret_error = 0;
	for (unsigned i = 0; i < array_size(offloads); i++) {
		int r = device_offload(d, name, offloads[i]) > 0 ? device_set_offload(d, name, offloads[i], false) : -EALREADY;

		if (r == 0)
			off |= 1U << i;
		else if (r != -EALREADY)
			*ret_error = r;
	}
	return off;
}

static void switch_on(const struct devices *d, const char *name, unsigned off)
{
	for (unsigned i = 0; i < array_size(offloads); i++)
		if (off >> i & 1)
			device_set_offload(d, name, offloads[i], true);
}

static struct vlan_offloads *find(struct agent *a, unsigned ifindex)
{
	for (size_t i = 0; i < a->vlan_offloads.count; i++)
		if (a->vlan_offloads.items[i].ifindex == ifindex)
			return &a->vlan_offloads.items[i];
	return NULL;
}

static void remember(struct agent *a, unsigned ifindex, unsigned off)
{
	struct vlan_offloads *v = find(a, ifindex);

	if (!v)
		v = vec_push(&a->vlan_offloads);
	if (!v)
		return; /* then they stay off */
	v->ifindex = ifindex;
	v->off |= off;
}

void vlan_keep_tags(struct agent *a, unsigned ifindex, const char *name)
{
	struct devices *d;
	unsigned off;
	int r = devices_open(&d);

	if (r < 0) {
		log_event(a->log, LOG_WARNING, "vlan_offload", "interface=%s state=unknown error=%s", name,
			  log_quoted(strerror(-r)));
		return;
	}
	off = switch_off(d, name, &r);
	devices_close(d);
	if (off) {
		remember(a, ifindex, off);
		a->save_due = true;
		agent_run_soon(a);
		log_event(a->log, LOG_NOTICE, "vlan_offload", "interface=%s state=off text=%s", name,
			  log_quoted("rx-vlan-offload is switched off while packets are steered: the program must see VLAN tags"));
	}
	if (r < 0)
		log_event(a->log, LOG_WARNING, "vlan_offload", "interface=%s state=on error=%s text=%s", name,
			  log_quoted(strerror(-r)),
			  log_quoted("the NIC takes VLAN tags off and can't be told not to: with tagged traffic replies go out "
				     "without their tag"));
}

void vlan_give_back(struct agent *a, unsigned ifindex)
{
	struct vlan_offloads *v = find(a, ifindex);
	char name[IF_NAMESIZE];
	struct devices *d;

	if (!v)
		return;
	/* A NIC that is gone needs nothing. */
	if (if_indextoname(ifindex, name) && devices_open(&d) == 0) {
		switch_on(d, name, v->off);
		devices_close(d);
		log_event(a->log, LOG_NOTICE, "vlan_offload", "interface=%s state=on text=%s", name,
			  log_quoted("rx-vlan-offload is as it was before packets were steered"));
	}
	*v = a->vlan_offloads.items[--a->vlan_offloads.count];
}

void vlan_give_back_all(struct agent *a)
{
	while (a->vlan_offloads.count)
		vlan_give_back(a, a->vlan_offloads.items[0].ifindex);
}

json_t *vlan_save(const struct agent *a)
{
	json_t *all = json_array();
	char name[IF_NAMESIZE];

	for (size_t i = 0; i < a->vlan_offloads.count; i++) {
		const struct vlan_offloads *v = &a->vlan_offloads.items[i];

		if (!if_indextoname(v->ifindex, name))
			continue;
		if (json_array_append_new(all, json_pack("{s:s, s:I}", "name", name, "off", (json_int_t)v->off)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* Each entry that makes sense. */
static bool read_entry(const json_t *entry, const char **ret_name, unsigned *ret_off)
{
	json_int_t off;

	if (json_unpack((json_t *)entry, "{s:s, s:I}", "name", ret_name, "off", &off) < 0 || off <= 0 ||
	    off >= 1 << array_size(offloads) || strlen(*ret_name) >= IF_NAMESIZE)
		return false;
	*ret_off = (unsigned)off;
	return true;
}

void vlan_restore(struct agent *a, const json_t *from)
{
	const char *name;
	unsigned off;
	json_t *entry;
	size_t n;

	json_array_foreach((json_t *)from, n, entry)
		if (n < MAX_DEVICES && read_entry(entry, &name, &off) && if_nametoindex(name))
			remember(a, if_nametoindex(name), off);
}

void vlan_give_back_saved(const json_t *from)
{
	struct devices *d;
	const char *name;
	unsigned off;
	json_t *entry;
	size_t n;

	if (devices_open(&d) < 0)
		return;
	json_array_foreach((json_t *)from, n, entry)
		if (n < MAX_DEVICES && read_entry(entry, &name, &off))
			switch_on(d, name, off);
	devices_close(d);
}
