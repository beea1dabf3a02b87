/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "agent/agent.h"
#include "agent/probing.h"
#include "agent/shared.h"
#include "agent/vlan.h"

struct agent_interface *interfaces_find(struct agent *a, const char *name)
{
	for (size_t i = 0; i < a->interfaces.count; i++)
		if (strcmp(a->interfaces.items[i].name, name) == 0)
			return &a->interfaces.items[i];
	return NULL;
}

static struct agent_interface *add(struct agent *a, const char *name, enum model_xdp_mode mode)
{
	struct agent_interface *i = interfaces_find(a, name);

	if (!i) {
		i = vec_push(&a->interfaces);
		if (!i)
			return NULL;
		snprintf(i->name, sizeof(i->name), "%s", name);
		i->priority = MODEL_XDP_PRIORITY;
	}
	i->mode = mode;
	i->wanted = true;
	return i;
}

/* What the file brought once and has no longer goes; what `alwayson load` brought stays. */
static void forget_unconfigured(struct agent *a)
{
	for (size_t i = 0; i < a->interfaces.count;) {
		struct agent_interface *in = &a->interfaces.items[i];

		if (in->from_file && !in->configured)
			*in = a->interfaces.items[--a->interfaces.count];
		else
			i++;
	}
}

int interfaces_configure(struct agent *a)
{
	for (size_t i = 0; i < a->interfaces.count; i++)
		a->interfaces.items[i].configured = a->interfaces.items[i].kept_alone = a->interfaces.items[i].told_unshared = false;
	for (size_t i = 0; i < a->options->interface_count; i++) {
		struct agent_interface *new = add(a, a->options->interfaces[i], MODEL_XDP_AUTO);

		if (!new)
			return -ENOMEM;
		new->configured = new->from_file = true;
	}
	for (size_t i = 0; i < a->model->global.interfaces.count; i++) {
		const struct model_interface *m = &a->model->global.interfaces.items[i];
		struct agent_interface *new = add(a, m->name, m->mode);

		if (!new)
			return -ENOMEM;
		new->configured = new->from_file = true;
		new->priority = m->priority;
	}
	forget_unconfigured(a);
	return 0;
}

static const struct dataplane_attachment *attachment(struct agent *a, const char *name)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	return NULL;
}

const struct net_interface *interfaces_nic(struct agent *a, const struct agent_interface *i)
{
	const struct dataplane_attachment *at = attachment(a, i->name);

	return at ? net_interface_by_index(a->net, at->ifindex) : net_interface_by_name(a->net, i->name);
}

/*
 * The NIC has another name than we know it by. Where that one is configured, it is the one; else it is steered on as
 * before, for somebody's mistake is no reason to end connections, and that is said once.
 */
static void follow_name(struct agent *a, const struct dataplane_attachment *at, const struct net_interface *n)
{
	struct agent_interface *i = interfaces_find(a, at->name), *now = interfaces_find(a, n->name);

	if (now && now->wanted) {
		dataplane_rename(a->dataplane, at->ifindex, n->name);
	} else if (i && i->wanted && strcmp(i->renamed, n->name)) {
		snprintf(i->renamed, sizeof(i->renamed), "%s", n->name);
		log_event(a->log, LOG_WARNING, "interface_renamed", "interface=%s now=%s text=%s", i->name, n->name,
			  log_quoted("packets are steered there as before; a start needs the name in the configuration"));
	}
}

static bool ought_to_change(const struct agent_interface *i, const struct dataplane_attachment *at)
{
	const bool shared = i->mode == MODEL_XDP_SHARED;

	return at->shared != shared || (shared && at->priority_known && at->priority != i->priority);
}

/*
 * It is attached in one way and ought to be in another, and that is possible: libxdp can be asked (shared.h), and will not
 * refuse what it would be let go for.
 */
