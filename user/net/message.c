/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing rtnetlink messages. Called by net.c and request.c. All bounds are checked here against
 * nlmsg_len; libmnl's iterators that round the tail up are not used, they may look three bytes behind the message.
 */
#include "net/message.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

enum { MESSAGE_ERRNO_MAX = 4095 }; /* the kernel's MAX_ERRNO */

/*
 * Sorts the attributes behind a fixed header into by_type[0..max]; of repeated ones the last counts. Returns the fixed
 * header, or NULL when the message or one of its attributes is cut short.
 */
static const void *message_open(const struct nlmsghdr *m, size_t header, const struct nlattr *by_type[], uint16_t max)
{
	const struct nlattr *attr;
	const char *payload;
	size_t length, left;

	memset(by_type, 0, (max + 1u) * sizeof(by_type[0]));
	if (m->nlmsg_len < MNL_NLMSG_HDRLEN + header)
		return NULL;
	payload = mnl_nlmsg_get_payload(m);
	length = m->nlmsg_len - MNL_NLMSG_HDRLEN;
	for (size_t at = MNL_ALIGN(header); at < length; at += MNL_ALIGN(attr->nla_len)) {
		left = length - at;
		attr = (const struct nlattr *)(payload + at);
		if (!mnl_attr_ok(attr, left))
			return NULL;
		if (mnl_attr_get_type(attr) <= max)
			by_type[mnl_attr_get_type(attr)] = attr;
	}
	return payload;
}

static int attr_u32(const struct nlattr *attr, uint32_t *ret)
{
	if (!attr || mnl_attr_get_payload_len(attr) < sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, mnl_attr_get_payload(attr), sizeof(*ret));
	return 0;
}

static int addr_from_bytes(uint8_t family, const void *bytes, size_t length, struct addr *ret)
{
	size_t wanted = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
	struct addr a = { .family = family };

	if (!wanted || length != wanted)
		return -EBADMSG;
	memcpy(a.bytes, bytes, wanted);
	*ret = a;
	return 0;
}

static int attr_addr(const struct nlattr *attr, uint8_t family, struct addr *ret)
{
	if (!attr)
		return -EBADMSG;
	return addr_from_bytes(family, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), ret);
}

static bool attr_mac(const struct nlattr *attr, uint8_t ret[6])
{
	if (!attr || mnl_attr_get_payload_len(attr) != 6)
		return false;
	memcpy(ret, mnl_attr_get_payload(attr), 6);
	return true;
}

/* Does IFLA_LINKINFO say of its IFLA_INFO_KIND, or IFLA_INFO_SLAVE_KIND, that it is `kind`? -EBADMSG, 0, 1. */
static int link_is_kind(const struct nlattr *linkinfo, uint16_t type, const char *kind)
{
	const char *payload = mnl_attr_get_payload(linkinfo);
	const size_t length = mnl_attr_get_payload_len(linkinfo), kind_length = strlen(kind) + 1;
	const struct nlattr *attr;
	int r = 0;

	for (size_t at = 0; at < length; at += MNL_ALIGN(attr->nla_len)) {
		attr = (const struct nlattr *)(payload + at);
		if (!mnl_attr_ok(attr, length - at))
			return -EBADMSG;
		if (mnl_attr_get_type(attr) == type)
			r = mnl_attr_get_payload_len(attr) == kind_length &&
			    memcmp(mnl_attr_get_payload(attr), kind, kind_length) == 0;
	}
	return r;
}

/* What the interface is on top of, and whose port it is. 0 or -EBADMSG. */
static int link_relations(const struct nlattr *const attrs[], struct message_link *link)
{
	const struct nlattr *info = attrs[IFLA_LINKINFO];
	const int is_port = info && attrs[IFLA_MASTER] ? link_is_kind(info, IFLA_INFO_SLAVE_KIND, "bond") : 0;
	const int is_veth = info ? link_is_kind(info, IFLA_INFO_KIND, "veth") : 0;

	if (is_port < 0 || is_veth < 0)
		return -EBADMSG;
	if (attrs[IFLA_MASTER] && attr_u32(attrs[IFLA_MASTER], &link->master))
		return -EBADMSG;
	if (is_port)
		link->bond = link->master;
	/* A veth names its other end, and what has another namespace's below has a number of that one. */
	if (attrs[IFLA_LINK] && !attrs[IFLA_LINK_NETNSID] && !is_veth && attr_u32(attrs[IFLA_LINK], &link->below))
		return -EBADMSG;
	return 0;
}

