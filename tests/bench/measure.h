/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a program behind the wrapper (wrapper.bpf.c) and times it. Included by tests/bench/packet.c only. Knows shapes
 * of packets, not what they are for; a packet that comes out with a wrong checksum is an error, not a figure.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shape.h"
#include "world.h"

#include "wrapper.skel.h" /* behind shape.h: it has a struct shape */

enum {
	FRAME_MAX = 2048,
	ETHERNET_SIZE = 14,
	TCP_FLAG_SYN = 0x02,
	TCP_FLAG_ACK = 0x10,
	MEASURE_CROWD = 65521,    /* a prime number, and below 2^16 */
};

/* Packets of a site, or near it. */
enum stream {
	STREAM_REQUEST,   /* of an established connection */
	STREAM_REPLY,     /* of a server, nat */
	STREAM_NEW,       /* SYN (UDP: first packet), every one of a new flow */
	STREAM_CROWD,     /* the same, from MEASURE_CROWD clients in turn, all to the site's first service */
	STREAM_OPEN,      /* SYN and ACK of each flow in turn: fills the flow table */
	STREAM_UNKNOWN,   /* ACK of a connection that nobody knows, every one of another flow */
	STREAM_NOBODY,    /* to an address that is not ours */
	STREAM_OWN_PORT,  /* to an own address and a port of its pool, but of no connection */
};

/* Every packet is of another flow. */
static bool measure_is_endless(enum stream stream)
{
	return stream == STREAM_NEW || stream == STREAM_CROWD || stream == STREAM_UNKNOWN;
}

/* Set by a signal: what is under way ends with -EINTR. */
static volatile sig_atomic_t measure_stopped;

static void measure_prefix(struct shape *s, bool v6, enum site_net from, enum site_net to)
{
	uint8_t source[16], destination[16];
	uint32_t words[8];

	if (!v6)
		return;
	site_address(true, from, 0, source);
	site_address(true, to, 0, destination);
	memcpy(s->source_prefix, source, 16);
	memcpy(s->destination_prefix, destination, 16);
	memcpy(words, source, 16);
	memcpy(words + 4, destination, 16);
	for (int i = 0; i < 8; i++)
		s->l4_sum += words[i];
}

/* What does not differ from packet to packet, summed up for both checksums. */
static void measure_sums(struct shape *s)
{
	s->ip_sum = (uint64_t)htons(0x4500) + htons(s->length) + htons(0x4000) + htons(SHAPE_TTL << 8 | s->protocol);
	s->l4_sum += (uint64_t)htons(s->protocol) + htons(SHAPE_L4_SIZE);
	if (s->protocol == IPPROTO_TCP)
		s->l4_sum += 2ULL * htonl(1) + htons(SHAPE_L4_SIZE / 4 << 12) + htons(SHAPE_WINDOW);
	else
		s->l4_sum += htons(SHAPE_L4_SIZE);
}

static struct shape_division measure_division(uint32_t divisor)
{
	return (struct shape_division){
		.divisor = divisor, .reciprocal = ((1ULL << SHAPE_DIVISION_BITS) + divisor - 1) / divisor,
	};
}

static void measure_ends(struct shape *s, const struct site *site, enum stream stream)
{
	const bool reply = stream == STREAM_REPLY;

	s->turn = measure_division(reply ? site->kind.servers : site->kind.services);
	s->pool = measure_division(SITE_OWN_PORTS);
	s->source = reply ? SITE_SERVER(site->number) : SITE_CLIENT;
	s->sport = reply ? SITE_SERVER_PORT : SITE_CLIENT_PORT;
	s->source_by_turn = reply ? ~0U : 0;
	s->source_by_flow = s->sport_by_flow = reply ? 0 : ~0U;
	s->destination = SITE_SERVICE(site->number);
	s->dport = SITE_PORT;
	s->dport_by_turn = reply ? 0 : ~0U;
	s->dport_by_pool = reply ? ~0U : 0;
	switch (stream) {
	case STREAM_REPLY:
	case STREAM_OWN_PORT:
		s->destination = SITE_OWN(site->number);
		s->dport = SITE_OWN_LOW;
		break;
	case STREAM_CROWD:
		s->turn = measure_division(MEASURE_CROWD);
		s->source_by_turn = ~0U;
		s->dport_by_turn = 0;
		break;
	case STREAM_NOBODY:
		s->destination = SITE_NOBODY;
		break;
	case STREAM_UNKNOWN:
		s->source += 1U << 20; /* behind all clients that have connections */
		break;
	default:
		break;
	}
}