static bool is_to_change(struct agent *a, const struct agent_interface *i, const struct dataplane_attachment *at)
{
	if (i->kept_alone || !ought_to_change(i, at))
		return false;
	return i->mode == MODEL_XDP_SHARED ? !dataplane_sharing_refused(a->dataplane) : dataplane_sharing(a->dataplane) >= 0;
}

/* One attached NIC's fate: still the same NIC, and wanted? Its name may have gone to another. */
static bool is_to_stay(struct agent *a, const struct dataplane_attachment *at)
{
	const struct net_interface *n = net_interface_by_index(a->net, at->ifindex);
	const struct net_interface *named = net_interface_by_name(a->net, at->name);
	struct agent_interface *i = interfaces_find(a, at->name);

	return n && i && i->wanted && !is_to_change(a, i, at) && (!named || named->ifindex == at->ifindex);
}

/*
 * Another tool can take our entry out of libxdp's dispatcher, or the dispatcher off the NIC. As the configuration says that
 * packets are steered there, the entry is added anew; `alwayson unload` is the way to end it.
 */
static void notice_removed(struct agent *a)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++) {
		if (!net_interface_by_index(a->net, all[i].ifindex) || dataplane_holds(a->dataplane, &all[i]))
			continue;
		log_event(a->log, LOG_WARNING, "taken_away", "interface=%s text=%s", all[i].name,
			  log_quoted("another program has taken us out of libxdp's dispatcher"));
		dataplane_detach(a->dataplane, all[i].ifindex);
		count = dataplane_attachments(a->dataplane, &all);
		i = -1;
	}
}

static void follow_names(struct agent *a)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++) {
		const struct net_interface *n = net_interface_by_index(a->net, all[i].ifindex);
		struct agent_interface *in = interfaces_find(a, all[i].name);

		if (n && strcmp(n->name, all[i].name))
			follow_name(a, &all[i], n);
		else if (n && in)
			in->renamed[0] = '\0';
	}
}

/* Ports of a bond that is let go, and of no other that is steered on. */
static bool give_port_back(const struct net_interface *n, void *ctx)
{
	const struct dataplane_attachment *all;
	struct agent *a = ctx;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++)
		if (all[i].ifindex == n->bond)
			return true;
	if (n->bond)
		vlan_give_back(a, n->ifindex);
	return true;
}

static void leave_unwanted(struct agent *a)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++) {
		struct agent_interface *in = interfaces_find(a, all[i].name);
		unsigned ifindex = all[i].ifindex;

		if (is_to_stay(a, &all[i]))
			continue;
		log_event(a->log, LOG_NOTICE, "detached", "interface=%s", all[i].name);
		if (in)
			in->let_go = !all[i].shared && in->wanted && in->mode == MODEL_XDP_SHARED;
		dataplane_detach(a->dataplane, ifindex);
		vlan_give_back(a, ifindex);
		net_interfaces(a->net, give_port_back, a);
		count = dataplane_attachments(a->dataplane, &all);
		i = -1;
	}
}

/*
 * Frames are redirected only between NICs that run the program in one mode: once one of them can do generic only, all do.
 */
static bool must_be_generic(struct agent *a)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++)
		if (!all[i].native)
			return true;
	return false;
}

static void note_attached(struct agent *a, unsigned ifindex, const char *name)
{
	log_event(a->log, LOG_NOTICE, "attached", "interface=%s mode=%s", name, dataplane_mode_name(attachment(a, name)));
	vlan_keep_tags(a, ifindex, name);
}

/* -EINPROGRESS: libxdp is asked, and answers later. */
static int try_to_attach(struct agent *a, const struct agent_interface *i, const struct net_interface *n,
			 char error[DATAPLANE_ERROR_MAX])
{
	enum model_xdp_mode mode = i->mode == MODEL_XDP_AUTO && must_be_generic(a) ? MODEL_XDP_GENERIC : i->mode;
	int r;

	if (mode != MODEL_XDP_SHARED)
		return dataplane_attach(a->dataplane, n->ifindex, i->name, mode, error);
	r = dataplane_share(a->dataplane, n->ifindex, i->name, i->priority, error);
	return r < 0 ? r : -EINPROGRESS;
}

