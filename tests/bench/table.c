/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow table's choice, measured: our own buckets (bpf/flow.h, compiled into table.bpf.c as they are) beside the
 * kernel's LRU hash, with one list of free entries for all CPUs and with one for each. Called by tests/bench/run; writes
 * JSON to standard output, which tests/bench/report makes tables of. docs/performance.md tells what the figures mean.
 *
 * A run is a loop within the kernel, so that no system call is in a figure; the loop and the making of keys are taken
 * off. Needs root and, for ten million flows, 2 GB of memory for a few seconds.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <alwayson/abi.h>
#include <alwayson/explain.h>
#include <alwayson/hash.h>

#include "base/cleanup.h"

#include "table.h"
#include "table.skel.h"

enum {
	RUN = 1 << 16,             /* operations timed at once */
	RUNS_MIN = 24,
	RUNS_MAX = 1 << 10,
	CHOSEN = 1024,             /* keys of an attacker */
	CHOSEN_BUCKETS = 1024,     /* ... against a table of so many buckets, all aimed at ... */
	CHOSEN_AIMED_AT = 32,      /* ... the first few of them */
	FLOOD_ENTRIES = 1 << 20,   /* capacity of the tables that are flooded */
	FLOOD_ESTABLISHED = 1 << 17,
	FLOOD_FLOWS = 1 << 22,
	RACE_FLOWS = 1 << 20,      /* that several CPUs insert at the same time */
	WALK_FLOWS = 1 << 20,
	WALK_BATCH = 1 << 14,
};