/* Packets of `flows` flows, a power of two; of NEW, CROWD and UNKNOWN each is another flow. */
static struct shape measure_shape(const struct site *site, enum stream stream, uint32_t flows)
{
	const bool tcp = site->kind.protocol == IPPROTO_TCP;
	const bool begins = stream == STREAM_NEW || stream == STREAM_CROWD || stream == STREAM_OPEN;
	struct shape s = { .protocol = site->kind.protocol, .v6 = site->kind.v6 };

	s.flow_mask = measure_is_endless(stream) ? 0xfffff : flows - 1;
	s.pairs = stream == STREAM_OPEN && tcp;
	s.flags[0] = tcp ? (begins ? TCP_FLAG_SYN : TCP_FLAG_ACK) : 0;
	s.flags[1] = s.pairs ? TCP_FLAG_ACK : s.flags[0];
	s.length = (s.v6 ? 0 : 20) + SHAPE_L4_SIZE;
	s.size = ETHERNET_SIZE + (s.v6 ? 40 : 20) + SHAPE_L4_SIZE;
	memcpy((uint8_t *)s.mac, world_own_mac, 6);
	memcpy((uint8_t *)s.mac + 6, world_peer_mac, 6);
	measure_ends(&s, site, stream);
	measure_prefix(&s, s.v6, stream == STREAM_REPLY ? SITE_NET_SERVER : SITE_NET_CLIENT, SITE_NET_SERVICE);
	measure_sums(&s);
	return s;
}

static uint64_t measure_cpu_ns(void)
{
	struct timespec ts;

	/* This thread's own time: what others on the machine take from it is not in it. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Puts a program under test; 0 or -errno. */
static int measure_put(const struct wrapper_bpf *w, int program_fd)
{
	const uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(w->maps.under_test), &zero, &program_fd, BPF_ANY) < 0 ? -errno : 0;
}

/*
 * `count` packets of a shape, which goes on where it was, through what was put under test. ret_ns: for each packet,
 * the wrapper's time included; may be NULL. The last packet is left in frame. Returns its size, or -errno.
 */
static int measure_run(struct wrapper_bpf *w, struct shape *s, uint32_t count, double *ret_ns,
		       uint8_t frame[FRAME_MAX])
{
	uint8_t in[FRAME_MAX] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = s->size, .data_out = frame,
		    .data_size_out = FRAME_MAX, .repeat = count);
	const uint64_t expected = s->n + count;
	uint64_t begin, took;
	int r;

	w->bss->shape = *s;
	begin = measure_cpu_ns();
	r = bpf_prog_test_run_opts(bpf_program__fd(w->progs.wrapper), &opts);
	took = measure_cpu_ns() - begin;
	*s = w->bss->shape;
	if (measure_stopped)
		return -EINTR;
	if (r < 0)
		return r;
	if (s->n != expected || opts.retval == 0 /* XDP_ABORTED */) {
		fprintf(stderr, "bench: the wrapper gave up after %llu of %u packets\n",
			(unsigned long long)(count - (expected - s->n)), count);
		return -EPROTO;
	}
	if (ret_ns)
		*ret_ns = (double)took / count;
	return opts.data_size_out;
}

static uint64_t measure_sum(const uint8_t *bytes, size_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint64_t)bytes[i] << 8 | bytes[i + 1];
	return sum;
}

static bool measure_sum_is_right(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/*
 * A packet of TCP or UDP without options, as the wrapper makes them, or one of them inside an outer header of the same
 * family: are its checksums right?
 */
static bool measure_is_valid(const uint8_t *frame, int size)
{
	const bool v6 = frame[12] == 0x86;
	const int header = v6 ? 40 : 20;
	const uint8_t *ip = frame + ETHERNET_SIZE, *l4 = ip + header;
	uint8_t protocol = v6 ? ip[6] : ip[9];

	if (protocol == (v6 ? IPPROTO_IPV6 : IPPROTO_IPIP)) {
		if (!v6 && !measure_sum_is_right(measure_sum(ip, 20)))
			return false;
		size -= header;
		ip += header;
		l4 += header;
		protocol = v6 ? ip[6] : ip[9];
	}
	if (size != ETHERNET_SIZE + header + SHAPE_L4_SIZE)
		return false;
	if (!v6 && !measure_sum_is_right(measure_sum(ip, 20)))
		return false;
	return measure_sum_is_right(measure_sum(v6 ? ip + 8 : ip + 12, v6 ? 32 : 8) + protocol + SHAPE_L4_SIZE +
				    measure_sum(l4, SHAPE_L4_SIZE));
}

#endif