/* What fails is counted, and tried again with the next change. */
static int attach(struct agent *a, const struct agent_interface *i, const struct net_interface *n,
		  char error[DATAPLANE_ERROR_MAX])
{
	int r = try_to_attach(a, i, n, error);

	if (r == 0)
		note_attached(a, n->ifindex, i->name);
	else if (r != -EINPROGRESS)
		a->attach_failures++;
	return r;
}

/* It was steered on before it was let go for libxdp's dispatcher: better alone than not at all. */
static void attach_alone(struct agent *a, struct agent_interface *i, unsigned ifindex)
{
	char error[DATAPLANE_ERROR_MAX];

	i->kept_alone = i->told_unshared = true;
	if (dataplane_attach(a->dataplane, ifindex, i->name, must_be_generic(a) ? MODEL_XDP_GENERIC : MODEL_XDP_AUTO, error) == 0)
		note_attached(a, ifindex, i->name);
	else
		agent_attach_failed(a, error);
}

void interfaces_heard(struct agent *a, const struct dataplane_heard *h)
{
	struct agent_interface *i = interfaces_find(a, h->name);
	const bool let_go = i && h->add && i->let_go && i->wanted && i->mode == MODEL_XDP_SHARED;

	if (h->add && h->r == 0)
		note_attached(a, h->ifindex, h->name);
	if (i && h->add)
		i->let_go = false;
	if (h->r == 0)
		return;
	if (i)
		i->refused = h->add;
	if (h->add) {
		a->attach_failures++;
		agent_attach_failed(a, h->error);
		if (let_go)
			attach_alone(a, i, h->ifindex);
	} else {
		log_event(a->log, LOG_WARNING, "detach_failed", "interface=%s error=%s", h->name, log_quoted(h->error));
	}
}

static bool add_port(const struct net_interface *n, void *ctx)
{
	const struct dataplane_port port = { .ifindex = n->ifindex, .bond = n->bond };
	struct agent *a = ctx;
	int r = n->bond ? dataplane_add_port(a->dataplane, &port) : 0;

	if (r > 0)
		vlan_keep_tags(a, n->ifindex, n->name);
	else if (r < 0 && r != -ENOENT)
		log_event(a->log, LOG_WARNING, "port_unknown", "interface=%s error=%s text=%s", n->name,
			  log_quoted(strerror(-r)),
			  log_quoted("a port of a bond: what should go back by the way that its frames came is dropped"));
	return true;
}

static bool collect_port(const struct net_interface *n, void *ctx)
{
	struct interfaces_ports *all = ctx;
	struct dataplane_port *new = n->bond ? vec_push(all) : NULL;

	if (new)
		*new = (struct dataplane_port){ .ifindex = n->ifindex, .bond = n->bond };
	return true;
}

void interfaces_ports(const struct net *n, struct interfaces_ports *ret)
{
	net_interfaces(n, collect_port, ret);
}

/* Natively attached ones that a generic one among them forbids. */
static void unify_modes(struct agent *a)
{
	char error[DATAPLANE_ERROR_MAX];

	if (!must_be_generic(a))
		return;
	for (size_t i = 0; i < a->interfaces.count; i++) {
		const struct dataplane_attachment *at = attachment(a, a->interfaces.items[i].name);
		const struct net_interface *n = net_interface_by_name(a->net, a->interfaces.items[i].name);

		if (!at || !n || !at->native || a->interfaces.items[i].mode != MODEL_XDP_AUTO)
			continue;
		dataplane_detach(a->dataplane, at->ifindex);
		if (attach(a, &a->interfaces.items[i], n, error) < 0)
			agent_attach_failed(a, error);
	}
}