enum kind { OURS, LRU, LRU_PER_CPU, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = { "ours", "lru", "lru_per_cpu" };

/* Operations, and the programs that do them. */
enum operation { NOTHING, FIND, INSERT };

struct table {
	enum kind kind;
	struct table_bpf *skel;
	struct bucket4 *buckets;   /* ours */
	uint32_t bucket_count;
	uint64_t capacity, bytes;
};

static unsigned cpus;

static int fail(int r, const char *what)
{
	fprintf(stderr, "bench: table: %s: %s\n", what, strerror(-r));
	return r;
}

/* ---- tables ---- */

/* What the kernel says a map takes. */
static uint64_t map_bytes(int fd)
{
	char path[64], line[128];
	unsigned long long bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	if (f)
		fclose(f);
	return bytes;
}

static void table_close(struct table *t)
{
	if (t->buckets)
		munmap(t->buckets, t->bucket_count * sizeof(*t->buckets));
	table_bpf__destroy(t->skel);
	memset(t, 0, sizeof(*t));
}

/* The buckets must be a power of two; at most four in ten places are to be taken. */
static uint32_t buckets_for(uint64_t flows)
{
	uint32_t buckets = 2;

	while ((uint64_t)buckets * FLOW_WAYS * 4 < flows * 10)
		buckets *= 2;
	return buckets;
}

/* A table for `flows`, with the room that its kind needs to hold them, or (exact) with places for just as many. */
static int table_open(struct table *t, enum kind kind, uint64_t flows, bool exact, const struct hash_key *key)
{
	struct bpf_map *map;
	int r;

	*t = (struct table){ .kind = kind, .skel = table_bpf__open() };
	if (!t->skel)
		return fail(-errno, "cannot open the programs");
	bpf_object__for_each_map(map, t->skel->obj)
		if (!bpf_map__is_internal(map) && map != t->skel->maps.flows4 && map != t->skel->maps.locks &&
		    map != t->skel->maps.chosen && map != t->skel->maps.kernel_table)
			bpf_map__set_max_entries(map, 4096); /* not used; flow.h names them */
	t->bucket_count = kind != OURS ? 2 : exact ? flows / FLOW_WAYS : buckets_for(flows);
	t->capacity = kind == OURS ? (uint64_t)t->bucket_count * FLOW_WAYS :
				     (exact ? flows : flows + flows / 4) * (kind == LRU_PER_CPU && !exact ? cpus : 1);
	bpf_map__set_max_entries(t->skel->maps.flows4, t->bucket_count);
	bpf_map__set_max_entries(t->skel->maps.kernel_table, kind == OURS ? cpus * 8 : t->capacity);
	if (kind == LRU_PER_CPU)
		bpf_map__set_map_flags(t->skel->maps.kernel_table, BPF_F_NO_COMMON_LRU);
	t->skel->rodata->flow_mask4 = t->bucket_count - 1;
	t->skel->rodata->flow_key.k[0] = key->k[0];
	t->skel->rodata->flow_key.k[1] = key->k[1];
	r = table_bpf__load(t->skel);
	if (r < 0)
		return fail(r, "cannot load the programs");
	t->bytes = map_bytes(bpf_map__fd(kind == OURS ? t->skel->maps.flows4 : t->skel->maps.kernel_table));
	if (kind != OURS)
		return 0;
	t->buckets = mmap(NULL, t->bucket_count * sizeof(*t->buckets), PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(t->skel->maps.flows4), 0);
	if (t->buckets == MAP_FAILED) {
		t->buckets = NULL;
		return fail(-errno, "cannot map the table");
	}
	return 0;
}

static const struct hash_key a_key = { { 0x5851f42d4c957f2dULL, 0x14057b7ef767814fULL } };

static int program_of(const struct table *t, enum operation operation)
{
	const struct bpf_program *p;

	if (operation == NOTHING)
		p = t->skel->progs.nothing;
	else if (operation == FIND)
		p = t->kind == OURS ? t->skel->progs.ours_find : t->skel->progs.kernel_find;
	else
		p = t->kind == OURS ? t->skel->progs.ours_insert : t->skel->progs.kernel_insert;
	return bpf_program__fd(p);
}

/* One run on this CPU; *ret_ns is of the whole of it. The order says what came of it. */
static int run_once(struct table *t, enum operation operation, const struct order *order, double *ret_ns)
{
	uint8_t frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	struct order *o = &t->skel->bss->orders[sched_getcpu() % TABLE_CPUS];

	*o = *order;
	if (bpf_prog_test_run_opts(program_of(t, operation), &opts) < 0)
		return fail(-errno, "a run");
	*ret_ns = opts.duration;
	return 0;
}

static int compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *ns, size_t count)
{
	qsort(ns, count, sizeof(*ns), compare_doubles);
	return count ? (ns[(count - 1) / 2] + ns[count / 2]) / 2 : 0;
}

struct result {
	double ns;                 /* an operation, the median of the runs */
	uint64_t done, refused, busy;
};

/*
 * `count` operations from flow `base` on, cycling over `flows`, in runs of RUN. Where a run may be repeated without
 * another outcome there are at least RUNS_MIN of them.
 */
static int operate(struct table *t, enum operation operation, const struct order *what, uint64_t count,
		   struct result *ret)
{
	static double ns[RUNS_MAX];
	const uint64_t a_run = count < RUN ? count : RUN;
	const uint64_t runs = operation != INSERT && count / a_run < RUNS_MIN ? RUNS_MIN : count / a_run;
	size_t kept = 0;

	*ret = (struct result){};
	for (uint64_t n = 0; n < runs; n++) {
		const struct order *o = &t->skel->bss->orders[sched_getcpu() % TABLE_CPUS];
		struct order order = *what;
		double all;
		int r;

		order.first = n * a_run % what->flows;
		order.count = a_run;
		r = run_once(t, operation, &order, &all);
		if (r < 0)
			return r;
		if (kept < RUNS_MAX)
			ns[kept++] = all / a_run;
		ret->done += o->done;
		ret->refused += o->refused;
		ret->busy += o->busy;
	}
	ret->ns = median(ns, kept);
	return 0;
}

