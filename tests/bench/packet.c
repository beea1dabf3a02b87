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
	SIZED_FLOOR_RUNS = 2,     /* the same beside each path's sizes */
};

struct row {
	const char *name;
	const struct site *site;
	struct world *world;
	struct shape shape;
	bool endless;             /* every packet is of another flow */
	uint32_t flows;
	enum verdict verdict, other;
	bool floor;               /* not the balancer */
	bool fresh;               /* the flow table is emptied before each run */
	int program;              /* PROGRAM_*; of the first table only */
	uint32_t warm_up;
	unsigned runs;            /* in a round */
	double *ns;               /* of each run */
	unsigned count;
	double min, median;
};

/* One path at all sizes, and the floor beside it. */
struct sized {
	struct world worlds[array_size(sizes_wanted)];
	struct site sites[array_size(sizes_wanted)];
	struct row rows[array_size(sizes_wanted)], base;
};

struct bench {
	struct wrapper_bpf *wrapper;
	struct world worlds[WORLD_COUNT];
	struct site sites[SITE_COUNT];
	struct row rows[array_size(rows_wanted)];
	json_t *sizes;
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
static int drive(struct bench *b, const struct world *w, const struct site *site, enum stream stream, uint32_t flows,
		 uint32_t count, enum verdict verdict, const char *name)
{
	struct shape shape = measure_shape(site, stream, flows);
	const struct world_counts before = world_count(w);
	int r = measure_put(b->wrapper, dataplane_program_fd(w->d));

	if (r == 0)
		r = measure_run(b->wrapper, &shape, count, NULL, b->frame);
	if (r < 0)
		return fail(r, "cannot record the flows");
	return world_expect(w, &before, count, verdict, VERDICT_CONTINUE, name) ? 0 : -EPROTO;
}

/* Opens every flow of a site: TCP by SYN and ACK; UDP in nat by a packet and two answers. */
static int record_flows(struct bench *b, const struct world *w, const struct site *site, uint32_t flows, const char *name)
{
	const bool tcp = site->kind.protocol == IPPROTO_TCP;
	const bool nat = site->kind.forward == FORWARD_NAT;
	int r;

	if (!flows)
		return 0;
	r = drive(b, w, site, STREAM_OPEN, flows, tcp ? 2 * flows : flows, nat ? VERDICT_NAT_REQUEST : VERDICT_DSR, name);
	if (r == 0 && nat && !tcp)
		r = drive(b, w, site, STREAM_REPLY, flows, 2 * flows, VERDICT_NAT_REPLY, name);
	return r;
}

static int record_all(struct bench *b)
{
	int r = 0;

	for (int i = 0; r == 0 && i < SITE_COUNT; i++)
		r = record_flows(b, &b->worlds[sites_wanted[i].world], &b->sites[i], sites_wanted[i].flows,
				 sites_wanted[i].name);
	return r;
}

/* Shape, how often, and room for the figures, of a row that says what it is about. */
static int prepare_row(const struct bench *b, struct row *row, enum stream stream, unsigned runs)
{
	row->shape = measure_shape(row->site, stream, row->flows);
	row->endless = measure_is_endless(stream);
	/* Flows that fit a cache are there before they are timed; a million fit none. */
	row->warm_up = row->flows >= FEW && row->flows <= MANY ? row->flows : 0;
	row->runs = runs;
	row->ns = calloc(b->rounds * row->runs, sizeof(*row->ns));
	return row->ns ? 0 : fail(-ENOMEM, "rows");
}

static int prepare_rows(struct bench *b)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < array_size(rows_wanted); i++) {
		const struct row_kind *kind = &rows_wanted[i];
		const int world = sites_wanted[kind->site].world;

		b->rows[i] = (struct row){ .name = kind->name, .site = &b->sites[kind->site], .world = &b->worlds[world],
					   .flows = kind->flows, .verdict = kind->verdict, .other = kind->other,
					   .floor = kind->floor != 0, .fresh = !kind->floor && world == WORLD_FRESH,
					   .program = kind->floor ? kind->floor : PROGRAM_LB + world };
		r = prepare_row(b, &b->rows[i], kind->stream, kind->floor ? FLOOR_RUNS : 1);
	}
	return r;
}

