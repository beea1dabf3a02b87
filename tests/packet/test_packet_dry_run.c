/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dry run says what will become of a packet, and changes nothing: every map of the program that steers is the same
 * afterwards, byte for byte; and the same packet, given to that program, fares as was foretold, byte for byte.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/dry_run.h"
#include "wire.h"
#include "world.h"

enum { MAPS_MAX = 64, CUT = 400 };

/* One map of the program: what it holds, as it lies in memory, or element by element. */
struct held {
	int fd;
	struct bpf_map_info info;
	void *memory;           /* of the map; NULL: it can't be mapped */
	size_t size;            /* of memory */
	uint8_t *before;        /* a copy; of an unmapped one its keys and values */
	size_t before_size;
};

static struct held held[MAPS_MAX];
static size_t held_count;
static struct dry_run *dry;
static struct dry_run_result told;
static struct frame in, whole, first;
static struct outcome o;

static int open_maps(const struct rig *r)
{
	struct bpf_prog_info info = {};
	uint32_t ids[MAPS_MAX], length = sizeof(info);

	info.nr_map_ids = MAPS_MAX;
	info.map_ids = (uintptr_t)ids;
	if (bpf_obj_get_info_by_fd(r->program_fd, &info, &length) < 0 || info.nr_map_ids > MAPS_MAX)
		return -1;
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		struct held *h = &held[held_count++];
		const size_t page = sysconf(_SC_PAGESIZE);

		h->fd = bpf_map_get_fd_by_id(ids[i]);
		length = sizeof(h->info);
		if (h->fd < 0 || bpf_obj_get_info_by_fd(h->fd, &h->info, &length) < 0)
			return -1;
		if (!(h->info.map_flags & BPF_F_MMAPABLE))
			continue;
		h->size = ((size_t)(h->info.value_size + 7) / 8 * 8 * h->info.max_entries + page - 1) / page * page;
		h->memory = mmap(NULL, h->size, PROT_READ, MAP_SHARED, h->fd, 0);
		if (h->memory == MAP_FAILED)
			return -1;
	}
	return 0;
}

static int open_all(void **state)
{
	char error[DATAPLANE_ERROR_MAX];

	if (rig_open(state) < 0)
		return -1;
	if (open_maps(*state) < 0) {
		print_error("cannot open the program's maps: %s\n", strerror(errno));
		return -1;
	}
	if (dry_run_open(((struct rig *)*state)->dataplane, &dry, error) < 0) {
		print_error("%s\n", error);
		return -1;
	}
	return 0;
}

static int close_all(void **state)
{
	for (size_t i = 0; i < held_count; i++) {
		free(held[i].before);
		if (held[i].memory)
			munmap(held[i].memory, held[i].size);
		close(held[i].fd);
	}
	dry_run_close(dry);
	return rig_close(state);
}

/* Keys and values, in the map's order, of what can't be mapped: hashes, and what each CPU has of its own. */
static uint8_t *read_elements(const struct held *h, size_t *ret_size)
{
	const bool percpu = h->info.type == BPF_MAP_TYPE_PERCPU_ARRAY;
	const size_t value = percpu ? (h->info.value_size + 7) / 8 * 8 * libbpf_num_possible_cpus() :
				      h->info.value_size;
	const size_t each = h->info.key_size + value;
	uint8_t *all = NULL, *key = NULL;
	size_t count = 0;

	while (true) {
		uint8_t next[256];

		assert_true(h->info.key_size <= sizeof(next));
		if (bpf_map_get_next_key(h->fd, key, next) < 0)
			break;
		all = realloc(all, (count + 1) * each);
		assert_non_null(all);
		key = all + count * each;
		memcpy(key, next, h->info.key_size);
		assert_int_equal(bpf_map_lookup_elem(h->fd, key, key + h->info.key_size), 0);
		count++;
	}
	*ret_size = count * each;
	return all;
}

static void remember_all(void)
{
	for (size_t i = 0; i < held_count; i++) {
		struct held *h = &held[i];

		if (h->memory) {
			if (!h->before)
				h->before = malloc(h->size);
			assert_non_null(h->before);
			memcpy(h->before, h->memory, h->size);
		} else {
			free(h->before);
			h->before = read_elements(h, &h->before_size);
		}
	}
}