/* Of what is attached to an interface; 0: nothing, or one program in each of several modes. */
static uint32_t xdp_program(const struct nlattr *xdp)
{
	const struct nlattr *attr;
	uint32_t id = 0;

	if (!xdp)
		return 0;
	mnl_attr_for_each_nested(attr, xdp)
		if (mnl_attr_get_type(attr) == IFLA_XDP_PROG_ID)
			attr_u32(attr, &id);
	return id;
}

int message_read_link(const struct nlmsghdr *m, struct message_link *ret)
{
	const struct nlattr *attrs[IFLA_PERM_ADDRESS + 1];
	const struct ifinfomsg *info = message_open(m, sizeof(*info), attrs, IFLA_PERM_ADDRESS);
	struct message_link link = {};
	uint32_t mtu = 0;
	size_t length;

	if (!info)
		return -EBADMSG;
	/* A bridge tells of its ports in messages of its own; a port that leaves is no interface that goes. */
	if (info->ifi_family != AF_UNSPEC)
		return -ENOMSG;
	if (info->ifi_index <= 0)
		return -EBADMSG;
	link.ifindex = info->ifi_index;
	link.flags = info->ifi_flags;
	link.type = info->ifi_type;
	if (attrs[IFLA_IFNAME]) {
		length = strnlen(mnl_attr_get_payload(attrs[IFLA_IFNAME]), mnl_attr_get_payload_len(attrs[IFLA_IFNAME]));
		if (!length || length >= sizeof(link.name))
			return -EBADMSG;
		memcpy(link.name, mnl_attr_get_payload(attrs[IFLA_IFNAME]), length);
	} else if (m->nlmsg_type != RTM_DELLINK) {
		return -EBADMSG;
	}
	if (attrs[IFLA_MTU] && attr_u32(attrs[IFLA_MTU], &mtu))
		return -EBADMSG;
	link.mtu = mtu;
	link.xdp = xdp_program(attrs[IFLA_XDP]);
	link.has_mac = attr_mac(attrs[IFLA_ADDRESS], link.mac);
	link.has_permanent_mac = attr_mac(attrs[IFLA_PERM_ADDRESS], link.permanent_mac);
	if (link_relations(attrs, &link))
		return -EBADMSG;
	*ret = link;
	return 0;
}

int message_read_address(const struct nlmsghdr *m, struct message_address *ret)
{
	const struct nlattr *attrs[IFA_PROTO + 1];
	const struct ifaddrmsg *info = message_open(m, sizeof(*info), attrs, IFA_PROTO);
	struct message_address address = {};
	uint32_t flags;

	if (!info)
		return -EBADMSG;
	if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)
		return -ENOMSG;
	address.ifindex = info->ifa_index;
	address.prefix = info->ifa_prefixlen;
	address.flags = info->ifa_flags;
	if (attrs[IFA_FLAGS]) {
		if (attr_u32(attrs[IFA_FLAGS], &flags))
			return -EBADMSG;
		address.flags = flags;
	}
	if (attrs[IFA_PROTO]) {
		if (mnl_attr_get_payload_len(attrs[IFA_PROTO]) < 1)
			return -EBADMSG;
		address.protocol = mnl_attr_get_u8(attrs[IFA_PROTO]);
	}
	if (!address.ifindex || address.prefix > (info->ifa_family == AF_INET ? 32u : 128u))
		return -EBADMSG;
	/* IFA_LOCAL is the own address, IFA_ADDRESS then the peer's; IPv6 leaves IFA_LOCAL out where there is no peer. */
	if (attr_addr(attrs[attrs[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS], info->ifa_family, &address.addr))
		return -EBADMSG;
	if (attrs[IFA_LOCAL] && attrs[IFA_ADDRESS]) {
		if (attr_addr(attrs[IFA_ADDRESS], info->ifa_family, &address.peer))
			return -EBADMSG;
		if (addr_equal(&address.peer, &address.addr))
			address.peer = (struct addr){};
	}
	*ret = address;
	return 0;
}