/* How many of the flows are in the table now. */
static int count_kept(struct table *t, uint64_t base, uint64_t flows, uint64_t *ret)
{
	const struct order order = { .flows = flows, .base = base };
	uint64_t kept = 0;

	for (uint64_t at = 0; at < flows; at += RUN) {
		struct order one = order;
		double ns;
		int r;

		one.first = at;
		one.count = flows - at < RUN ? flows - at : RUN;
		r = run_once(t, FIND, &one, &ns);
		if (r < 0)
			return r;
		kept += t->skel->bss->orders[sched_getcpu() % TABLE_CPUS].done;
	}
	*ret = kept;
	return 0;
}

/* ---- what is measured ---- */

static double tenths(double x)
{
	return (double)(long long)(x * 10 + (x < 0 ? -0.5 : 0.5)) / 10;
}

/* Inserts into an empty table, and then look-ups of what is there and of what is not. */
static int measure_size(enum kind kind, uint64_t flows, json_t *rows)
{
	const struct order order = { .flows = flows, .state = FLOW_OPENED | FLOW_PROVEN };
	const struct order absent = { .flows = flows, .base = 1ULL << 30 };
	struct result insert, find, miss, nothing;
	struct table t;
	uint64_t kept;
	double inserts[16];
	/* A thousand inserts are few: some tables of them. */
	unsigned tables = flows < RUN ? array_size(inserts) : 1;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < tables; i++) {
		r = table_open(&t, kind, flows, false, &a_key);
		if (r == 0)
			r = operate(&t, INSERT, &order, flows, &insert);
		inserts[i] = insert.ns;
		if (r < 0 || i + 1 < tables)
			table_close(&t);
	}
	if (r == 0)
		r = count_kept(&t, 0, flows, &kept);
	if (r == 0)
		r = operate(&t, FIND, &order, flows, &find);
	if (r == 0)
		r = operate(&t, FIND, &absent, flows, &miss);
	if (r == 0)
		r = operate(&t, NOTHING, &order, flows, &nothing);
	if (r == 0)
		json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "table", kind_names[kind],
						      "flows", (json_int_t)flows, "capacity", (json_int_t)t.capacity,
						      "bytes", (json_int_t)t.bytes, "lost", (json_int_t)(flows - kept),
						      "hit_ns", tenths(find.ns - nothing.ns), "miss_ns",
						      tenths(miss.ns - nothing.ns), "insert_ns",
						      tenths(median(inserts, tables) - nothing.ns)));
	table_close(&t);
	return r;
}

/* Connections that speak now and then while flows of one packet each come in, four times as many as there are places. */
static int measure_flood(enum kind kind, json_t *rows)
{
	const struct order established = { .flows = FLOOD_ESTABLISHED, .state = FLOW_OPENED | FLOW_PROVEN };
	struct result r1, nothing, flood, sum = {};
	uint64_t kept = 0;
	double ns[FLOOD_FLOWS / FLOOD_ESTABLISHED];
	size_t n = 0;
	struct table t;
	int r = table_open(&t, kind, FLOOD_ENTRIES, true, &a_key);

	if (r == 0)
		r = operate(&t, INSERT, &established, FLOOD_ESTABLISHED, &r1);
	/* Half a table of flood between two packets of a connection. */
	for (uint64_t at = 0; r == 0 && at < FLOOD_FLOWS; at += FLOOD_ESTABLISHED) {
		const struct order flows = { .flows = FLOOD_ESTABLISHED, .base = (1ULL << 24) + at,
					     .state = FLOW_OPENED };

		r = operate(&t, INSERT, &flows, FLOOD_ESTABLISHED, &flood);
		ns[n++] = flood.ns;
		sum.done += flood.done;
		sum.refused += flood.refused;
		if (r == 0 && n % (FLOOD_ENTRIES / 2 / FLOOD_ESTABLISHED) == 0)
			r = operate(&t, FIND, &established, FLOOD_ESTABLISHED, &r1);
	}
	if (r == 0)
		r = count_kept(&t, 0, FLOOD_ESTABLISHED, &kept);
	if (r == 0)
		r = operate(&t, NOTHING, &established, FLOOD_ESTABLISHED, &nothing);
	if (r == 0)
		json_array_append_new(rows, json_pack("{s:s, s:I, s:i, s:i, s:I, s:I, s:f}", "table", kind_names[kind],
						      "capacity", (json_int_t)t.capacity, "established", FLOOD_ESTABLISHED,
						      "flood", FLOOD_FLOWS, "lost",
						      (json_int_t)(FLOOD_ESTABLISHED - kept), "refused",
						      (json_int_t)sum.refused, "insert_ns",
						      tenths(median(ns, n) - nothing.ns)));
	table_close(&t);
	return r;
}