/* The first failure is told: the others are likely to be of the same cause. */
static void attach_wanted(struct agent *a)
{
	char first[DATAPLANE_ERROR_MAX] = "", error[DATAPLANE_ERROR_MAX];

	for (size_t i = 0; i < a->interfaces.count; i++) {
		const struct agent_interface *in = &a->interfaces.items[i];
		const struct net_interface *n = net_interface_by_name(a->net, in->name);
		int r;

		if (!in->wanted || in->refused || !n || attachment(a, in->name))
			continue;
		r = attach(a, in, n, error);
		if (r < 0 && r != -EINPROGRESS && !first[0])
			snprintf(first, sizeof(first), "%s", error);
	}
	if (first[0])
		agent_attach_failed(a, first);
}

/* What libxdp would not take stays as it is: that is told, once for each configuration, and counted. */
static void tell_unshared(struct agent *a)
{
	const char *why = dataplane_sharing_refused(a->dataplane);
	char text[DATAPLANE_ERROR_MAX];

	for (size_t i = 0; why && i < a->interfaces.count; i++) {
		struct agent_interface *in = &a->interfaces.items[i];
		const struct dataplane_attachment *at = attachment(a, in->name);

		if (!at || !in->wanted || in->told_unshared || in->mode != MODEL_XDP_SHARED || !ought_to_change(in, at))
			continue;
		in->told_unshared = true;
		snprintf(text, sizeof(text), "%s: packets are steered as before (%s), for %.400s", in->name,
			 dataplane_mode_name(at), why);
		a->attach_failures++;
		agent_attach_failed(a, text);
	}
}

void interfaces_go_on(struct agent *a)
{
	notice_removed(a);
	follow_names(a);
	leave_unwanted(a);
	attach_wanted(a);
	tell_unshared(a);
	unify_modes(a);
	net_interfaces(a->net, add_port, a);
	probing_follow(a);
	shared_expect(a->shared);
}

void interfaces_apply(struct agent *a)
{
	for (size_t i = 0; i < a->interfaces.count; i++)
		a->interfaces.items[i].refused = false;
	interfaces_go_on(a);
}

/*
 * An agent that takes over may do without a NIC that has gone, as the one before it did: but only where all that are
 * steered on are known, so that none which has another name now is let go.
 */
static bool may_be_missing(struct agent *a)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++)
		if (!interfaces_find(a, all[i].name))
			return false;
	return count > 0;
}

/* Can it be steered on, if anything comes by it? A port of a bond may be on its way to be one: what is attached stays. */
static int check_kind(struct agent *a, const struct net_interface *n, char error[AGENT_ERROR_MAX])
{
	const struct net_interface *bond = n->bond ? net_interface_by_index(a->net, n->bond) : NULL;

	if (!n->ethernet) {
		snprintf(error, AGENT_ERROR_MAX, "%s: not an Ethernet device; frames can't be steered there", n->name);
		return -EINVAL;
	}
	if (bond && !attachment(a, n->name)) {
		snprintf(error, AGENT_ERROR_MAX, "%s: a port of %s: addresses and routes are that one's; steer on %s", n->name,
			 bond->name, bond->name);
		return -EINVAL;
	}
	return 0;
}

int interfaces_check(struct agent *a, char error[AGENT_ERROR_MAX])
{
	for (size_t i = 0; i < a->interfaces.count; i++) {
		const struct agent_interface *in = &a->interfaces.items[i];
		const struct net_interface *n = net_interface_by_name(a->net, in->name);
		int r;

		if (!n && may_be_missing(a)) {
			log_event(a->log, LOG_WARNING, "interface_missing", "interface=%s text=%s", in->name,
				  log_quoted("it was there once; when it comes back, packets are steered there"));
			continue;
		}
		if (!n) {
			snprintf(error, AGENT_ERROR_MAX, "%s: there is no such interface (ip link shows those there are)",
				 in->name);
			return -ENODEV;
		}
		r = check_kind(a, n, error);
		if (r < 0)
			return r;
		r = dataplane_check(a->dataplane, n->ifindex, in->name, in->mode, error);
		if (r < 0)
			return r;
	}
	return 0;
}

