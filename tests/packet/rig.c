/* SPDX-License-Identifier: BSD-2-Clause */
#include "rig.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../namespaces.h"

static struct rig rig;

enum action { ACTION_PASS, ACTION_DROP, ACTION_TX, ACTION_SEND };

static const struct {
	const char *name;
	enum action action;
} verdicts[VERDICT_MAX] = {
	{ "continue", ACTION_DROP },
#define X(name, action, label, text) { label, ACTION_##action },
	VERDICTS(X)
#undef X
};

const char *verdict_name(enum verdict v)
{
	return v < VERDICT_MAX ? verdicts[v].name : "?";
}

bool verdict_sends(enum verdict v)
{
	return verdicts[v].action == ACTION_SEND || verdicts[v].action == ACTION_TX;
}

static int open_map(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return bpf_obj_get(path);
}

static void *map_of(const char *dir, const char *name, size_t size)
{
	int fd = open_map(dir, name);
	void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

int rig_open(void **state)
{
	return rig_open_sized(state, RIG_BUCKETS);
}

int rig_open_sized(void **state, uint32_t buckets4)
{
	char error[DATAPLANE_ERROR_MAX], name[64], dir[128];
	struct dataplane_options options = {
		.name = name, .slots = RIG_SLOTS, .ports = RIG_PORTS,
		.buckets4 = buckets4, .buckets6 = RIG_BUCKETS, .fresh = true,
	};

	snprintf(name, sizeof(name), "packet-test-%d", getpid());
	snprintf(dir, sizeof(dir), DATAPLANE_PIN_ROOT "/%s", name);
	if (namespaces_enter() < 0) {
		print_error("cannot make namespaces: %s; run as root\n", strerror(errno));
		return -1;
	}
	if (dataplane_open(&options, &rig.dataplane, error) < 0) {
		print_error("%s\n", error);
		return -1;
	}
	rig.m = dataplane_maps(rig.dataplane);
	rig.program_fd = dataplane_program_fd(rig.dataplane);
	rig.devices_fd = dataplane_devices_fd(rig.dataplane);
	rig.budgets_fd = open_map(dir, "reset_budgets");
	rig.fragments_fd[0] = open_map(dir, "fragments4");
	rig.fragments_fd[1] = open_map(dir, "fragments6");
	rig.cursors = map_of(dir, "cursors", MAX_BACKENDS * sizeof(*rig.cursors));
	rig.locks = map_of(dir, "locks", LOCK_COUNT * sizeof(*rig.locks));
	if (rig.devices_fd < 0 || rig.budgets_fd < 0 || rig.fragments_fd[0] < 0 || rig.fragments_fd[1] < 0 ||
	    !rig.cursors || !rig.locks) {
		print_error("cannot open the maps under %s\n", dir);
		return -1;
	}
	*state = &rig;
	return 0;
}

static void forget_world(struct rig *r)
{
	for (size_t i = 0; i < r->services.count; i++)
		vec_done(&r->services.items[i].servers);
	vec_done(&r->services);
	vec_done(&r->entries);
	vec_done(&r->seen.services);
	memset(r->servers, 0, sizeof(r->servers));
	r->server_count = r->address_count = 1;
	r->slots_used = r->ports_used = 0;
}

int rig_close(void **state)
{
	struct rig *r = &rig;

	forget_world(r);
	if (r->budgets_fd > 0)
		close(r->budgets_fd);
	for (int i = 0; i < 2; i++)
		if (r->fragments_fd[i] > 0)
			close(r->fragments_fd[i]);
	if (r->cursors)
		munmap(r->cursors, MAX_BACKENDS * sizeof(*r->cursors));
	if (r->locks)
		munmap(r->locks, LOCK_COUNT * sizeof(*r->locks));
	dataplane_close(r->dataplane, false);
	return 0;
}

/* Deletes what is in a map of the kernel's own, whatever its keys are. */
static void empty_map(int fd)
{
	uint64_t key[16];

	while (bpf_map_get_next_key(fd, NULL, key) == 0)
		bpf_map_delete_elem(fd, key);
}

int rig_clear(void **state)
{
	struct rig *r = &rig;

	forget_world(r);
	memset(r->m->control, 0, sizeof(*r->m->control));
	memset(r->m->flows4, 0, r->m->bucket4_count * sizeof(*r->m->flows4));
	memset(r->m->flows6, 0, r->m->bucket6_count * sizeof(*r->m->flows6));
	memset(r->m->hops, 0, MAX_HOPS * sizeof(*r->m->hops));
	memset(r->m->use, 0, MAX_SERVERS * sizeof(*r->m->use));
	memset(r->m->addresses, 0, MAX_ADDRESSES * sizeof(*r->m->addresses));
	memset(r->cursors, 0, MAX_BACKENDS * sizeof(*r->cursors));
	memset(r->locks, 0, LOCK_COUNT * sizeof(*r->locks));
	for (unsigned half = 0; half < 2; half++) {
		memset(r->m->services4 + half * SERVICE_TABLE_MAX, 0, 64 * sizeof(*r->m->services4));
		memset(r->m->services6 + half * SERVICE_TABLE_MAX, 0, 64 * sizeof(*r->m->services6));
		memset(r->m->servers + half * MAX_SERVERS, 0, RIG_SERVERS * sizeof(*r->m->servers));
	}
	empty_map(r->devices_fd);
	empty_map(r->fragments_fd[0]);
	empty_map(r->fragments_fd[1]);
	rig_catch_up(r);
	return 0;
}

/* The counters. */

static void add_traffic(struct traffic *sum, const struct traffic *t)
{
	sum->packets_in += t->packets_in;
	sum->bytes_in += t->bytes_in;
	sum->packets_out += t->packets_out;
	sum->bytes_out += t->bytes_out;
	sum->connections += t->connections;
	sum->refused += t->refused;
}

static struct traffic less_traffic(const struct traffic *now, const struct traffic *before)
{
	return (struct traffic){
		now->packets_in - before->packets_in, now->bytes_in - before->bytes_in,
		now->packets_out - before->packets_out, now->bytes_out - before->bytes_out,
		now->connections - before->connections, now->refused - before->refused,
	};
}

static bool no_traffic(const struct traffic *t)
{
	static const struct traffic none;

	return memcmp(t, &none, sizeof(none)) == 0;
}

static struct traffic sum_service(const struct rig *r, size_t id)
{
	struct traffic sum = {};

	for (uint32_t cpu = 0; cpu < r->m->cpu_count; cpu++)
		add_traffic(&sum, &r->m->service_counters[cpu * MAX_SERVICES + id]);
	return sum;
}

static struct traffic sum_server(const struct rig *r, size_t id)
{
	struct traffic sum = {};

	for (uint32_t cpu = 0; cpu < r->m->cpu_count; cpu++)
		add_traffic(&sum, &r->m->server_counters[cpu * MAX_SERVERS + id]);
	return sum;
}

static struct counter sum_verdict(const struct rig *r, unsigned verdict)
{
	struct counter sum = {};

	for (uint32_t cpu = 0; cpu < r->m->cpu_count; cpu++) {
		sum.packets += r->m->verdict_counters[cpu * VERDICT_MAX + verdict].packets;
		sum.bytes += r->m->verdict_counters[cpu * VERDICT_MAX + verdict].bytes;
	}
	return sum;
}

static uint64_t sum_event(const struct rig *r, unsigned event)
{
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < r->m->cpu_count; cpu++)
		sum += r->m->event_counters[cpu * EVENT_MAX + event];
	return sum;
}