int message_read_neighbour(const struct nlmsghdr *m, struct message_neighbour *ret)
{
	const struct nlattr *attrs[NDA_FLAGS_EXT + 1];
	const struct ndmsg *info = message_open(m, sizeof(*info), attrs, NDA_FLAGS_EXT);
	struct message_neighbour neighbour = {};
	uint32_t flags;

	if (!info)
		return -EBADMSG;
	/* Of other families there are the forwarding entries of bridges; a proxy entry is no neighbour. */
	if ((info->ndm_family != AF_INET && info->ndm_family != AF_INET6) || info->ndm_flags & NTF_PROXY)
		return -ENOMSG;
	if (info->ndm_ifindex <= 0)
		return -EBADMSG;
	neighbour.ifindex = info->ndm_ifindex;
	neighbour.state = info->ndm_state;
	neighbour.flags = info->ndm_flags;
	if (attr_addr(attrs[NDA_DST], info->ndm_family, &neighbour.addr))
		return -EBADMSG;
	if (attrs[NDA_FLAGS_EXT]) {
		if (attr_u32(attrs[NDA_FLAGS_EXT], &flags))
			return -EBADMSG;
		neighbour.managed = flags & NTF_EXT_MANAGED;
	}
	neighbour.has_mac = attr_mac(attrs[NDA_LLADDR], neighbour.mac);
	*ret = neighbour;
	return 0;
}

/* The path's MTU out of RTA_METRICS; 0 where none is set. */
static int route_mtu(const struct nlattr *metrics, uint32_t *ret)
{
	const struct nlattr *attr;
	const char *payload = mnl_attr_get_payload(metrics);
	size_t length = mnl_attr_get_payload_len(metrics);
	uint32_t mtu = 0;

	for (size_t at = 0; at < length; at += MNL_ALIGN(attr->nla_len)) {
		attr = (const struct nlattr *)(payload + at);
		if (!mnl_attr_ok(attr, length - at))
			return -EBADMSG;
		if (mnl_attr_get_type(attr) == RTAX_MTU && attr_u32(attr, &mtu))
			return -EBADMSG;
	}
	*ret = mtu;
	return 0;
}

/* A gateway of the other family: IPv4 over an IPv6 next hop. */
static int route_via(const struct nlattr *attr, struct addr *ret)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t length = mnl_attr_get_payload_len(attr);

	if (length < sizeof(*via) || via->rtvia_family > UINT8_MAX)
		return -EBADMSG;
	return addr_from_bytes(via->rtvia_family, via->rtvia_addr, length - sizeof(*via), ret);
}

int message_read_route(const struct nlmsghdr *m, struct message_route *ret)
{
	const struct nlattr *attrs[RTA_ENCAP + 1];
	const struct rtmsg *info = message_open(m, sizeof(*info), attrs, RTA_ENCAP);
	struct message_route route = {};
	uint32_t word = 0;

	if (!info)
		return -EBADMSG;
	if (info->rtm_family != AF_INET && info->rtm_family != AF_INET6)
		return -ENOMSG;
	route.type = info->rtm_type;
	if (attrs[RTA_OIF] && attr_u32(attrs[RTA_OIF], &word))
		return -EBADMSG;
	route.ifindex = word;
	if (attrs[RTA_GATEWAY] && attr_addr(attrs[RTA_GATEWAY], info->rtm_family, &route.gateway))
		return -EBADMSG;
	if (attrs[RTA_VIA] && route_via(attrs[RTA_VIA], &route.gateway))
		return -EBADMSG;
	if (addr_is_unspecified(&route.gateway))
		route.gateway = (struct addr){};
	if (attrs[RTA_PREFSRC] && attr_addr(attrs[RTA_PREFSRC], info->rtm_family, &route.source))
		return -EBADMSG;
	if (addr_is_unspecified(&route.source))
		route.source = (struct addr){};
	word = 0;
	if (attrs[RTA_METRICS] && route_mtu(attrs[RTA_METRICS], &word))
		return -EBADMSG;
	route.mtu = word;
	route.encap = attrs[RTA_ENCAP];
	*ret = route;
	return 0;
}

int message_read_error(const struct nlmsghdr *m, int *ret)
{
	int error;

	if (m->nlmsg_type != NLMSG_ERROR && m->nlmsg_type != NLMSG_DONE)
		return -ENOMSG;
	if (m->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(error))
		return -EBADMSG;
	memcpy(&error, mnl_nlmsg_get_payload(m), sizeof(error));
	if (error > 0 || error < -MESSAGE_ERRNO_MAX)
		return -EBADMSG;
	*ret = -error;
	return 0;
}

