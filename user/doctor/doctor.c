/* SPDX-License-Identifier: BSD-2-Clause */
#include "doctor/doctor.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "doctor/internal.h"

/* A new question: its function, its line here, its line in docs/doctor.md, and a test that provokes it. */
static const struct {
	const char *name;
	void (*ask)(struct doctor *d);
} before[] = {
	{ "kernel", doctor_kernel },
	{ "btf", doctor_btf },
	{ "bpffs", doctor_bpffs },
	{ "capabilities", doctor_capabilities },
	{ "configuration", doctor_configuration },
	{ "agent", doctor_agent },
	{ "limits", doctor_limits },
	{ "ports", doctor_ports },
}, after[] = {
	{ "ip_forward", doctor_ip_forward },
	{ "conntrack", doctor_conntrack },
	{ "filter", doctor_filter },
	{ "address", doctor_address },
	{ "neighbour", doctor_neighbour },
	{ "mtu", doctor_mtu },
	{ "vip", doctor_vip },
	{ "drops", doctor_drops },
	{ "notices", doctor_notices },
};

static const struct {
	const char *name;
	void (*ask)(struct doctor *d, struct doctor_nic *n);
} of_nics[] = {
	{ "link", doctor_link },
	{ "driver", doctor_driver },
	{ "program", doctor_program },
	{ "peer", doctor_peer },
	{ "checksum", doctor_checksum },
	{ "gro", doctor_gro },
	{ "vlan", doctor_vlan },
	{ "queues", doctor_queues },
	{ "rp_filter", doctor_rp_filter },
};

const char *doctor_check_name(size_t i)
{
	if (i < array_size(before))
		return before[i].name;
	i -= array_size(before);
	if (i < array_size(of_nics))
		return of_nics[i].name;
	i -= array_size(of_nics);
	return i < array_size(after) ? after[i].name : NULL;
}

const char *doctor_level_name(enum doctor_level l)
{
	static const char *const names[] = {
		[DOCTOR_OK] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail",
	};

	return names[l];
}

/* ---- what the questions are written in ---- */

void doctor_say(struct doctor *d, enum doctor_level level, const char *where, const char *remedy, const char *format, ...)
{
	struct doctor_finding *f = vec_push(&d->report->findings);
	va_list args;

	if (!f) {
		d->failed = true;
		return;
	}
	f->level = level;
	f->check = d->check;
	snprintf(f->where, sizeof(f->where), "%s", where);
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	if (level > d->report->worst)
		d->report->worst = level;
}

const char *doctor_format(char *buf, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(buf, size, format, args);
	va_end(args);
	return buf;
}

int doctor_number(const char *path, long *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	return fscanf(f, "%ld", ret) == 1 ? 0 : -EINVAL;
}

bool doctor_kernel_is_at_least(unsigned major, unsigned minor)
{
	unsigned is_major = 0, is_minor = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &is_major, &is_minor) == 2 &&
	       (is_major > major || (is_major == major && is_minor >= minor));
}

bool doctor_has_capability(int pid, unsigned capability)
{
	unsigned long long effective = 0;
	_cleanup_fclose_ FILE *f = NULL;
	char text[256];

	if (pid)
		snprintf(text, sizeof(text), "/proc/%d/status", pid);
	else
		strcpy(text, "/proc/thread-self/status");
	f = fopen(text, "re");
	while (f && fgets(text, sizeof(text), f))
		if (sscanf(text, "CapEff: %llx", &effective) == 1)
			break;
	return effective >> capability & 1;
}

int doctor_agent_pid(const struct doctor *d)
{
	return (int)json_integer_value(json_object_get(d->subject->status, "pid"));
}

struct doctor_nic *doctor_nic_by_index(struct doctor *d, unsigned ifindex)
{
	for (size_t i = 0; i < d->nics.count; i++)
		if (d->nics.items[i].device.ifindex == ifindex)
			return &d->nics.items[i];
	return NULL;
}

const char *doctor_server_name(char buf[static DOCTOR_WHERE_MAX], const struct model_backend *b,
			       const struct model_server *s)
{
	snprintf(buf, DOCTOR_WHERE_MAX, "%.*s/%.*s", MODEL_NAME_MAX, b->name, MODEL_NAME_MAX, s->name);
	return buf;
}

/* ---- which interfaces ---- */

static int add_nic(struct doctor *d, const char *name)
{
	struct doctor_nic n = {};
	struct doctor_nic *to;
	int r = device_read(d->devices, name, &n.device);

	if (r < 0)
		return r;
	if (doctor_nic_by_index(d, n.device.ifindex))
		return 0;
	to = vec_push(&d->nics);
	if (!to)
		return -ENOMEM;
	if (n.device.peer_ifindex && devices_open_peer(d->devices, &n.device, &n.there) == 0)
		device_read_index(n.there, n.device.peer_ifindex, &n.peer);
	*to = n;
	return 0;
}

/* An interface that is named, but not there. */
static void say_absent(struct doctor *d, const char *name, const char *by)
{
	d->check = "link";
	doctor_say(d, DOCTOR_FAIL, name, "`ip link` shows those there are", "%s names it, but there is no such interface",
		   by);
}

static bool is_bound(const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->services.count; i++) {
		const struct model_service *s = &m->services.items[i];

		if (s->any_addr ? s->addr.family == addr->family : addr_equal(&s->addr, addr))
			return true;
	}
	return false;
}