void rig_catch_up(struct rig *r)
{
	struct rig_sums *seen = &r->seen;

	while (seen->services.count < r->services.count)
		assert_non_null(vec_push(&seen->services));
	for (unsigned v = 0; v < VERDICT_MAX; v++)
		seen->verdicts[v] = sum_verdict(r, v);
	for (unsigned e = 0; e < EVENT_MAX; e++)
		seen->events[e] = sum_event(r, e);
	for (size_t i = 0; i < seen->services.count; i++)
		seen->services.items[i] = sum_service(r, i);
	for (uint32_t id = 0; id < r->server_count; id++)
		seen->servers[id] = sum_server(r, id);
}

uint64_t rig_verdicts(const struct rig *r, enum verdict v)
{
	return sum_verdict(r, v).packets;
}

void rig_add_device(struct rig *r, unsigned nic)
{
	assert_int_equal(bpf_map_update_elem(r->devices_fd, &nic, &nic, BPF_ANY), 0);
}

static void fill_budgets(const struct rig *r)
{
	static const uint64_t zeros[2 * RIG_CPUS_MAX];
	const uint32_t zero = 0;

	assert_true(r->m->cpu_count <= RIG_CPUS_MAX);
	assert_int_equal(bpf_map_update_elem(r->budgets_fd, &zero, zeros, BPF_ANY), 0);
}