static void nothing_has_changed(const char *what)
{
	for (size_t i = 0; i < held_count; i++) {
		const struct held *h = &held[i];
		uint8_t *now = h->memory;
		size_t size = h->size;

		if (!now)
			now = read_elements(h, &size);
		if ((!h->memory && size != h->before_size) || (size && memcmp(now, h->before, size) != 0))
			fail_msg("%s: the dry run changed map %s", what, h->info.name);
		if (!h->memory)
			free(now);
	}
}

static const struct explanation *ask(const char *what, unsigned nic)
{
	const int e = dry_run_packet(dry, nic ? nic : NIC, in.bytes, in.length, &told);

	if (e < 0)
		fail_msg("%s: %s", what, strerror(-e));
	return &told.explanation;
}

/* Asks what will become of `in`, looks whether anything was changed, lets it happen, and compares. */
static const struct explanation *foretell(struct rig *r, const char *what, enum verdict verdict, unsigned nic)
{
	const struct explanation *e = &told.explanation;

	assert_int_equal(dry_run_copy(dry), 0);
	remember_all();
	ask(what, nic);
	nothing_has_changed(what);
	if (e->verdict != verdict)
		fail_msg("%s: %s was foretold, not %s", what, verdict_name(e->verdict), verdict_name(verdict));
	rig_run(r, &in, nic, &o);
	if (o.verdict != verdict)
		fail_msg("%s: %s came, not %s", what, verdict_name(o.verdict), verdict_name(verdict));
	assert_int_equal(told.passed, o.action == XDP_PASS);
	if (verdict_sends(verdict)) {
		struct frame out = { .length = told.length };

		memcpy(out.bytes, told.packet, told.length);
		rig_same_frame(what, &out, &o.out);
	} else {
		assert_int_equal(told.length, 0);
	}
	if (o.server)
		assert_int_equal(e->server, o.server);
	if (o.service >= 0 && e->steps & EXPLAIN_SERVICE)
		assert_int_equal(e->service, o.service);
	return e;
}

static const struct explanation *foretell_packet(struct rig *r, const char *what, const struct packet *p,
						 enum verdict verdict)
{
	frame_build(p, &in);
	return foretell(r, what, verdict, p->nic);
}

static void has_steps(const struct explanation *e, uint64_t steps)
{
	if (e->steps != steps)
		fail_msg("steps %#llx, not %#llx", (unsigned long long)e->steps, (unsigned long long)steps);
}

static void nat_connection(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet syn = client_packet(v6, TCP, 40000, SYN), ack = client_packet(v6, TCP, 40000, ACK);
		const struct explanation *e;
		struct packet sent, answer;
		unsigned port;

		port = own_port(r, &syn, v6 ? 2 : 1);
		sent = towards_server(&syn, r, v6 ? 2 : 1, port);
		answer = server_answer(&sent, SYN | ACK);
		e = foretell_packet(r, "a new connection", &syn, VERDICT_NAT_REQUEST);
		has_steps(e, EXPLAIN_SERVICE | EXPLAIN_RECORD_ASKED | EXPLAIN_TURN | EXPLAIN_OWN_PORT |
				     EXPLAIN_RECORDED);
		assert_int_equal(ntohs(e->own_port), sent.sport);
		assert_int_equal(SLOT_CURRENT(e->slot), e->server);
		e = foretell_packet(r, "its answer", &answer, VERDICT_NAT_REPLY);
		has_steps(e, EXPLAIN_REPLY);
		assert_int_equal(FLOW_SERVER(e->flow), v6 ? 2 : 1);
		e = foretell_packet(r, "the client's answer", &ack, VERDICT_NAT_REQUEST);
		has_steps(e, EXPLAIN_SERVICE | EXPLAIN_RECORD_ASKED | EXPLAIN_RECORD_FOUND);
		e = foretell_packet(r, "data", &ack, VERDICT_NAT_REQUEST);
		assert_true(FLOW_STATE(e->flow) & FLOW_PROVEN);
		ack.flags = RST | ACK;
		foretell_packet(r, "its reset", &ack, VERDICT_NAT_REQUEST);
		e = foretell_packet(r, "the port again", &syn, VERDICT_NAT_REQUEST);
		assert_true(e->steps & (EXPLAIN_REOPENED | EXPLAIN_FORGOTTEN));
		ack = client_packet(v6, TCP, 40001, ACK);
		e = foretell_packet(r, "a connection that nobody knows", &ack, VERDICT_NO_FLOW);
		has_steps(e, EXPLAIN_SERVICE | EXPLAIN_RECORD_ASKED | EXPLAIN_OLD_TABLE);
	}
}