static struct nlmsghdr *request_header(void *buf, uint16_t type, uint16_t flags, uint32_t seq)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);

	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | flags;
	m->nlmsg_seq = seq;
	return m;
}

static void put_addr(struct nlmsghdr *m, uint16_t type, const struct addr *a)
{
	mnl_attr_put(m, type, a->family == AF_INET ? 4 : 16, a->bytes);
}

size_t message_write_dump(void *buf, uint16_t type, uint32_t seq)
{
	struct nlmsghdr *m = request_header(buf, type, NLM_F_DUMP, seq);

	switch (type) {
	case RTM_GETLINK:
		mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
		mnl_attr_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		break;
	case RTM_GETADDR:
		mnl_nlmsg_put_extra_header(m, sizeof(struct ifaddrmsg));
		break;
	default:
		mnl_nlmsg_put_extra_header(m, sizeof(struct ndmsg));
		break;
	}
	return m->nlmsg_len;
}

size_t message_write_route_get(void *buf, uint32_t seq, const struct addr *destination)
{
	struct nlmsghdr *m = request_header(buf, RTM_GETROUTE, 0, seq);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(m, sizeof(*info));

	info->rtm_family = destination->family;
	info->rtm_dst_len = destination->family == AF_INET ? 32 : 128;
	put_addr(m, RTA_DST, destination);
	return m->nlmsg_len;
}

static struct ndmsg *neighbour_header(struct nlmsghdr *m, unsigned ifindex, const struct addr *a)
{
	struct ndmsg *info = mnl_nlmsg_put_extra_header(m, sizeof(*info));

	info->ndm_family = a->family;
	info->ndm_ifindex = ifindex;
	put_addr(m, NDA_DST, a);
	return info;
}

size_t message_write_neighbour_use(void *buf, uint32_t seq, unsigned ifindex, const struct addr *a)
{
	struct nlmsghdr *m = request_header(buf, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE, seq);

	neighbour_header(m, ifindex, a)->ndm_flags = NTF_USE;
	return m->nlmsg_len;
}

/* Without NLM_F_REPLACE: with it the kernel would take the router flag from an IPv6 neighbour. */
size_t message_write_neighbour_probe(void *buf, uint32_t seq, unsigned ifindex, const struct addr *a)
{
	struct nlmsghdr *m = request_header(buf, RTM_NEWNEIGH, NLM_F_ACK, seq);

	neighbour_header(m, ifindex, a)->ndm_state = NUD_PROBE;
	return m->nlmsg_len;
}

static void address_header(struct nlmsghdr *m, unsigned ifindex, const struct addr *a)
{
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(m, sizeof(*info));

	info->ifa_family = a->family;
	info->ifa_prefixlen = a->family == AF_INET ? 32 : 128;
	info->ifa_index = ifindex;
	put_addr(m, IFA_LOCAL, a);
}

size_t message_write_address(void *buf, uint32_t seq, unsigned ifindex, const struct addr *a, bool replace,
			     uint32_t valid_s, uint8_t protocol)
{
	struct nlmsghdr *m = request_header(buf, RTM_NEWADDR,
					    NLM_F_ACK | NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL), seq);
	struct ifa_cacheinfo life = { .ifa_valid = valid_s ? valid_s : UINT32_MAX };

	address_header(m, ifindex, a);
	/* An IPv6 address that is not preferred is no source of the host's own connections (RFC 6724, rule 3). */
	life.ifa_prefered = a->family == AF_INET6 ? 0 : life.ifa_valid;
	mnl_attr_put(m, IFA_CACHEINFO, sizeof(life), &life);
	mnl_attr_put_u32(m, IFA_FLAGS, a->family == AF_INET6 ? IFA_F_NODAD : 0);
	mnl_attr_put_u8(m, IFA_PROTO, protocol);
	return m->nlmsg_len;
}

size_t message_write_address_remove(void *buf, uint32_t seq, unsigned ifindex, const struct addr *a)
{
	struct nlmsghdr *m = request_header(buf, RTM_DELADDR, NLM_F_ACK, seq);

	address_header(m, ifindex, a);
	return m->nlmsg_len;
}