/* Exactly one verdict counter moves, by one packet. */
static void find_verdict(struct rig *r, struct outcome *o, uint64_t *ret_bytes)
{
	enum verdict found = VERDICT_CONTINUE;

	for (unsigned v = 0; v < VERDICT_MAX; v++) {
		struct counter now = sum_verdict(r, v), *before = &r->seen.verdicts[v];

		if (now.packets == before->packets && now.bytes == before->bytes)
			continue;
		if (found || now.packets != before->packets + 1)
			fail_msg("one packet moved counter %s by %d, after %s", verdict_name(v),
				 (int)(now.packets - before->packets), verdict_name(found));
		found = v;
		*ret_bytes = now.bytes - before->bytes;
		*before = now;
	}
	if (!found)
		fail_msg("a packet moved no verdict's counter");
	o->verdict = found;
}

/* At most one service's and one server's counters move, and by the same, but for a refusal. */
static void find_traffic(struct rig *r, struct outcome *o)
{
	struct traffic of_server = {};

	o->service = -1;
	o->server = 0;
	o->traffic = (struct traffic){};
	for (size_t i = 0; i < r->services.count; i++) {
		struct traffic now = sum_service(r, i);
		struct traffic moved = less_traffic(&now, &r->seen.services.items[i]);

		if (no_traffic(&moved))
			continue;
		if (o->service >= 0)
			fail_msg("one packet moved the counters of services %d and %zu", o->service, i);
		o->service = i;
		o->traffic = moved;
		r->seen.services.items[i] = now;
	}
	for (uint32_t id = 0; id < r->server_count; id++) {
		struct traffic now = sum_server(r, id);
		struct traffic moved = less_traffic(&now, &r->seen.servers[id]);

		if (no_traffic(&moved))
			continue;
		if (o->server || !id)
			fail_msg("one packet moved the counters of servers %u and %u", o->server, id);
		o->server = id;
		of_server = moved;
		r->seen.servers[id] = now;
	}
	of_server.refused = o->traffic.refused;
	if (memcmp(&of_server, &o->traffic, sizeof(of_server)) != 0)
		fail_msg("service %d and server %u count differently: %llu/%llu packets in, %llu/%llu out, %llu/%llu "
			 "connections", o->service, o->server, o->traffic.packets_in, of_server.packets_in,
			 o->traffic.packets_out, of_server.packets_out, o->traffic.connections,
			 of_server.connections);
}

/* Goes where another packet went, and is counted for no service: a later fragment, an ICMP error. */
static bool is_counted_elsewhere(const struct frame *f, enum verdict verdict)
{
	const uint8_t *ip = f->bytes + frame_l3(f);

	if (verdict == VERDICT_ICMP_ERROR)
		return true;
	if (load16(ip - 2) == 0x86dd)
		return ip[6] != TCP && ip[6] != UDP;
	return load16(ip + 6) & 0x1fff;
}

