/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/pcapng.h"

#include <errno.h>
#include <string.h>

enum {
	SECTION = 0x0a0d0d0a, BYTE_ORDER = 0x1a2b3c4d, INTERFACE = 1, PACKET = 6, ETHERNET = 1,
	STATISTICS = 5, OPTION_COMMENT = 1, OPTION_NAME = 2, OPTION_FLAGS = 2, OPTION_RESOLUTION = 9, NANOSECONDS = 9,
	OPTION_DROPPED = 7, /* by the operating system: which interface's they were nobody knows */
	BLOCK_MAX = 4096,
};

/* A block is put together in memory and written in one piece: a reader that follows the file sees whole ones. */
struct block {
	uint8_t bytes[BLOCK_MAX];
	size_t length;
};

static void put(struct block *b, const void *data, size_t length)
{
	static const uint8_t zeros[4];
	const size_t padding = -length % 4;

	memcpy(b->bytes + b->length, data, length);
	memcpy(b->bytes + b->length + length, zeros, padding);
	b->length += length + padding;
}

static void put32(struct block *b, uint32_t value)
{
	put(b, &value, sizeof(value));
}

static void put_option(struct block *b, uint16_t code, const void *data, uint16_t length)
{
	put32(b, code | (uint32_t)length << 16);
	put(b, data, length);
}

/* The type and a length that end() fills in. */
static void begin(struct block *b, uint32_t type)
{
	b->length = 0;
	put32(b, type);
	put32(b, 0);
}

static int end(struct block *b, FILE *file)
{
	const uint32_t length = b->length + 4;

	put32(b, length);
	memcpy(b->bytes + 4, &length, sizeof(length));
	if (fwrite(b->bytes, b->length, 1, file) != 1 || fflush(file) != 0)
		return errno ? -errno : -EIO;
	return 0;
}

int pcapng_begin(struct pcapng *p, FILE *file, uint32_t snap)
{
	const uint64_t unknown = UINT64_MAX;
	struct block b;

	*p = (struct pcapng){ .file = file, .snap = snap };
	begin(&b, SECTION);
	put32(&b, BYTE_ORDER);
	put32(&b, 1); /* version 1.0 */
	put(&b, &unknown, sizeof(unknown));
	return end(&b, file);
}

static int interface_of(struct pcapng *p, const char *name, unsigned *ret)
{
	const uint8_t resolution = NANOSECONDS;
	struct block b;
	int r;

	for (*ret = 0; *ret < p->count; (*ret)++)
		if (strcmp(p->names[*ret], name) == 0)
			return 0;
	if (p->count == PCAPNG_INTERFACES_MAX) { /* more than there can be: the last one stands for the rest */
		*ret = p->count - 1;
		return 0;
	}
	begin(&b, INTERFACE);
	put32(&b, ETHERNET);
	put32(&b, p->snap);
	put_option(&b, OPTION_NAME, name, strnlen(name, sizeof(p->names[0]) - 1));
	put_option(&b, OPTION_RESOLUTION, &resolution, 1);
	put32(&b, 0);
	r = end(&b, p->file);
	if (r < 0)
		return r;
	snprintf(p->names[p->count], sizeof(p->names[0]), "%s", name);
	p->count++;
	return 0;
}

int pcapng_write(struct pcapng *p, const struct pcapng_packet *packet)
{
	const uint32_t flags = packet->outbound ? 2 : 1;
	const size_t kept = packet->kept < p->snap ? packet->kept : p->snap;
	struct block b;
	unsigned interface;
	int r;

	if (kept > BLOCK_MAX / 2)
		return -EINVAL;
	r = interface_of(p, packet->interface, &interface);
	if (r < 0)
		return r;
	begin(&b, PACKET);
	put32(&b, interface);
	put32(&b, packet->ns >> 32);
	put32(&b, (uint32_t)packet->ns);
	put32(&b, kept);
	put32(&b, packet->length);
	put(&b, packet->bytes, kept);
	if (packet->comment)
		put_option(&b, OPTION_COMMENT, packet->comment, strnlen(packet->comment, PCAPNG_COMMENT_MAX));
	put_option(&b, OPTION_FLAGS, &flags, sizeof(flags));
	put32(&b, 0);
	return end(&b, p->file);
}

int pcapng_missed(struct pcapng *p, uint64_t ns, uint64_t packets, const char *why)
{
	struct block b;

	if (!p->count)
		return 0;
	begin(&b, STATISTICS);
	put32(&b, 0); /* the first interface */
	put32(&b, ns >> 32);
	put32(&b, (uint32_t)ns);
	put_option(&b, OPTION_COMMENT, why, strnlen(why, PCAPNG_COMMENT_MAX));
	put_option(&b, OPTION_DROPPED, &packets, sizeof(packets));
	put32(&b, 0);
	return end(&b, p->file);
}
