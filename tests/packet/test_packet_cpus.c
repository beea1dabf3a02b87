/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two CPUs with packets of the same connections at the same time: each connection is recorded once, in both directions,
 * on one own port; it is counted once; the half-open counter is exact; no lock and no claimed entry is left behind.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

enum { FLOWS = 400, FLOOD = 24000, ROUNDS = 40, MANY_ROUNDS = 100, THREADS = 2, REPEATS_MAX = 10000 };

/* What one thread sends: FLOWS packets from `first` on, the others' order or its own. */
struct sender {
	const struct rig *rig;
	pthread_barrier_t *start;
	int cpu;
	uint8_t protocol, flags;
	bool v6, backwards;
	unsigned first;
	unsigned count;         /* 0: FLOWS */
	unsigned repeated;      /* packets that did not leave at once */
};

static void *send_all(void *arg)
{
	static __thread struct frame in, out;
	struct sender *s = arg;
	const unsigned count = s->count ? s->count : FLOWS;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(s->cpu, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
	pthread_barrier_wait(s->start);
	for (unsigned n = 0; n < count; n++) {
		struct packet p = client_packet(s->v6, s->protocol, (s->count ? 1024 : 20000) + s->first +
						(s->backwards ? count - 1 - n : n), s->flags);

		frame_build(&p, &in);
		/* The other CPU may be taken from us while it holds the lock: as TCP does, try again a little later. */
		while (rig_run_raw(s->rig, &in, 0, &out) != XDP_TX && s->repeated < REPEATS_MAX) {
			s->repeated++;
			usleep(100);
		}
	}
	return NULL;
}

/* Two CPUs that this process may run on; fails the test when there is but one. */
static void find_cpus(int cpus[THREADS])
{
	cpu_set_t all;
	int n = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && n < THREADS; cpu++)
		if (CPU_ISSET(cpu, &all))
			cpus[n++] = cpu;
	if (n < THREADS)
		fail_msg("this machine lets us use one CPU only: two are needed");
}

static void both_send(struct rig *r, const struct sender senders[THREADS])
{
	struct sender s[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t start;
	int cpus[THREADS];
	uint64_t busy = rig_verdicts(r, VERDICT_LOCK_BUSY);

	find_cpus(cpus);
	pthread_barrier_init(&start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		s[i] = senders[i];
		s[i].rig = r;
		s[i].start = &start;
		s[i].cpu = cpus[i];
		assert_int_equal(pthread_create(&threads[i], NULL, send_all, &s[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
	/* A lock held too long costs a packet, which its sender repeats; nothing else may. */
	busy = rig_verdicts(r, VERDICT_LOCK_BUSY) - busy;
	assert_int_equal(s[0].repeated + s[1].repeated, busy);
}

static struct traffic all_servers(const struct rig *r)
{
	struct traffic sum = {};

	for (uint32_t cpu = 0; cpu < r->m->cpu_count; cpu++)
		for (uint32_t id = 1; id < r->server_count; id++) {
			const struct traffic *t = &r->m->server_counters[cpu * MAX_SERVERS + id];

			sum.connections += t->connections;
			sum.packets_in += t->packets_in;
		}
	return sum;
}

static int64_t all_half_open(const struct rig *r)
{
	int64_t sum = 0;

	for (uint32_t id = 1; id < r->server_count; id++)
		sum += r->m->use[id].half_open;
	return sum;
}

/*
 * One round: both senders' SYNs, then ACKs, then FINs, then SYNs again, on closed records: those are opened again, or
 * (round robin) give way to new ones. The tables are looked at after each.
 */
static void round_of(struct rig *r, bool v6, bool backwards, unsigned overlap, const struct world *world)
{
	static const uint8_t flags[] = { SYN, ACK, FIN | ACK, SYN };
	const bool nat = world->forward == FORWARD_NAT;
	const unsigned flows = 2 * FLOWS - overlap;
	struct sender senders[THREADS] = {
		{ .v6 = v6, .protocol = TCP },
		{ .v6 = v6, .protocol = TCP, .backwards = backwards, .first = FLOWS - overlap },
	};

	for (size_t i = 0; i < array_size(flags); i++) {
		const uint64_t connections = all_servers(r).connections;

		senders[0].flags = senders[1].flags = flags[i];
		both_send(r, senders);
		assert_int_equal(rig_live_flows(r, v6), nat ? 2 * flows : flows);
		assert_int_equal(all_half_open(r), nat && flags[i] == SYN ? flows : 0);
		assert_int_equal(all_servers(r).connections - connections, flags[i] == SYN ? flows : 0);
		rig_check_tables(r);
		rig_sweep(r);
	}
}

static void rounds(void **state, unsigned count, const struct world *world)
{
	for (unsigned n = 0; n < count; n++) {
		rig_clear(state);
		world_lay(*state, world);
		round_of(*state, n & 1, n & 2, n % 3 == 2 ? FLOWS / 4 : FLOWS, world);
	}
	rig_catch_up(*state);
}

static void nat_roundrobin(void **state)
{
	rounds(state, ROUNDS, &(struct world){ .servers = 3, .ports = 1024 });
}

static void nat_maglev(void **state)
{
	rounds(state, ROUNDS, &(struct world){ .balance = BALANCE_MAGLEV, .servers = 3, .ports = 1024 });
}

static void dsr_roundrobin(void **state)
{
	/* That one ends the other's new record is seen once in some thirty rounds. */
	rounds(state, MANY_ROUNDS, &(struct world){ .forward = FORWARD_DSR, .servers = 3 });
}

/* Few own ports, and both CPUs after them: no port is given twice. */
static void two_cpus_after_the_last_ports(void **state)
{
	struct rig *r = *state;
	struct sender senders[THREADS] = {
		{ .protocol = TCP, .flags = SYN },
		{ .protocol = TCP, .flags = SYN, .first = FLOWS },
	};

	for (unsigned n = 0; n < ROUNDS / 2; n++) {
		rig_clear(state);
		/* Half of the ports may be half-open: just as many as are wanted. */
		world_lay(r, &(struct world){ .servers = 1, .ports = 4 * FLOWS });
		senders[0].v6 = senders[1].v6 = n & 1;
		both_send(r, senders);
		assert_int_equal(rig_live_flows(r, n & 1), 4 * FLOWS);
		rig_check_tables(r);
	}
	rig_catch_up(r);
}

/*
 * Both CPUs make entries give way to theirs in a full table: flows come and go in lines in which the other counts. That
 * each count is exact afterwards is what rig_check_tables() sees.
 */
static void both_fill_the_table(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		struct sender senders[THREADS] = {
			{ .protocol = TCP, .flags = SYN, .v6 = v6, .count = FLOOD },
			{ .protocol = TCP, .flags = SYN, .v6 = v6, .count = FLOOD, .first = FLOOD },
		};

		rig_clear(state);
		world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 3 });
		for (unsigned n = 0; n < 2; n++) {
			both_send(r, senders);
			rig_check_tables(r);
		}
		assert_in_range(rig_live_flows(r, v6), 2 * RIG_BUCKETS, FLOW_WAYS * RIG_BUCKETS);
	}
	rig_catch_up(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(nat_roundrobin),
		rig_test(nat_maglev),
		rig_test(dsr_roundrobin),
		rig_test(two_cpus_after_the_last_ports),
		rig_test(both_fill_the_table),
	};

	return cmocka_run_group_tests_name("cpus", tests, rig_open, rig_close);
}
