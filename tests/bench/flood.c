/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flood of TCP packets out of one veth, by BPF_F_TEST_XDP_LIVE_FRAMES: one sender for each CPU named, each with flows
 * of its own, from 198.18.0.0/15. What comes back in by that veth and is of the flood is counted and dropped there, so
 * that only the balancer works on it. Called by tests/bench/mpps and tests/system/flood.sh, in the namespace of the
 * veth; writes one line of JSON. The veth's other end must have an XDP program; one that is at this end stands aside.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "flood.h"
#include "flood.skel.h"

enum { RUN = 1 << 19, BATCH = 64, SETTLE_MS = 200 };

struct options {
	const char *nic, *attach;
	uint8_t to[6];
	uint32_t flows;
	uint64_t count;            /* packets of each CPU; 0 = until the time is over */
	double seconds;
	unsigned cpus[FLOOD_CPUS], cpu_count;
	bool sink_all;
};

static struct options o = { .flows = 1 << 20, .seconds = 1 };
static struct flood_bpf *skel;
static volatile sig_atomic_t stopped;
static pthread_barrier_t start;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void *send_all(void *arg)
{
	const unsigned cpu = *(unsigned *)arg;
	uint8_t frame[FLOOD_FRAME] = {};
	uint64_t left = o.count ? o.count : UINT64_MAX;
	cpu_set_t set;
	double end;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	pthread_barrier_wait(&start);
	for (end = now() + o.seconds; left && !stopped && (o.count || now() < end);) {
		struct xdp_md ctx = { .data_end = sizeof(frame), .ingress_ifindex = if_nametoindex(o.nic) };
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx), .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH,
			    .repeat = left < RUN ? left : RUN);

		if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.sender), &opts) < 0) {
			if (errno == EINTR)
				break;
			fprintf(stderr, "flood: cannot send: %s\n", strerror(errno));
			return arg;
		}
		left -= o.count ? (unsigned)opts.repeat : 0;
	}
	return NULL;
}

static uint64_t sum(const struct flood_count *counts)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < FLOOD_CPUS; i++)
		n += *(const volatile __u64 *)&counts[i].packets;
	return n;
}

static void on_signal(int number)
{
	stopped = 1;
}

static int flood_run(void)
{
	static pthread_t threads[FLOOD_CPUS];
	double began, took;
	uint64_t before, last;
	void *failed = NULL;

	pthread_barrier_init(&start, NULL, o.cpu_count + 1);
	for (unsigned i = 0; i < o.cpu_count; i++)
		if (pthread_create(&threads[i], NULL, send_all, &o.cpus[i]))
			return -EAGAIN;
	pthread_barrier_wait(&start);
	began = now();
	before = sum(skel->bss->sunk);
	for (unsigned i = 0; i < o.cpu_count; i++) {
		void *r;

		pthread_join(threads[i], &r);
		failed = r ? r : failed;
	}
	took = now() - began;
	/* What is still on its way. */
	do {
		last = sum(skel->bss->sunk);
		usleep(SETTLE_MS * 1000);
	} while (sum(skel->bss->sunk) != last && !stopped);
	printf("{\"cpus\":%u,\"seconds\":%.3f,\"sent\":%" PRIu64 ",\"came_back\":%" PRIu64 ",\"sent_per_s\":%.0f,"
	       "\"came_back_per_s\":%.0f}\n", o.cpu_count, took, sum(skel->bss->sent), last - before,
	       sum(skel->bss->sent) / took, (last - before) / took);
	return failed ? -EIO : 0;
}

/* The sink in place of what is there (fd 0: nothing), which is put back afterwards. */
static int replace_program(int ifindex, int fd, int *ret_old)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	__u32 flags = XDP_FLAGS_DRV_MODE, id = 0;

	if (ret_old) {
		*ret_old = -1;
		if (bpf_xdp_query_id(ifindex, XDP_FLAGS_DRV_MODE, &id) == 0 && id)
			*ret_old = bpf_prog_get_fd_by_id(id);
	}
	opts.old_prog_fd = ret_old ? *ret_old : bpf_program__fd(skel->progs.sink);
	if (opts.old_prog_fd >= 0)
		flags |= XDP_FLAGS_REPLACE;
	return bpf_xdp_attach(ifindex, fd, flags, opts.old_prog_fd >= 0 ? &opts : NULL);
}

/* Holds a program on the NIC until it is told to end: what stands where the balancer stands otherwise. */
static int hold(void)
{
	const struct bpf_program *p = strcmp(o.attach, "drop") == 0 ? skel->progs.drop : skel->progs.bounce;
	struct bpf_link *link = bpf_program__attach_xdp(p, if_nametoindex(o.nic));

	if (!link)
		return -errno;
	puts("ready");
	fflush(stdout);
	while (!stopped)
		pause();
	bpf_link__destroy(link);
	return 0;
}

