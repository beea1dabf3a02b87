/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert((int)CAPTURE_ERROR_MAX >= PCAP_ERRBUF_SIZE, "errors of libpcap fit");

struct capture {
	pcap_t *pcap;
	unsigned count;
};

bool capture_is_path(const char *text)
{
	return *text;
}

int capture_open(const char *path, struct capture **ret, char error[static CAPTURE_ERROR_MAX])
{
	struct capture *c = calloc(1, sizeof(*c));
	const char *name;
	int link;

	if (!c) {
		snprintf(error, CAPTURE_ERROR_MAX, "out of memory");
		return -EINVAL;
	}
	c->pcap = pcap_open_offline(path, error);
	if (!c->pcap) {
		capture_close(c);
		return -EINVAL;
	}
	link = pcap_datalink(c->pcap);
	if (link != DLT_EN10MB) {
		name = pcap_datalink_val_to_name(link);
		snprintf(error, CAPTURE_ERROR_MAX, "its packets are %s, not Ethernet frames: capture on one interface, "
			 "not on `any`", name ? name : "of an unknown kind");
		capture_close(c);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->pcap)
		pcap_close(c->pcap);
	free(c);
}

int capture_next(struct capture *c, const uint8_t **ret, size_t *ret_kept, size_t *ret_length,
		 char error[static CAPTURE_ERROR_MAX])
{
	struct pcap_pkthdr *header;
	const u_char *bytes;
	int r = pcap_next_ex(c->pcap, &header, &bytes);

	if (r == PCAP_ERROR_BREAK)
		return 0;
	if (r < 0) {
		snprintf(error, CAPTURE_ERROR_MAX, "%s", pcap_geterr(c->pcap));
		return -EINVAL;
	}
	if (c->count == CAPTURE_PACKETS_MAX)
		return -E2BIG;
	c->count++;
	*ret = bytes;
	*ret_kept = header->caplen;
	*ret_length = header->len < header->caplen ? header->caplen : header->len;
	return 1;
}
