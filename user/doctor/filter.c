/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's packet filter, as the kernel tells it (nf_tables over netlink, /proc for the older iptables): what is steered
 * passes all of it by, which surprises people. Called by the table of doctor.c.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "doctor/internal.h"

enum {
	FILTER_BUFFER = 64 * 1024,
	FILTER_ANSWER_S = 2,
	FILTER_NEARLY_FULL = 80, /* percent */
	FILTER_SAID_MAX = 16,    /* rules that are named; further ones are not */
};

struct rules {
	struct doctor *doctor;
	unsigned tracking;       /* rules for which connections are tracked */
	unsigned said;
	char table[64], chain[64]; /* of the first one that tracks */
};

static const char *text_of(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(a) : "";
}

/* The attribute of this type in a nest, or NULL. */
static const struct nlattr *inner(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *a;

	if (!nest || mnl_attr_validate(nest, MNL_TYPE_NESTED) < 0)
		return NULL;
	mnl_attr_for_each_nested(a, nest)
		if (mnl_attr_get_type(a) == type)
			return a;
	return NULL;
}

static bool is_any_of(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

/* An expression that has the kernel track connections: nftables' own, or an extension of iptables-nft. */
static bool is_tracking(const char *name, const struct nlattr *data)
{
	static const char *const own[] = { "ct", "nat", "masq", "redir", "synproxy", "flow_offload" };
	static const char *const matches[] = { "conntrack", "state", "connlimit", "connmark", "helper" };
	static const char *const targets[] = { "MASQUERADE", "SNAT", "DNAT", "REDIRECT", "CONNMARK" };

	if (strcmp(name, "match") == 0)
		return is_any_of(text_of(inner(data, NFTA_MATCH_NAME)), matches, array_size(matches));
	if (strcmp(name, "target") == 0)
		return is_any_of(text_of(inner(data, NFTA_TARGET_NAME)), targets, array_size(targets));
	return is_any_of(name, own, array_size(own));
}

/* The service whose address or port a comparison names; NULL = none. */
static const struct model_service *named_service(const struct model *m, const struct nlattr *data)
{
	const struct nlattr *value = inner(inner(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);
	const uint8_t *bytes = value ? mnl_attr_get_payload(value) : NULL;
	const size_t length = value ? mnl_attr_get_payload_len(value) : 0;

	for (size_t i = 0; m && i < m->services.count; i++) {
		const struct model_service *s = &m->services.items[i];

		if (length == 2 && s->port_low <= (bytes[0] << 8 | bytes[1]) && (bytes[0] << 8 | bytes[1]) <= s->port_high)
			return s;
		if (!s->any_addr && length == (s->addr.family == AF_INET ? 4 : 16) && memcmp(bytes, s->addr.bytes, length) == 0)
			return s;
	}
	return NULL;
}

static void take_rule(const struct nlmsghdr *m, struct rules *r)
{
	const struct nlattr *a, *table = NULL, *chain = NULL, *expressions = NULL, *e;
	const struct model_service *service = NULL;
	bool tracks = false;

	mnl_attr_for_each(a, m, sizeof(struct nfgenmsg)) {
		table = mnl_attr_get_type(a) == NFTA_RULE_TABLE ? a : table;
		chain = mnl_attr_get_type(a) == NFTA_RULE_CHAIN ? a : chain;
		expressions = mnl_attr_get_type(a) == NFTA_RULE_EXPRESSIONS ? a : expressions;
	}
	if (!expressions || mnl_attr_validate(expressions, MNL_TYPE_NESTED) < 0)
		return;
	mnl_attr_for_each_nested(e, expressions) {
		const char *name = text_of(inner(e, NFTA_EXPR_NAME));
		const struct nlattr *data = inner(e, NFTA_EXPR_DATA);

		tracks = tracks || is_tracking(name, data);
		if (!service && strcmp(name, "cmp") == 0)
			service = named_service(r->doctor->subject->model, data);
	}
	if (tracks && !r->tracking++) {
		snprintf(r->table, sizeof(r->table), "%.63s", text_of(table));
		snprintf(r->chain, sizeof(r->chain), "%.63s", text_of(chain));
	}
	/* Where rules are counted only (doctor_conntrack()), none is named. */
	if (service && r->doctor->check && strcmp(r->doctor->check, "filter") == 0 && r->said++ < FILTER_SAID_MAX)
		doctor_say(r->doctor, DOCTOR_WARN, service->name, "filter in front of the balancer, or on the servers",
			   "a rule in table %.63s, chain %.63s names its port or address, and never sees what is steered",
			   text_of(table), text_of(chain));
}

/* Walks all rules of nf_tables. 0 or -errno. */
static int walk_rules(struct rules *r)
{
	_Alignas(struct nlmsghdr) static char buffer[FILTER_BUFFER];
	const struct timeval limit = { .tv_sec = FILTER_ANSWER_S };
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct nlmsghdr *m = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(m, sizeof(*g));
	bool more = true;
	ssize_t n = 0;

	if (!s)
		return -errno;
	m->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m->nlmsg_seq = 1;
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(s, m, m->nlmsg_len) < 0)
		n = -1;
	while (n >= 0 && more) {
		int left;

		n = mnl_socket_recvfrom(s, buffer, sizeof(buffer));
		left = (int)n;
		for (m = (struct nlmsghdr *)buffer; n > 0 && more && mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR)
				more = false;
			else if (mnl_nlmsg_get_payload_len(m) >= sizeof(struct nfgenmsg))
				take_rule(m, r);
		}
		more = more && n > 0;
	}
	if (n < 0)
		n = -errno;
	mnl_socket_close(s);
	return n < 0 ? (int)n : 0;
}