/* One run of the program that a row is about: warmed up, timed, and seen to do what the row says. */
static int time_row(struct bench *b, struct row *row, double *ret_ns)
{
	struct world_counts before;
	int r = 0;

	if (row->fresh)
		world_forget_flows(row->world, row->shape.v6);
	before = world_count(row->world);
	if (row->warm_up)
		r = measure_run(b->wrapper, &row->shape, row->warm_up, NULL, b->frame);
	if (r >= 0)
		r = measure_run(b->wrapper, &row->shape, BATCH, ret_ns, b->frame);
	if (r < 0)
		return fail(r, row->name);
	if (!row->floor &&
	    !world_expect(row->world, &before, BATCH + row->warm_up, row->verdict, row->other, row->name))
		return -EPROTO;
	if (!row->floor && !measure_is_valid(b->frame, r)) {
		fprintf(stderr, "bench: %s: a packet came out with a wrong checksum\n", row->name);
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
				b->rows[i].name);
			return -EPROTO;
		}
	}
	return r < 0 ? fail(r, "the wrapper") : 0;
}

static int time_runs(struct bench *b, struct row *row)
{
	int r = 0;

	for (unsigned n = 0; r == 0 && n < row->runs; n++)
		r = time_row(b, row, &row->ns[row->count++]);
	return r;
}

