/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What else on this host uses ports: its listeners, by sock_diag or /proc/net, and the range of its own connections.
 * Called by the agent at start and reload, not from the loop in between: it
 * blocks for as long as the kernel's dump takes.
 */
#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "net/listeners.h"

/* The kernel's socket states. */
enum { STATE_CLOSE = 7, STATE_LISTEN = 10 };
enum { DIAG_TIMEOUT_S = 2, DIAG_BUFFER = 32 * 1024 };

static const struct {
	uint8_t family;
	bool udp;
	const char *file;
} kinds[] = {
	{ AF_INET, false, "tcp" },
	{ AF_INET6, false, "tcp6" },
	{ AF_INET, true, "udp" },
	{ AF_INET6, true, "udp6" },
};

static struct addr addr_from_raw(uint8_t family, const void *bytes)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct addr a = { .family = family };

	if (family == AF_INET6 && !memcmp(bytes, mapped, sizeof(mapped))) {
		a.family = AF_INET;
		memcpy(a.bytes, (const char *)bytes + sizeof(mapped), 4);
		return a;
	}
	memcpy(a.bytes, bytes, family == AF_INET ? 4 : 16);
	return a;
}

static bool report(const struct endpoint *at, bool udp, bool dual_stack, struct listeners_visitor *v)
{
	struct endpoint v4 = { .addr = { .family = AF_INET }, .port = at->port };

	if (!at->port)
		return true;
	if (!v->visit(at, udp, v->ctx))
		return false;
	if (at->addr.family == AF_INET6 && addr_is_unspecified(&at->addr) && dual_stack)
		return v->visit(&v4, udp, v->ctx);
	return true;
}

int listeners_read_diag(const struct nlmsghdr *m, bool udp, struct listeners_visitor *v)
{
	const struct inet_diag_msg *info = mnl_nlmsg_get_payload(m);
	const struct nlattr *attr;
	bool dual_stack = true;
	struct endpoint at;
	size_t length;

	if (m->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*info))
		return -EBADMSG;
	if (info->idiag_family != AF_INET && info->idiag_family != AF_INET6)
		return 0;
	length = m->nlmsg_len - MNL_NLMSG_HDRLEN;
	for (size_t pos = MNL_ALIGN(sizeof(*info)); pos < length; pos += MNL_ALIGN(attr->nla_len)) {
		attr = (const struct nlattr *)((const char *)info + pos);
		if (!mnl_attr_ok(attr, length - pos))
			return -EBADMSG;
		if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY && mnl_attr_get_payload_len(attr) >= 1)
			dual_stack = !mnl_attr_get_u8(attr);
	}
	at.addr = addr_from_raw(info->idiag_family, info->id.idiag_src);
	at.port = ntohs(info->id.idiag_sport);
	v->stopped = !report(&at, udp, dual_stack, v);
	return 0;
}

/* Handles one datagram of a dump. 1 = more to come, 0 = the end, or -errno. */
static int diag_datagram(const char *buf, int left, uint32_t seq, bool udp, struct listeners_visitor *v)
{
	int err;

	for (const struct nlmsghdr *m = (const struct nlmsghdr *)buf; mnl_nlmsg_ok(m, left);
	     m = mnl_nlmsg_next(m, &left)) {
		if (m->nlmsg_seq != seq)
			continue;
		if (m->nlmsg_type == NLMSG_DONE)
			return 0;
		if (m->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

			return m->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(e->error) || e->error >= 0 ? -EBADMSG : e->error;
		}
		err = v->stopped ? 0 : listeners_read_diag(m, udp, v);
		if (err)
			return err;
	}
	return 1;
}