static void nat_datagrams(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < 4; i++) {
			struct packet udp = client_packet(v6, UDP, 40000 + i, 0);
			const uint32_t before = told.explanation.server;

			foretell_packet(r, "a datagram", &udp, VERDICT_NAT_REQUEST);
			if (i)
				assert_int_not_equal(told.explanation.server, before); /* it is the other's turn */
			foretell_packet(r, "the next one", &udp, VERDICT_NAT_REQUEST);
		}
}

static void slots(void **state)
{
	struct rig *r = *state;
	static const enum abi_forward forwards[] = { FORWARD_DSR, FORWARD_IPIP };

	for (unsigned f = 0; f < array_size(forwards); f++) {
		rig_clear(state);
		world_lay(r, &(struct world){ .forward = forwards[f], .balance = BALANCE_MAGLEV, .servers = 2 });
		for (int v6 = 0; v6 < 2; v6++) {
			const enum verdict sent = f ? VERDICT_IPIP : VERDICT_DSR;
			struct packet syn = client_packet(v6, TCP, 40000, SYN), ack = client_packet(v6, TCP, 40000, ACK);
			const struct explanation *e = foretell_packet(r, "clean", &syn, sent);
			uint32_t owner = e->server;
			uint64_t *slot = &r->m->slots[e->slot_index];

			has_steps(e, EXPLAIN_SERVICE | EXPLAIN_SLOT);
			assert_int_equal(SLOT_CURRENT(e->slot), owner);
			*slot = SLOT(owner ^ 3, owner, SLOT_DIRTY);
			if (v6)
				*slot = SLOT(owner == 3 ? 4 : 3, owner, SLOT_DIRTY);
			e = foretell_packet(r, "dirty, established", &ack, sent);
			has_steps(e, EXPLAIN_SERVICE | EXPLAIN_SLOT | EXPLAIN_RECORD_ASKED | EXPLAIN_RECORDED);
			assert_int_equal(e->server, owner);
			e = foretell_packet(r, "and recorded", &ack, sent);
			has_steps(e, EXPLAIN_SERVICE | EXPLAIN_SLOT | EXPLAIN_RECORD_ASKED | EXPLAIN_RECORD_FOUND);
			syn.sport++;
			foretell_packet(r, "another", &syn, sent);
		}
	}
}

static void what_leaves_nobody(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){});
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, SYN);

		foretell_packet(r, "no server is up", &p, VERDICT_REJECTED);
		p.flags = SYN | FIN;
		has_steps(foretell_packet(r, "malformed", &p, VERDICT_MALFORMED), EXPLAIN_SERVICE);
		p.dport = 81;
		p.flags = SYN;
		has_steps(foretell_packet(r, "no service", &p, VERDICT_NO_SERVICE), 0);
		p = client_packet(v6, UDP, 40000, 0);
		foretell_packet(r, "no server is up for UDP", &p, VERDICT_REJECTED);
	}
	rig_clear(state);
	world_lay(r, &(struct world){ .servers = 1, .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, SYN);

		p.ttl = 1;
		assert_int_equal(foretell_packet(r, "no hop to live", &p, VERDICT_TTL_TOLD)->server, v6 ? 2 : 1);
		p = client_packet(v6, TCP, 40000, ACK);
		p.payload = 2000;
		foretell_packet(r, "too big", &p, VERDICT_TOO_BIG_TOLD);
		world_set_flags(r, v6 ? 2 : 1, 0, SERVER_RESOLVED);
		p.payload = 0;
		assert_int_equal(foretell_packet(r, "no way", &p, VERDICT_NO_NEIGHBOUR)->server, v6 ? 2 : 1);
	}
	memset(in.bytes, 0xff, 60);
	in.length = 60;
	foretell(r, "not IP", VERDICT_NOT_IP, 0);
}

static void fragments(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, UDP, 40000, 0);

		p.payload = 1000;
		frame_build(&p, &whole);
		wire_fragment(&whole, CUT, 0xffff, 7, &in);
		has_steps(foretell(r, "a later one before its first", VERDICT_FRAGMENT, 0), EXPLAIN_FRAGMENT);
		wire_fragment(&whole, 0, CUT, 7, &in);
		foretell(r, "the first one", VERDICT_NAT_REQUEST, 0);
		wire_fragment(&whole, CUT, 0xffff, 7, &in);
		has_steps(foretell(r, "a later one", VERDICT_NAT_REQUEST, 0), EXPLAIN_FRAGMENT | EXPLAIN_FRAGMENT_WAY);
	}
}

