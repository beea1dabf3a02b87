/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of rtnetlink: links, addresses, neighbours, routes, errors. */
#include "fuzz/fuzz.h"
#include "net/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_neighbour neighbour = {};
	struct message_address address = {};
	struct message_route route = {};
	struct message_link link = {};
	struct nlmsghdr *m;
	int error = 0;

	if (size < sizeof(*m))
		return 0;
	m = (struct nlmsghdr *)fuzz_copy(data, size, false);
	m->nlmsg_len = (uint32_t)size;
	/* The kinds that there are, four times as often as by chance. */
	if (m->nlmsg_type > 64)
		m->nlmsg_type = 16 + m->nlmsg_type % 16;
	if (message_read_link(m, &link) == 0)
		demand(memchr(link.name, '\0', sizeof(link.name)));
	if (message_read_address(m, &address) == 0)
		demand(address.prefix <= 128 && (address.addr.family == AF_INET || address.addr.family == AF_INET6));
	message_read_neighbour(m, &neighbour);
	message_read_route(m, &route);
	if (message_read_error(m, &error) == 0)
		demand(error >= 0);
	free(m);
	return 0;
}