/* iptables as it was: a namespace that uses its nat table tracks connections. */
static bool has_old_nat(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/net/ip_tables_names", "re");
	char line[64];

	while (f && fgets(line, sizeof(line), f))
		if (strcmp(line, "nat\n") == 0)
			return true;
	return false;
}

void doctor_conntrack(struct doctor *d)
{
	struct rules r = { .doctor = d };
	long count = 0, max = 0;
	const char *old = "";

	if (doctor_number("/proc/sys/net/netfilter/nf_conntrack_count", &count) < 0 ||
	    doctor_number("/proc/sys/net/netfilter/nf_conntrack_max", &max) < 0) {
		doctor_say(d, DOCTOR_OK, "host", "", "nf_conntrack is not loaded");
		return;
	}
	walk_rules(&r);
	if (has_old_nat())
		old = r.tracking++ ? "" : "iptables' table nat is in use";
	if (max > 0 && count * 100 / max >= FILTER_NEARLY_FULL)
		doctor_say(d, DOCTOR_WARN, "host", doctor_remedy("sysctl -w net.netfilter.nf_conntrack_max=%ld", max * 2),
			   "%ld of %ld tracked connections: once they are full the host drops new ones of its own, checks among them",
			   count, max);
	else if (!r.tracking)
		doctor_say(d, DOCTOR_OK, "host", "", "no rule of the packet filter tracks connections");
	else if (*old)
		doctor_say(d, DOCTOR_NOTE, "host", "none needed; translate addresses of services with alwaysond alone",
			   "%s: what is steered passes it by, checks do not", old);
	else
		doctor_say(d, DOCTOR_NOTE, "host", "none needed; translate addresses of services with alwaysond alone",
			   "%u rules track connections (the first in table %s, chain %s): what is steered passes them by, checks "
			   "do not", r.tracking, r.table, r.chain);
}

void doctor_filter(struct doctor *d)
{
	struct rules r = { .doctor = d };

	if (d->subject->model && walk_rules(&r) == 0 && !r.said)
		doctor_say(d, DOCTOR_OK, "host", "", "no rule of nf_tables names a service");
}