static int diag_dump(struct mnl_socket *socket, uint32_t seq, uint8_t family, bool udp, struct listeners_visitor *v)
{
	_Alignas(struct nlmsghdr) char request[128];
	struct nlmsghdr *m = mnl_nlmsg_put_header(request);
	struct inet_diag_req_v2 *info;
	_cleanup_free_ char *buf = malloc(DIAG_BUFFER);
	int more = 1;

	if (!buf)
		return -ENOMEM;
	m->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m->nlmsg_seq = seq;
	info = mnl_nlmsg_put_extra_header(m, sizeof(*info));
	info->sdiag_family = family;
	info->sdiag_protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
	/* A connected UDP socket answers one peer only, and stands in nobody's way. */
	info->idiag_states = 1u << (udp ? STATE_CLOSE : STATE_LISTEN);
	if (mnl_socket_sendto(socket, request, m->nlmsg_len) < 0)
		return -errno;
	while (more > 0) {
		ssize_t length = mnl_socket_recvfrom(socket, buf, DIAG_BUFFER);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		more = diag_datagram(buf, length, seq, udp, v);
	}
	return more;
}

static int listeners_from_diag(struct listeners_visitor *v)
{
	struct timeval patience = { .tv_sec = DIAG_TIMEOUT_S };
	struct mnl_socket *socket;
	int err = 0;

	socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) ||
	    setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		err = -errno;
	for (size_t i = 0; i < array_size(kinds) && !err && !v->stopped; i++)
		err = diag_dump(socket, i + 1, kinds[i].family, kinds[i].udp, v);
	mnl_socket_close(socket);
	return err;
}

int listeners_read_proc(const char *line, uint8_t family, bool udp, struct listeners_visitor *v)
{
	uint32_t words[4] = {};
	struct endpoint at;
	unsigned port, state;
	int got;

	/* Words of the address in the host's order, each 8 digits; the port after them. */
	if (family == AF_INET)
		got = sscanf(line, " %*u: %8" SCNx32 ":%4x %*8[0-9A-Fa-f]:%*4x %2x", &words[0], &port, &state) == 3;
	else
		got = sscanf(line,
			     " %*u: %8" SCNx32 "%8" SCNx32 "%8" SCNx32 "%8" SCNx32 ":%4x %*32[0-9A-Fa-f]:%*4x %2x",
			     &words[0], &words[1], &words[2], &words[3], &port, &state) == 6;
	if (!got)
		return -EBADMSG;
	if (state != (udp ? STATE_CLOSE : STATE_LISTEN))
		return 0;
	at.addr = addr_from_raw(family, words);
	at.port = port;
	/* Whether a socket is IPv6 only does not show here: better one warning too many. */
	v->stopped = !report(&at, udp, true, v);
	return 0;
}

int listeners_from_proc(const char *folder, struct listeners_visitor *v)
{
	char path[128], line[512];
	int err = 0;

	for (size_t i = 0; i < array_size(kinds) && !v->stopped; i++) {
		_cleanup_fclose_ FILE *f = NULL;

		snprintf(path, sizeof(path), "%s/%s", folder, kinds[i].file);
		f = fopen(path, "re");
		if (!f && errno == ENOENT)
			continue; /* without IPv6, say */
		if (!f)
			return -errno;
		if (!fgets(line, sizeof(line), f)) /* the headings */
			continue;
		while (!err && !v->stopped && fgets(line, sizeof(line), f))
			err = listeners_read_proc(line, kinds[i].family, kinds[i].udp, v);
		if (err)
			return err;
	}
	return 0;
}

int net_listeners(bool (*visit)(const struct endpoint *at, bool udp, void *ctx), void *ctx)
{
	struct listeners_visitor v = { .visit = visit, .ctx = ctx };
	int err = listeners_from_diag(&v);

	/* No such family, no handler for it, or a filter that forbids it: each kernel has its way to lack sock_diag. */
	if (err == -EPROTONOSUPPORT || err == -ENOENT || err == -EINVAL || err == -EOPNOTSUPP || err == -EPERM ||
	    err == -EACCES)
		return listeners_from_proc("/proc/self/net", &v);
	return err;
}

int net_port_range(uint16_t *ret_low, uint16_t *ret_high)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned low, high;

	if (!f)
		return -errno;
	if (fscanf(f, "%u %u", &low, &high) != 2 || low > high || high > UINT16_MAX)
		return -EBADMSG;
	*ret_low = low;
	*ret_high = high;
	return 0;
}