int interfaces_load(struct agent *a, const char *name, enum model_xdp_mode mode, char error[AGENT_ERROR_MAX])
{
	const struct net_interface *n = net_interface_by_name(a->net, name);
	struct agent_interface before = {}, *i = interfaces_find(a, name);
	int r;

	if (!n) {
		snprintf(error, AGENT_ERROR_MAX, "%s: there is no such interface", name);
		return -ENODEV;
	}
	r = check_kind(a, n, error);
	if (r < 0)
		return r;
	if (i)
		before = *i;
	else if (a->interfaces.count >= MODEL_INTERFACES_MAX) {
		snprintf(error, AGENT_ERROR_MAX, "%s: there are %d interfaces already", name, MODEL_INTERFACES_MAX);
		return -ENOSPC;
	}
	i = add(a, name, mode);
	if (!i) {
		snprintf(error, AGENT_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	r = attach(a, i, n, error);
	if (r < 0 && r != -EINPROGRESS) {
		if (before.name[0])
			*i = before;
		else
			*i = a->interfaces.items[--a->interfaces.count];
		return r;
	}
	interfaces_apply(a);
	return r;
}

struct suggestion {
	const struct net *net;
	const struct model *model;
	char *text;
	size_t size;
};

static bool is_bound(const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->services.count; i++) {
		const struct model_service *s = &m->services.items[i];

		if (s->any_addr ? s->addr.family == addr->family : addr_equal(&s->addr, addr))
			return true;
	}
	return false;
}

static bool visit(const struct addr *addr, unsigned ifindex, unsigned prefix, void *ctx)
{
	struct suggestion *s = ctx;
	const struct net_interface *n = net_interface_by_index(s->net, ifindex);
	size_t length = strlen(s->text);
	char word[32];

	if (!n || !n->ethernet || !is_bound(s->model, addr))
		return true;
	snprintf(word, sizeof(word), " -i %s", n->name);
	if (!strstr(s->text, word))
		snprintf(s->text + length, s->size - length, "%s", word);
	return true;
}

void interfaces_suggest(const struct net *n, const struct model *m, char *text, size_t size)
{
	struct suggestion s = { n, m, text, size };

	text[0] = '\0';
	net_addresses(n, 0, visit, &s);
}

static const char *const mode_words[] = {
	[MODEL_XDP_AUTO] = "auto", [MODEL_XDP_NATIVE] = "native", [MODEL_XDP_GENERIC] = "generic",
	[MODEL_XDP_SHARED] = "shared",
};

json_t *interfaces_save(const struct agent *a)
{
	json_t *all = json_array();

	for (size_t i = 0; i < a->interfaces.count; i++) {
		const struct agent_interface *in = &a->interfaces.items[i];

		if ((in->configured && in->wanted) || (size_t)in->mode >= sizeof(mode_words) / sizeof(mode_words[0]) ||
		    !mode_words[in->mode])
			continue;
		if (json_array_append_new(all, json_pack("{s:s, s:s, s:b}", "name", in->name, "mode", mode_words[in->mode],
							 "wanted", in->wanted)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

void interfaces_restore(struct agent *a, const json_t *from)
{
	json_t *entry;
	size_t n;

	json_array_foreach((json_t *)from, n, entry) {
		const char *name, *mode;
		struct agent_interface *in;
		int wanted;

		if (json_unpack(entry, "{s:s, s:s, s:b}", "name", &name, "mode", &mode, "wanted", &wanted) < 0 ||
		    !*name || strlen(name) >= sizeof(in->name))
			continue;
		in = interfaces_find(a, name);
		for (size_t i = 0; !in && wanted && i < sizeof(mode_words) / sizeof(mode_words[0]); i++)
			if (mode_words[i] && strcmp(mode_words[i], mode) == 0 && a->interfaces.count < MODEL_INTERFACES_MAX)
				in = add(a, name, (enum model_xdp_mode)i);
		if (in)
			in->wanted = wanted;
	}
}
