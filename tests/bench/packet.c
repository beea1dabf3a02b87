/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nanoseconds a packet costs in the real program, by BPF_PROG_TEST_RUN behind a wrapper that makes each packet anew
 * (wrapper.bpf.c). Called by tests/bench/run; writes JSON to standard output, which tests/bench/report makes tables of.
 * docs/performance.md tells the method. Attaches to nothing and sends nothing.
 *
 * The machine may be busy with other things: rounds go over all rows in turn, the floors among them, and the minimum
 * and the median over the rounds are told.
 */
#include <getopt.h>
#include <jansson.h>
#include <sched.h>
#include <stdlib.h>

#include "measure.h"
#include "rows.h"

enum {
	ROUNDS_DEFAULT = 20,
	ROUNDS_MAX = 1000,
	/*
	 * Packets timed at once: a few ms, so that some runs are undisturbed; not less, for each run waits for two grace
	 * periods of the kernel (some 20 ms), which are not timed.
	 */
	BATCH = 1 << 15,
	FLOOR_RUNS = 6,           /* of each floor in a round: every other figure is told in these */
};

struct row {
	const struct row_kind *kind;
	struct world *world;
	struct shape shape;
	int program;
	uint32_t warm_up;
	unsigned runs;            /* in a round */
	double *ns;               /* of each run */
	unsigned count;
	double min, median;
};

struct bench {
	struct wrapper_bpf *wrapper;
	struct world worlds[WORLD_COUNT];
	struct site sites[SITE_COUNT];
	struct row rows[array_size(rows_wanted)];
	unsigned rounds;
	uint8_t frame[FRAME_MAX];
};

static int fail(int r, const char *what)
{
	if (r == -EINTR)
		fprintf(stderr, "bench: interrupted\n");
	else
		fprintf(stderr, "bench: %s: %s\n", what, strerror(-r));
	return r;
}

static int program_fd(const struct bench *b, int program)
{
	switch (program) {
	case PROGRAM_TX:
		return bpf_program__fd(b->wrapper->progs.floor_tx);
	case PROGRAM_HEAD:
		return bpf_program__fd(b->wrapper->progs.floor_head);
	case PROGRAM_IPIP:
		return bpf_program__fd(b->wrapper->progs.floor_ipip);
	case PROGRAM_LINE:
		return bpf_program__fd(b->wrapper->progs.floor_line);
	default:
		return dataplane_program_fd(b->worlds[program - PROGRAM_LB].d);
	}
}

static int open_worlds(struct bench *b)
{
	char name[64];
	int r;

	b->wrapper = wrapper_bpf__open_and_load();
	if (!b->wrapper)
		return fail(-errno, "cannot load the wrapper");
	for (int i = 0; i < WORLD_COUNT; i++) {
		snprintf(name, sizeof(name), "bench-%d-%s", (int)getpid(), worlds_wanted[i].name);
		r = world_open(&b->worlds[i], name, worlds_wanted[i].buckets4, worlds_wanted[i].buckets6);
		if (r < 0)
			return r;
	}
	for (int i = 0; i < SITE_COUNT; i++) {
		r = world_add(&b->worlds[sites_wanted[i].world], &sites_wanted[i].kind, &b->sites[i]);
		if (r < 0)
			return fail(r, "cannot lay out the services");
	}
	for (int i = 0; i < WORLD_COUNT; i++) {
		r = world_publish(&b->worlds[i]);
		if (r < 0)
			return fail(r, "cannot lay out the service table");
	}
	return 0;
}

/* Sends packets of a site that is not a row's; all must have the verdict. */
static int drive(struct bench *b, int site, enum stream stream, uint32_t flows, uint32_t count, enum verdict verdict)
{
	struct world *w = &b->worlds[sites_wanted[site].world];
	struct shape shape = measure_shape(&b->sites[site], stream, flows);
	const struct world_counts before = world_count(w);
	int r = measure_put(b->wrapper, dataplane_program_fd(w->d));

	if (r == 0)
		r = measure_run(b->wrapper, &shape, count, NULL, b->frame);
	if (r < 0)
		return fail(r, "cannot record the flows");
	return world_expect(w, &before, count, verdict, VERDICT_CONTINUE, sites_wanted[site].name) ? 0 : -EPROTO;
}