static bool add_owner(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx)
{
	struct doctor *d = ctx;
	const struct net_interface *n = net_interface_by_index(d->net, ifindex);

	if (n && n->ethernet && (!d->subject->model || is_bound(d->subject->model, a)))
		add_nic(d, n->name);
	return true;
}

/* The one that was asked about; else the agent's; else the configuration's; else those that own its addresses. */
static int choose_nics(struct doctor *d)
{
	const struct doctor_subject *s = d->subject;
	const json_t *list = json_object_get(s->interfaces, "interfaces"), *item;
	size_t i;

	if (s->interface)
		return add_nic(d, s->interface);
	json_array_foreach(list, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));

		if (name && add_nic(d, name) == -ENODEV)
			say_absent(d, name, "the agent");
	}
	if (s->model && !s->status)
		for (i = 0; i < s->model->global.interfaces.count; i++) {
			const char *name = s->model->global.interfaces.items[i].name;

			if (add_nic(d, name) == -ENODEV)
				say_absent(d, name, "the configuration");
		}
	if (!d->nics.count)
		net_addresses(d->net, 0, add_owner, d);
	return 0;
}

/* What the mode of an interface is, or would be. */
static void judge_mode(struct doctor *d, struct doctor_nic *n)
{
	const json_t *list = json_object_get(d->subject->interfaces, "interfaces"), *item;
	const struct model *m = d->subject->model;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *mode = json_string_value(json_object_get(item, "mode"));

		if (name && mode && strcmp(name, n->device.name) == 0 && strcmp(mode, "detached") != 0) {
			n->ours = true;
			n->shared = strcmp(mode, "shared") == 0;
		}
	}
	if (n->device.xdp != DEVICE_XDP_NONE) {
		n->generic = n->device.xdp == DEVICE_XDP_GENERIC;
		return;
	}
	n->generic = n->device.features_known && !(n->device.features & DEVICE_XDP_BASIC);
	for (i = 0; m && i < m->global.interfaces.count; i++)
		if (strcmp(m->global.interfaces.items[i].name, n->device.name) == 0 &&
		    m->global.interfaces.items[i].mode == MODEL_XDP_GENERIC)
			n->generic = true;
}

/* ---- the ways to the servers ---- */

static bool is_settled(struct doctor *d)
{
	const struct model *m = d->subject->model;
	struct net_hop hop;

	for (size_t b = 0; m && b < m->backends.count; b++)
		for (size_t s = 0; s < m->backends.items[b].servers.count; s++)
			if (net_hop(d->net, &m->backends.items[b].servers.items[s].at.addr, &hop) &&
			    (hop.state == NET_HOP_UNKNOWN || hop.state == NET_HOP_UNRESOLVED))
				return false;
	return true;
}

static void on_hop(const struct addr *destination, const struct net_hop *hop, void *ctx)
{
	struct doctor *d = ctx;

	if (is_settled(d))
		event_base_loopbreak(d->base);
}

/* Has every server's neighbour asked for, and waits for the answers. */
static void ask_neighbours(struct doctor *d)
{
	const struct timeval limit = { .tv_sec = DOCTOR_NEIGHBOURS_MS / 1000, .tv_usec = DOCTOR_NEIGHBOURS_MS % 1000 * 1000 };
	const struct model *m = d->subject->model;
	size_t watched = 0;

	for (size_t b = 0; m && b < m->backends.count; b++)
		for (size_t s = 0; s < m->backends.items[b].servers.count; s++)
			watched += net_watch(d->net, &m->backends.items[b].servers.items[s].at.addr) == 0;
	if (!watched)
		return;
	event_base_loopexit(d->base, &limit);
	event_base_dispatch(d->base);
}

static int prepare(struct doctor *d)
{
	const struct net_ops ops = { .on_hop = on_hop, .ctx = d };
	int r = devices_open(&d->devices);

	if (r < 0)
		return r;
	d->base = loop_new();
	r = d->base ? net_new(d->base, &ops, &d->net) : -ENOMEM;
	if (r == 0)
		r = choose_nics(d);
	for (size_t i = 0; i < d->nics.count; i++)
		judge_mode(d, &d->nics.items[i]);
	if (r == 0)
		ask_neighbours(d);
	return r;
}

static void done(struct doctor *d)
{
	for (size_t i = 0; i < d->nics.count; i++)
		devices_close(d->nics.items[i].there);
	vec_done(&d->nics);
	net_free(d->net);
	if (d->base)
		event_base_free(d->base);
	devices_close(d->devices);
}

int doctor_examine(const struct doctor_subject *s, struct doctor_report *ret)
{
	struct doctor_report report = {};
	struct doctor d = { .subject = s, .report = &report };
	int r = prepare(&d);

	for (size_t i = 0; r == 0 && i < array_size(before); i++) {
		d.check = before[i].name;
		before[i].ask(&d);
	}
	for (size_t n = 0; r == 0 && n < d.nics.count; n++)
		for (size_t i = 0; i < array_size(of_nics); i++) {
			d.check = of_nics[i].name;
			of_nics[i].ask(&d, &d.nics.items[n]);
		}
	for (size_t i = 0; r == 0 && i < array_size(after); i++) {
		d.check = after[i].name;
		after[i].ask(&d);
	}
	done(&d);
	if (r == 0 && d.failed)
		r = -ENOMEM;
	if (r < 0)
		doctor_report_done(&report);
	else
		*ret = report;
	return r;
}

void doctor_report_done(struct doctor_report *r)
{
	vec_done(&r->findings);
}