static void icmp(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	world_unowned(r, VIP4, true);
	world_unowned(r, VIP6, true);
	world_publish(r);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet syn = client_packet(v6, TCP, 40000, SYN), sent, back;
		struct wire_icmp i = { .p = { .l2_from = L2_CLIENT, .l2_to = L2_LB, .from = v6 ? CLIENT6 : CLIENT4,
					      .to = v6 ? VIP6 : VIP4 }, .type = v6 ? 128 : 8,
				       .data = (const uint8_t *)"0123456789abcdef", .length = 16 };

		wire_icmp(&i, &in);
		foretell(r, "echo", VERDICT_ECHO, 0);
		sent = towards_server(&syn, r, v6 ? 2 : 1, own_port(r, &syn, v6 ? 2 : 1));
		foretell_packet(r, "a connection", &syn, VERDICT_NAT_REQUEST);
		back = server_answer(&sent, SYN | ACK);
		back = towards_client(&back, &syn);
		frame_build(&back, &first);
		i.type = v6 ? 1 : 3;
		i.code = v6 ? 4 : 3;
		i.data = first.bytes + ETH_SIZE;
		i.length = first.length - ETH_SIZE;
		wire_icmp(&i, &in);
		has_steps(foretell(r, "the client has no such port", VERDICT_ICMP_ERROR, 0),
			  EXPLAIN_ERROR | EXPLAIN_SERVICE | EXPLAIN_RECORD_ASKED | EXPLAIN_RECORD_FOUND);
	}
}

/* Packets that are asked about together follow each other; at the next copy all of it never was. */
static void a_conversation(void **state)
{
	struct rig *r = *state;
	struct packet syn = client_packet(false, TCP, 40000, SYN), ack = client_packet(false, TCP, 40000, ACK);

	world_lay(r, &(struct world){ .servers = 1 });
	assert_int_equal(dry_run_copy(dry), 0);
	remember_all();
	for (int i = 0; i < 2; i++) {
		frame_build(&ack, &in);
		assert_int_equal(ask("data of nobody", 0)->verdict, VERDICT_NO_FLOW);
		frame_build(&syn, &in);
		assert_int_equal(ask("its SYN", 0)->verdict, VERDICT_NAT_REQUEST);
		frame_build(&ack, &in);
		assert_int_equal(ask("data", 0)->verdict, VERDICT_NAT_REQUEST);
		assert_int_equal(dry_run_copy(dry), 0);
	}
	nothing_has_changed("a conversation");
	assert_int_equal(rig_live_flows(r, false), 0);
}

static void sizes(void **state)
{
	struct rig *r = *state;
	struct packet p = client_packet(false, TCP, 40000, ACK);

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 1 });
	assert_int_equal(dry_run_packet(dry, NIC, in.bytes, DRY_RUN_PACKET_MIN - 1, &told), -EINVAL);
	assert_int_equal(dry_run_packet(dry, NIC, in.bytes, DRY_RUN_PACKET_MAX + 1, &told), -EINVAL);
	assert_int_equal(dry_run_packet(dry, 0, in.bytes, 60, &told), -EINVAL);
	assert_true(dry_run_packet(dry, 12345, in.bytes, 60, &told) < 0);
	memset(in.bytes, 0, DRY_RUN_PACKET_MIN);
	in.length = DRY_RUN_PACKET_MIN;
	ask("the smallest", 0);
	p.payload = DRY_RUN_PACKET_MAX - ETH_SIZE - IP4_SIZE - TCP_SIZE;
	frame_build(&p, &in);
	assert_int_equal(in.length, DRY_RUN_PACKET_MAX);
	assert_int_equal(ask("the largest", 0)->verdict, VERDICT_TOO_BIG_TOLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(nat_connection),
		rig_test(nat_datagrams),
		rig_test(slots),
		rig_test(what_leaves_nobody),
		rig_test(fragments),
		rig_test(icmp),
		rig_test(a_conversation),
		rig_test(sizes),
	};

	return cmocka_run_group_tests_name("dry_run", tests, open_all, close_all);
}