/* What the counters must have moved by for this verdict. */
static void check_traffic(const struct outcome *o, const struct frame *f, uint64_t bytes)
{
	const struct traffic *t = &o->traffic;
	const bool in = o->verdict == VERDICT_NAT_REQUEST || o->verdict == VERDICT_TRANSPARENT_REQUEST ||
			o->verdict == VERDICT_DSR || o->verdict == VERDICT_IPIP;
	const bool out = o->verdict == VERDICT_NAT_REPLY || o->verdict == VERDICT_TRANSPARENT_REPLY;

	if (no_traffic(t) && is_counted_elsewhere(f, o->verdict))
		return;
	assert_int_equal(t->packets_in, in);
	assert_int_equal(t->bytes_in, in ? bytes : 0);
	assert_int_equal(t->packets_out, out);
	assert_int_equal(t->bytes_out, out ? bytes : 0);
	assert_in_range(t->connections, 0, 1);
	assert_in_range(t->refused, 0, 1);
	if (t->refused)
		assert_false(in || out || t->connections);
}

/*
 * The bytes a packet is counted with: IP's, or the frame's where the IP header is none, claims what can't be, or is another
 * host's.
 */
static uint64_t counted_bytes(const struct frame *f, enum verdict verdict)
{
	const size_t l3 = frame_l3(f);
	const uint8_t *ip = f->bytes + l3;
	const size_t rest = f->length > l3 ? f->length - l3 : 0;
	uint64_t length = 0;

	if (l3 > ETH_SIZE + 2 * 4 || verdict == VERDICT_OTHER_HOST)
		return f->length;
	if (load16(ip - 2) == 0x86dd && rest >= IP6_SIZE && ip[0] >> 4 == 6)
		length = IP6_SIZE + load16(ip + 4);
	if (load16(ip - 2) == 0x0800 && rest >= IP4_SIZE && ip[0] >> 4 == 4 && (ip[0] & 15) >= 5 &&
	    load16(ip + 2) >= (ip[0] & 15) * 4)
		length = load16(ip + 2);
	return length && length <= rest ? length : f->length;
}

/* One run. A negative return is the kernel's refusal of the frame. */
static int test_run(const struct rig *r, const struct frame *in, unsigned nic, struct frame *out, uint32_t *ret)
{
	struct xdp_md md = { .data_end = in->length, .ingress_ifindex = nic ? nic : NIC };
	LIBBPF_OPTS(bpf_test_run_opts, opts,
		.data_in = in->bytes, .data_size_in = in->length,
		.data_out = out->bytes, .data_size_out = sizeof(out->bytes),
		.ctx_in = &md, .ctx_size_in = sizeof(md),
	);
	int e = bpf_prog_test_run_opts(r->program_fd, &opts);

	out->length = opts.data_size_out;
	*ret = opts.retval;
	return e;
}

uint32_t rig_run_raw(const struct rig *r, const struct frame *in, unsigned nic, struct frame *out)
{
	uint32_t action = XDP_ABORTED;

	return test_run(r, in, nic, out, &action) < 0 ? XDP_ABORTED : action;
}