/* Opens every flow: TCP by SYN and ACK; UDP in nat by a packet and two answers. */
static int record_flows(struct bench *b)
{
	for (int i = 0; i < SITE_COUNT; i++) {
		const struct site_kind *kind = &sites_wanted[i].kind;
		const uint32_t flows = sites_wanted[i].flows;
		const bool tcp = kind->protocol == IPPROTO_TCP;
		const bool nat = kind->forward == FORWARD_NAT;
		int r = 0;

		if (flows)
			r = drive(b, i, STREAM_OPEN, flows, tcp ? 2 * flows : flows,
				  nat ? VERDICT_NAT_REQUEST : VERDICT_DSR);
		if (r == 0 && flows && nat && !tcp)
			r = drive(b, i, STREAM_REPLY, flows, 2 * flows, VERDICT_NAT_REPLY);
		if (r < 0)
			return r;
	}
	return 0;
}

static int prepare_rows(struct bench *b)
{
	for (size_t i = 0; i < array_size(rows_wanted); i++) {
		struct row *row = &b->rows[i];

		row->kind = &rows_wanted[i];
		row->world = &b->worlds[sites_wanted[row->kind->site].world];
		row->shape = measure_shape(&b->sites[row->kind->site], row->kind->stream, row->kind->flows);
		row->program = row->kind->floor ? row->kind->floor :
						  PROGRAM_LB + sites_wanted[row->kind->site].world;
		/* Flows that fit a cache are there before they are timed; a million fit none. */
		row->warm_up = row->kind->flows >= FEW && row->kind->flows <= MANY ? row->kind->flows : 0;
		row->runs = row->kind->floor ? FLOOR_RUNS : 1;
		row->ns = calloc(b->rounds * row->runs, sizeof(*row->ns));
		if (!row->ns)
			return fail(-ENOMEM, "rows");
	}
	return 0;
}

/* One run of the program that a row is about: warmed up, timed, and seen to do what the row says. */
static int time_row(struct bench *b, struct row *row, double *ret_ns)
{
	const bool lb = !row->kind->floor;
	struct world_counts before;
	int r = 0;

	if (row->program == PROGRAM_LB + WORLD_FRESH)
		world_forget_flows(row->world, row->shape.v6);
	before = world_count(row->world);
	if (row->warm_up)
		r = measure_run(b->wrapper, &row->shape, row->warm_up, NULL, b->frame);
	if (r >= 0)
		r = measure_run(b->wrapper, &row->shape, BATCH, ret_ns, b->frame);
	if (r < 0)
		return fail(r, row->kind->name);
	if (lb && !world_expect(row->world, &before, BATCH + row->warm_up, row->kind->verdict, row->kind->other,
				row->kind->name))
		return -EPROTO;
	if (lb && !measure_is_valid(b->frame, r)) {
		fprintf(stderr, "bench: %s: a packet came out with a wrong checksum\n", row->kind->name);
		return -EPROTO;
	}
	return 0;
}

/* The packets as the wrapper makes them must be right, or nothing that follows is. */
static int check_wrapper(struct bench *b)
{
	int r = measure_put(b->wrapper, program_fd(b, PROGRAM_TX));

	for (size_t i = 0; r >= 0 && i < array_size(rows_wanted); i++) {
		r = measure_run(b->wrapper, &b->rows[i].shape, 1, NULL, b->frame);
		if (r >= 0 && !measure_is_valid(b->frame, r)) {
			fprintf(stderr, "bench: %s: the wrapper makes packets with wrong checksums\n",
				b->rows[i].kind->name);
			return -EPROTO;
		}
	}
	return r < 0 ? fail(r, "the wrapper") : 0;
}

/* A change of the program under test waits for a grace period as well: once for all its rows. */
static int run_round(struct bench *b)
{
	int r = 0;

	for (int program = PROGRAM_TX; r == 0 && program < PROGRAM_END; program++) {
		r = measure_put(b->wrapper, program_fd(b, program));
		for (size_t i = 0; r == 0 && i < array_size(rows_wanted); i++) {
			struct row *row = &b->rows[i];

			for (unsigned n = 0; r == 0 && row->program == program && n < row->runs; n++)
				r = time_row(b, row, &row->ns[row->count++]);
		}
	}
	return r;
}