/* A change of the program under test waits for a grace period as well: once for all its rows. */
static int run_round(struct bench *b)
{
	int r = 0;

	for (int program = PROGRAM_TX; r == 0 && program < PROGRAM_END; program++) {
		r = measure_put(b->wrapper, program_fd(b, program));
		for (size_t i = 0; r == 0 && i < array_size(rows_wanted); i++)
			if (b->rows[i].program == program)
				r = time_runs(b, &b->rows[i]);
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
	const struct site_kind *site = &row->site->kind;
	json_t *flows = row->endless ? json_null() : json_integer(row->flows);

	return json_pack("{s:s, s:i, s:s, s:o, s:i, s:i, s:f, s:f, s:f, s:f}", "name", row->name, "family",
			 site->v6 ? 6 : 4, "protocol", site->protocol == IPPROTO_TCP ? "tcp" : "udp", "flows", flows,
			 "services", (int)site->services, "servers", (int)site->servers, "gross_min_ns",
			 tenths(row->min), "gross_median_ns", tenths(row->median), "min_ns",
			 tenths(row->min - base->min), "median_ns", tenths(row->median - base->median));
}

/* ---- the same at other sizes ---- */

static int open_size(struct bench *b, struct sized *s, const struct path *path, size_t i)
{
	struct site_kind kind = path->kind;
	char name[64];
	int r;

	kind.services = sizes_wanted[i].services;
	kind.servers = sizes_wanted[i].servers;
	snprintf(name, sizeof(name), "bench-%d-size%zu", (int)getpid(), i);
	r = world_open(&s->worlds[i], name, 0, BUCKETS6_UNUSED);
	if (r < 0)
		return r;
	r = world_add(&s->worlds[i], &kind, &s->sites[i]);
	if (r == 0)
		r = world_publish(&s->worlds[i]);
	if (r < 0)
		return fail(r, "cannot lay out the services");
	r = record_flows(b, &s->worlds[i], &s->sites[i], path->recorded, path->name);
	if (r < 0)
		return r;
	s->rows[i] = (struct row){ .name = path->name, .site = &s->sites[i], .world = &s->worlds[i], .flows = path->flows,
				   .verdict = path->verdict, .fresh = path->fresh };
	return prepare_row(b, &s->rows[i], path->stream, 1);
}

static int time_sizes(struct bench *b, struct sized *s)
{
	int r = 0;

	for (unsigned round = 0; r == 0 && round < b->rounds; round++) {
		r = measure_put(b->wrapper, program_fd(b, PROGRAM_TX));
		if (r == 0)
			r = time_runs(b, &s->base);
		for (size_t i = 0; r == 0 && i < array_size(sizes_wanted); i++) {
			r = measure_put(b->wrapper, dataplane_program_fd(s->worlds[i].d));
			if (r == 0)
				r = time_runs(b, &s->rows[i]);
		}
	}
	return r;
}

static json_t *size_json(const struct row *row, const struct row *base)
{
	const bool turns = row->site->kind.balance == BALANCE_ROUNDROBIN;
	json_t *all = row_json(row, base);

	json_object_set_new(all, "balance", json_string(turns ? "roundrobin" : "maglev"));
	json_object_set_new(all, "slots", json_integer(row->site->slots));
	json_object_set_new(all, "service_places", json_integer(1LL << row->world->size4_log2));
	json_object_set_new(all, "flow_places", json_integer((json_int_t)row->world->m->bucket4_count * FLOW_WAYS));
	return all;
}

/* One path, its sizes side by side: they are compared with one another. */
static int run_path(struct bench *b, const struct path *path)
{
	struct sized s = {};
	int r = 0;

	for (size_t i = 0; r == 0 && i < array_size(sizes_wanted); i++)
		r = open_size(b, &s, path, i);
	if (r == 0) {
		s.base = (struct row){ .name = "floor", .site = &s.sites[0], .world = &s.worlds[0], .flows = 1, .floor = true };
		r = prepare_row(b, &s.base, STREAM_REQUEST, SIZED_FLOOR_RUNS);
	}
	if (r == 0)
		r = time_sizes(b, &s);
	if (r == 0)
		evaluate(&s.base);
	for (size_t i = 0; i < array_size(sizes_wanted); i++) {
		if (r == 0) {
			evaluate(&s.rows[i]);
			json_array_append_new(b->sizes, size_json(&s.rows[i], &s.base));
		}
		free(s.rows[i].ns);
		world_close(&s.worlds[i]);
	}
	free(s.base.ns);
	return r;
}

static int run_sizes(struct bench *b)
{
	int r = 0;

	b->sizes = json_array();
	for (size_t i = 0; r == 0 && i < array_size(paths_wanted); i++) {
		fprintf(stderr, "\rother sizes: %zu of %zu", i + 1, array_size(paths_wanted));
		r = run_path(b, &paths_wanted[i]);
	}
	fprintf(stderr, "\n");
	return r;
}

static int print_json(struct bench *b)
{
	json_t *rows = json_array(), *floors = json_array(), *all;
	int r = 0;

	for (size_t i = 0; i < array_size(rows_wanted); i++)
		evaluate(&b->rows[i]);
	for (size_t i = 0; i < array_size(rows_wanted); i++) {
		const struct row *row = &b->rows[i];

		json_array_append_new(row->floor ? floors : rows,
				      row_json(row, &b->rows[row->shape.v6 ? ROW_BASE6 : ROW_BASE4]));
	}
	all = json_pack("{s:i, s:i, s:i, s:o, s:o, s:O}", "rounds", (int)b->rounds, "packets_per_run", BATCH,
			"verified_instructions", (int)dataplane_verified_instructions(b->worlds[0].d), "floors", floors,
			"rows", rows, "sizes", b->sizes);
	if (!all || json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0 || puts("") < 0)
		r = fail(-EIO, "cannot write the figures");
	json_decref(all);
	return r;
}

static void close_all(struct bench *b)
{
	for (size_t i = 0; i < array_size(rows_wanted); i++)
		free(b->rows[i].ns);
	for (int i = 0; i < WORLD_COUNT; i++)
		world_close(&b->worlds[i]);
	json_decref(b->sizes);
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
		    "Nanoseconds a packet costs, as JSON. Needs root; takes 3 to 5 s a round. N: 1 to %d, default %d.\n",
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
		r = record_all(&b);
	if (r == 0)
		r = prepare_rows(&b);
	if (r == 0)
		r = check_wrapper(&b);
	if (r == 0)
		r = run_rounds(&b);
	if (r == 0)
		r = run_sizes(&b);
	if (r == 0)
		r = print_json(&b);
	close_all(&b);
	return r < 0;
}