void rig_run(struct rig *r, const struct frame *in, unsigned nic, struct outcome *ret)
{
	static const char *const names[] = { "aborted", "drop", "pass", "tx", "redirect" };
	enum action action;
	uint64_t bytes = 0;
	int e;

	fill_budgets(r);
	e = test_run(r, in, nic, &ret->out, &ret->action);
	if (e < 0)
		fail_msg("the kernel refuses to run a frame of %zu bytes: %s", in->length, strerror(-e));
	if (ret->action == XDP_ABORTED || ret->action > XDP_REDIRECT)
		fail_msg("the program returned %u", ret->action);
	find_verdict(r, ret, &bytes);
	find_traffic(r, ret);
	check_traffic(ret, in, bytes);
	for (unsigned i = 0; i < EVENT_MAX; i++) {
		const uint64_t now = sum_event(r, i);

		ret->events[i] = now - r->seen.events[i];
		r->seen.events[i] = now;
	}
	if (bytes != counted_bytes(in, ret->verdict))
		fail_msg("%s counted %llu bytes, not %llu", verdict_name(ret->verdict), (unsigned long long)bytes,
			 (unsigned long long)counted_bytes(in, ret->verdict));
	action = verdicts[ret->verdict].action;
	if (!(action == ACTION_PASS ? ret->action == XDP_PASS :
	      action == ACTION_DROP ? ret->action == XDP_DROP :
	      action == ACTION_TX   ? ret->action == XDP_TX :
				      ret->action == XDP_TX || ret->action == XDP_REDIRECT))
		fail_msg("verdict %s, but action %s", verdict_name(ret->verdict), names[ret->action]);
	if (action == ACTION_PASS)
		rig_same_frame("passes untouched", &ret->out, in);
	/* A sum that came wrong goes on wrong, for the receiver to find; what we say ourselves is right. */
	if (verdict_sends(ret->verdict) && frame_wrong(&ret->out) && (action == ACTION_TX || !frame_wrong(in)))
		fail_msg("%s: %s", verdict_name(ret->verdict), frame_wrong(&ret->out));
}

/* Comparing. */

static void print_frame(const char *what, const struct frame *f, const struct frame *other)
{
	print_error("  %s, %zu bytes ([] where they differ):", what, f->length);
	for (size_t i = 0; i < f->length && i < 160; i++) {
		const bool differs = i >= other->length || f->bytes[i] != other->bytes[i];

		if (i % 16 == 0)
			print_error("\n    %4zu ", i);
		print_error(differs ? "[%02x]" : " %02x ", f->bytes[i]);
	}
	print_error("\n");
}

void rig_same_frame(const char *what, const struct frame *got, const struct frame *wanted)
{
	if (got->length == wanted->length && memcmp(got->bytes, wanted->bytes, got->length) == 0)
		return;
	print_error("%s: another packet came out\n", what);
	print_frame("wanted", wanted, got);
	print_frame("got", got, wanted);
	fail();
}

void rig_step(struct rig *r, const struct step *step)
{
	static struct outcome o;
	static struct frame in, wanted;

	frame_build(&step->in, &in);
	rig_run(r, &in, step->in.nic, &o);
	if (o.verdict != step->verdict)
		fail_msg("%s: verdict %s, not %s", step->what, verdict_name(o.verdict), verdict_name(step->verdict));
	if (step->out.to) {
		frame_build(&step->out, &wanted);
		rig_same_frame(step->what, &o.out, &wanted);
	} else if (verdict_sends(o.verdict)) {
		fail_msg("%s: the step does not say what leaves", step->what);
	}
	if (verdict_sends(o.verdict) && (o.action == XDP_REDIRECT) != step->redirected)
		fail_msg("%s: leaves by %s NIC", step->what, step->redirected ? "the same" : "another");
	if (step->server && o.server != step->server)
		fail_msg("%s: counted for server %u, not %u", step->what, o.server, step->server);
	if (o.traffic.connections != step->connections || o.traffic.refused != step->refused)
		fail_msg("%s: %llu connections and %llu refused, not %u and %u", step->what, o.traffic.connections,
			 o.traffic.refused, step->connections, step->refused);
	if (o.events[EVENT_EARLY_REUSE] != step->early_reuse || o.events[EVENT_UNRECORDED] != step->unrecorded ||
	    o.events[EVENT_HOPS_FULL] != step->hops_full)
		fail_msg("%s: events early_reuse %llu, unrecorded %llu, hops_full %llu, not %u, %u, %u", step->what,
			 (unsigned long long)o.events[EVENT_EARLY_REUSE],
			 (unsigned long long)o.events[EVENT_UNRECORDED],
			 (unsigned long long)o.events[EVENT_HOPS_FULL], step->early_reuse, step->unrecorded,
			 step->hops_full);
}