static int run_rounds(struct bench *b)
{
	for (unsigned round = 0; round < b->rounds; round++) {
		int r = run_round(b);

		if (r < 0)
			return r;
		fprintf(stderr, "\rround %u of %u", round + 1, b->rounds);
	}
	fprintf(stderr, "\n");
	return 0;
}

static int compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void evaluate(struct row *row)
{
	qsort(row->ns, row->count, sizeof(*row->ns), compare_doubles);
	row->min = row->ns[0];
	row->median = (row->ns[(row->count - 1) / 2] + row->ns[row->count / 2]) / 2;
}

static double tenths(double x)
{
	return (double)(long long)(x * 10 + (x < 0 ? -0.5 : 0.5)) / 10;
}

/* Net: less what the wrapper and the empty program cost with packets of the same family. */
static json_t *row_json(const struct row *row, const struct row *base)
{
	const struct row_kind *kind = row->kind;
	const struct site_kind *site = &sites_wanted[kind->site].kind;
	json_t *flows = measure_is_endless(kind->stream) ? json_null() : json_integer(kind->flows);

	return json_pack("{s:s, s:i, s:s, s:o, s:i, s:i, s:f, s:f, s:f, s:f}", "name", kind->name, "family",
			 site->v6 ? 6 : 4, "protocol", site->protocol == IPPROTO_TCP ? "tcp" : "udp", "flows", flows,
			 "services", (int)site->services, "servers", (int)site->servers, "gross_min_ns",
			 tenths(row->min), "gross_median_ns", tenths(row->median), "min_ns",
			 tenths(row->min - base->min), "median_ns", tenths(row->median - base->median));
}

static int print_json(struct bench *b)
{
	json_t *rows = json_array(), *floors = json_array(), *all;
	int r = 0;

	for (size_t i = 0; i < array_size(rows_wanted); i++)
		evaluate(&b->rows[i]);
	for (size_t i = 0; i < array_size(rows_wanted); i++) {
		const struct row *row = &b->rows[i];

		json_array_append_new(row->kind->floor ? floors : rows,
				      row_json(row, &b->rows[row->shape.v6 ? ROW_BASE6 : ROW_BASE4]));
	}
	all = json_pack("{s:i, s:i, s:i, s:o, s:o}", "rounds", (int)b->rounds, "packets_per_run", BATCH,
			"verified_instructions", (int)dataplane_verified_instructions(b->worlds[0].d), "floors", floors,
			"rows", rows);
	if (!all || json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0 || puts("") < 0)
		r = fail(-EIO, "cannot write the figures");
	json_decref(all);
	return r;
}

static void close_all(struct bench *b)
{
	for (size_t i = 0; i < array_size(rows_wanted); i++) {
		free(b->rows[i].ns);
	}
	for (int i = 0; i < WORLD_COUNT; i++)
		world_close(&b->worlds[i]);
	wrapper_bpf__destroy(b->wrapper);
}

static void on_signal(int number)
{
	measure_stopped = 1;
}

/* Stays on the CPU where it is: the counters and caches of another would be cold. */
static void stay_on_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int usage(FILE *to, int code)
{
	fprintf(to, "usage: packet [--rounds N]\n\n"
		    "Nanoseconds a packet costs, as JSON. Needs root; takes 2 to 3 s a round. N: 1 to %d, default %d.\n",
		ROUNDS_MAX, ROUNDS_DEFAULT);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' }, {}
	};
	static struct bench b = { .rounds = ROUNDS_DEFAULT };
	int r;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c != 'r')
			return usage(stderr, 2);
		b.rounds = strtoul(optarg, NULL, 10);
		if (!b.rounds || b.rounds > ROUNDS_MAX)
			return usage(stderr, 2);
	}
	if (optind < argc)
		return usage(stderr, 2);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	stay_on_cpu();
	r = open_worlds(&b);
	if (r == 0)
		r = record_flows(&b);
	if (r == 0)
		r = prepare_rows(&b);
	if (r == 0)
		r = check_wrapper(&b);
	if (r == 0)
		r = run_rounds(&b);
	if (r == 0)
		r = print_json(&b);
	close_all(&b);
	return r < 0;
}