struct racer {
	struct table *t;
	pthread_barrier_t *start;
	unsigned cpu;
	struct result result;
	int r;
};

static void *race(void *arg)
{
	struct racer *me = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(me->cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	pthread_barrier_wait(me->start);
	/* All have the same flows in the same order: as near to each other as can be. */
	for (uint64_t at = 0; me->r == 0 && at < RACE_FLOWS; at += RUN / 4) {
		const struct order order = { .first = at, .count = RUN / 4, .flows = RACE_FLOWS,
					     .state = FLOW_OPENED | FLOW_PROVEN };
		const struct order *o = &me->t->skel->bss->orders[me->cpu % TABLE_CPUS];
		double ns;

		me->r = run_once(me->t, INSERT, &order, &ns);
		me->result.ns += ns / RACE_FLOWS;
		me->result.done += o->done;
		me->result.refused += o->refused;
		me->result.busy += o->busy;
	}
	return NULL;
}

static uint64_t count_entries(const struct table *t)
{
	uint64_t n = 0;

	for (uint32_t b = 0; b < t->bucket_count; b++)
		for (unsigned way = 0; way < FLOW_WAYS; way++)
			n += t->buckets[b].entries[way].tag != 0;
	return n;
}

/* Every CPU inserts the same flows at once. A flow twice in the table is a fault; one that is not there is lost. */
static int measure_race(enum kind kind, json_t *rows)
{
	_cleanup_free_ struct racer *racers = calloc(cpus, sizeof(*racers));
	_cleanup_free_ pthread_t *threads = calloc(cpus, sizeof(*threads));
	struct result sum = {};
	pthread_barrier_t start;
	uint64_t kept = 0, entries;
	struct table t;
	int r = racers && threads ? table_open(&t, kind, RACE_FLOWS, false, &a_key) : -ENOMEM;

	if (r < 0)
		return r;
	pthread_barrier_init(&start, NULL, cpus);
	for (unsigned i = 0; i < cpus; i++) {
		racers[i] = (struct racer){ .t = &t, .start = &start, .cpu = i };
		if (pthread_create(&threads[i], NULL, race, &racers[i]))
			abort();
	}
	for (unsigned i = 0; i < cpus; i++) {
		pthread_join(threads[i], NULL);
		sum.ns += racers[i].result.ns / cpus;
		sum.done += racers[i].result.done;
		sum.refused += racers[i].result.refused;
		sum.busy += racers[i].result.busy;
		r = racers[i].r < 0 ? racers[i].r : r;
	}
	pthread_barrier_destroy(&start);
	if (r == 0)
		r = count_kept(&t, 0, RACE_FLOWS, &kept);
	entries = kind == OURS ? count_entries(&t) : sum.done;
	if (r == 0)
		json_array_append_new(rows, json_pack("{s:s, s:i, s:i, s:I, s:I, s:I, s:f}", "table", kind_names[kind],
						      "cpus", (int)cpus, "flows", RACE_FLOWS, "twice",
						      (json_int_t)(entries > kept ? entries - kept : 0), "lost",
						      (json_int_t)(RACE_FLOWS - kept), "busy", (json_int_t)sum.busy,
						      "insert_ns", tenths(sum.ns)));
	table_close(&t);
	return r;
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* The times of all entries, as the agent reads them: by memory, and by batched system calls. */
static int walk(struct table *t, uint64_t *ret_entries, uint64_t *ret_sum)
{
	_cleanup_free_ struct kernel_key *keys = calloc(WALK_BATCH, sizeof(*keys));
	_cleanup_free_ struct kernel_value *values = calloc(WALK_BATCH, sizeof(*values));
	uint64_t entries = 0, sum = 0;
	uint32_t at = 0, count = WALK_BATCH;
	bool first = true;

	if (!keys || !values)
		return -ENOMEM;
	for (uint32_t b = 0; t->kind == OURS && b < t->bucket_count; b++)
		for (unsigned way = 0; way < FLOW_WAYS; way++) {
			const uint64_t tag = __atomic_load_n(&t->buckets[b].entries[way].tag, __ATOMIC_RELAXED);

			entries += tag != 0;
			sum += FLOW_TICK(tag);
		}
	for (int r = 0; t->kind != OURS && r == 0; first = false) {
		count = WALK_BATCH;
		r = bpf_map_lookup_batch(bpf_map__fd(t->skel->maps.kernel_table), first ? NULL : &at, &at, keys, values,
					 &count, NULL);
		if (r < 0 && errno != ENOENT)
			return -errno;
		for (uint32_t i = 0; i < count; i++)
			sum += FLOW_TICK(values[i].tag);
		entries += count;
	}
	*ret_entries = entries;
	*ret_sum = sum;
	return 0;
}

static int measure_walk(enum kind kind, json_t *rows)
{
	const struct order order = { .flows = WALK_FLOWS, .state = FLOW_OPENED | FLOW_PROVEN };
	struct result insert;
	uint64_t entries = 0, sum;
	double ns[5];
	struct table t;
	int r = table_open(&t, kind, WALK_FLOWS, false, &a_key);

	if (r == 0)
		r = operate(&t, INSERT, &order, WALK_FLOWS, &insert);
	for (size_t i = 0; r == 0 && i < array_size(ns); i++) {
		const double before = now_ns();

		r = walk(&t, &entries, &sum);
		ns[i] = now_ns() - before;
	}
	if (r == 0)
		json_array_append_new(rows, json_pack("{s:s, s:I, s:f}", "table", kind_names[kind], "entries",
						      (json_int_t)entries, "entry_ns",
						      tenths(median(ns, array_size(ns)) / entries)));
	table_close(&t);
	return r;
}

/* Keys that an attacker chooses who knows all but the key of the hash: both buckets of each are among the first few. */
static uint64_t choose(uint64_t *words, size_t count)
{
	const struct hash_key none = {};
	const uint64_t tail = 1 | (uint64_t)6 << 16, mask = CHOSEN_BUCKETS - 1;
	uint64_t tried = 0;

	for (size_t n = 0; n < count; tried++) {
		const uint64_t word = (uint32_t)(0x0100000a + (tried >> 16) * 0x10000) | (tried & 0xffff) << 32;
		const uint64_t hash = hash_2(&none, word | 0x5000ULL << 48, tail);

		if ((hash & mask) < CHOSEN_AIMED_AT && flow_second(hash, hash & mask, mask) < CHOSEN_AIMED_AT)
			words[n++] = word;
	}
	return tried;
}

static int measure_chosen(bool keyed, json_t *rows)
{
	static uint64_t words[CHOSEN];
	const uint64_t tried = choose(words, CHOSEN);
	const struct hash_key none = {};
	const struct order order = { .flows = CHOSEN, .state = FLOW_OPENED | FLOW_PROVEN, .listed = 1 };
	struct result insert;
	struct table t;
	int r = table_open(&t, OURS, CHOSEN_BUCKETS * FLOW_WAYS, true, keyed ? &a_key : &none);

	for (uint32_t i = 0; r == 0 && i < CHOSEN; i++)
		r = bpf_map__update_elem(t.skel->maps.chosen, &i, sizeof(i), &words[i], sizeof(words[i]), 0);
	if (r == 0)
		r = operate(&t, INSERT, &order, CHOSEN, &insert);
	if (r == 0)
		json_array_append_new(rows, json_pack("{s:b, s:i, s:I, s:i, s:I, s:I}", "keyed", keyed, "keys", CHOSEN,
						      "tried", (json_int_t)tried, "capacity",
						      CHOSEN_BUCKETS * FLOW_WAYS, "kept", (json_int_t)insert.done,
						      "refused", (json_int_t)insert.refused));
	table_close(&t);
	return r;
}

/* Connections one after the other into a table that is given no more room: how full is it when the first is refused? */
static int measure_first_refusal(double *ret_share)
{
	enum { ENTRIES = 1 << 20, STEP = 1 << 12 };
	struct table t;
	uint64_t at = 0;
	int r = table_open(&t, OURS, ENTRIES, true, &a_key);

	for (; r == 0 && at < ENTRIES; at += STEP) {
		const struct order order = { .count = STEP, .flows = STEP, .base = at,
					     .state = FLOW_OPENED | FLOW_PROVEN };
		struct order *o = &t.skel->bss->orders[sched_getcpu() % TABLE_CPUS];
		double ns;

		r = run_once(&t, INSERT, &order, &ns);
		if (o->refused)
			break;
	}
	*ret_share = (double)at / ENTRIES;
	table_close(&t);
	return r;
}

static int measure_all(uint64_t most, json_t **ret)
{
	static const uint64_t sizes[] = { 1 << 10, 1 << 16, 1 << 20, 10 << 20 };
	json_t *rows = json_array(), *flood = json_array(), *races = json_array(), *walks = json_array(),
	       *chosen = json_array();
	double first_refusal = 0;
	int r = 0;

	for (size_t i = 0; i < array_size(sizes) && sizes[i] <= most; i++)
		for (int kind = 0; r == 0 && kind < KIND_COUNT; kind++)
			r = measure_size(kind, sizes[i], rows);
	for (int kind = 0; r == 0 && kind < KIND_COUNT; kind++)
		r = measure_flood(kind, flood);
	for (int kind = 0; r == 0 && kind < KIND_COUNT; kind++)
		r = measure_race(kind, races);
	for (int kind = 0; r == 0 && kind <= LRU; kind++)
		r = measure_walk(kind, walks);
	for (int keyed = 0; r == 0 && keyed < 2; keyed++)
		r = measure_chosen(keyed, chosen);
	if (r == 0)
		r = measure_first_refusal(&first_refusal);
	*ret = json_pack("{s:i, s:f, s:o, s:o, s:o, s:o, s:o}", "run", RUN, "first_refusal", first_refusal, "rows", rows,
			 "flood", flood, "race", races, "walk", walks, "chosen", chosen);
	return r;
}

/* The orders are each CPU's own. */
static void stay_on_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int usage(FILE *to, int code)
{
	fprintf(to, "usage: table [--flows N]\n\n"
		    "Our flow table beside the kernel's LRU hash, as JSON. Needs root; takes about a minute, and 2 GB of\n"
		    "memory for ten million flows. N: at most so many flows, default all (%d).\n", 10 << 20);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "flows", required_argument, NULL, 'f' }, { "help", no_argument, NULL, 'h' }, {}
	};
	uint64_t most = 10 << 20;
	json_t *all = NULL;
	int r;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c != 'f')
			return usage(stderr, 2);
		most = strtoull(optarg, NULL, 10);
		if (most < 1 << 10)
			return usage(stderr, 2);
	}
	if (optind < argc)
		return usage(stderr, 2);
	libbpf_set_print(silent);
	stay_on_cpu();
	cpus = get_nprocs();
	r = measure_all(most, &all);
	if (r == 0 && (!all || json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0 || puts("") < 0))
		r = fail(-EIO, "cannot write the figures");
	json_decref(all);
	return r < 0;
}