static void fill(const char *text_from, __be32 destination, uint16_t port, const char *kind)
{
	struct flood *f = &skel->bss->flood;
	uint8_t mac[12];

	memcpy(mac, o.to, 6);
	sscanf(text_from, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", mac + 6, mac + 7, mac + 8, mac + 9, mac + 10, mac + 11);
	memcpy(f->mac, mac, sizeof(mac));
	f->destination = destination;
	f->dport = htons(port);
	f->flow_mask = o.flows - 1;
	f->pairs = strcmp(kind, "open") == 0;
	f->flags[0] = strcmp(kind, "ack") == 0 ? 0x10 : 0x02;
	f->flags[1] = f->pairs ? 0x10 : f->flags[0];
	f->fixed_sum = (uint64_t)htons(IPPROTO_TCP) + htons(20) + htonl(1) + htons(1024) + destination + f->dport;
}

static int usage(FILE *to, int code)
{
	fprintf(to, "usage: flood --nic NIC --to MAC --destination ADDRESS:PORT [--from MAC] [--kind syn|ack|open]\n"
		    "             [--flows N] [--seconds S | --count N] [--cpus A,B] [--sink-all]\n"
		    "       flood --nic NIC --hold drop|bounce\n\n"
		    "  --kind      syn: SYN alone; ack: ACK alone; open: SYN and ACK of each flow in turn\n"
		    "  --flows     a power of two, default 1048576\n"
		    "  --count     so many packets of each CPU, however long it takes\n"
		    "  --sink-all  all IPv4 that comes in is of the flood (else: what names 198.18.0.0/15)\n"
		    "  --hold      attach a program that drops or returns IPv4; prints ready, goes at a signal\n");
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "nic", 1, NULL, 'n' },   { "to", 1, NULL, 't' },    { "destination", 1, NULL, 'd' },
		{ "from", 1, NULL, 'f' },  { "kind", 1, NULL, 'k' },  { "flows", 1, NULL, 'w' },
		{ "seconds", 1, NULL, 's' }, { "count", 1, NULL, 'c' }, { "cpus", 1, NULL, 'u' },
		{ "sink-all", 0, NULL, 'a' }, { "hold", 1, NULL, 'o' }, { "help", 0, NULL, 'h' }, {},
	};
	const char *from = "02:00:00:00:f1:00", *kind = "syn";
	const struct sigaction action = { .sa_handler = on_signal };
	int nic, old;
	struct in_addr destination = {};
	unsigned port = 0;
	char *at;
	int r;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'n': o.nic = optarg; break;
		case 't':
			if (sscanf(optarg, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", o.to, o.to + 1, o.to + 2, o.to + 3,
				   o.to + 4, o.to + 5) != 6)
				return usage(stderr, 2);
			break;
		case 'd':
			at = strchr(optarg, ':');
			if (!at || !(port = strtoul(at + 1, NULL, 10)))
				return usage(stderr, 2);
			*at = '\0';
			if (inet_pton(AF_INET, optarg, &destination) != 1)
				return usage(stderr, 2);
			break;
		case 'f': from = optarg; break;
		case 'k': kind = optarg; break;
		case 'w': o.flows = strtoul(optarg, NULL, 10); break;
		case 's': o.seconds = strtod(optarg, NULL); break;
		case 'c': o.count = strtoull(optarg, NULL, 10); break;
		case 'u':
			for (at = strtok(optarg, ","); at && o.cpu_count < FLOOD_CPUS; at = strtok(NULL, ","))
				o.cpus[o.cpu_count++] = strtoul(at, NULL, 10);
			break;
		case 'a': o.sink_all = true; break;
		case 'o': o.attach = optarg; break;
		case 'h': return usage(stdout, 0);
		default: return usage(stderr, 2);
		}
	}
	if (!o.nic || optind < argc || (!o.attach && !port) || !o.flows || (o.flows & (o.flows - 1)))
		return usage(stderr, 2);
	if (!o.cpu_count)
		o.cpus[o.cpu_count++] = sched_getcpu();
	sigaction(SIGINT, &action, NULL); /* without SA_RESTART: a run ends at once */
	sigaction(SIGTERM, &action, NULL);
	skel = flood_bpf__open();
	if (!skel)
		return 1;
	skel->rodata->sink_all = o.sink_all;
	skel->rodata->out = if_nametoindex(o.nic);
	r = flood_bpf__load(skel);
	if (r < 0) {
		fprintf(stderr, "flood: cannot load: %s\n", strerror(-r));
		return 1;
	}
	if (o.attach) {
		r = hold();
	} else {
		fill(from, destination.s_addr, port, kind);
		nic = if_nametoindex(o.nic);
		r = replace_program(nic, bpf_program__fd(skel->progs.sink), &old);
		if (r < 0) {
			fprintf(stderr, "flood: cannot attach to %s: %s\n", o.nic, strerror(-r));
			return 1;
		}
		r = flood_run();
		replace_program(nic, old, NULL);
	}
	if (r < 0)
		fprintf(stderr, "flood: %s\n", strerror(-r));
	flood_bpf__destroy(skel);
	return r < 0;
}
