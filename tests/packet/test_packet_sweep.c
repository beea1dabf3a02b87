/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random and broken packets by the hundred thousand: whatever comes in, the program never aborts, and what it sends
 * goes to a server of the world or to the client it belongs to, with right sums. Seeded: ALWAYSON_SEED=N repeats a run,
 * ALWAYSON_SWEEP=N says how many packets (default 200000; with LONG in the environment ten million).
 */
#include <arpa/inet.h>
#include <string.h>

#include "world.h"

enum { PACKETS = 200000, PACKETS_LONG = 10000000, SEED = 1, SWEEP_EVERY = 10000, SEEN = 256, CLIENTS = 64 };

static uint64_t random_state;

/* xorshift64*, Vigna 2016. */
static uint32_t any(uint32_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 0x2545f4914f6cdd1dULL) >> 32) % below;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* Every way to forward and to choose, in both families, and a service whose servers are down. */
static void lay(struct rig *r)
{
	static const struct {
		uint16_t port;
		enum abi_forward forward;
		enum abi_balance balance;
	} kinds[] = {
		{ 80, FORWARD_NAT, BALANCE_ROUNDROBIN }, { 81, FORWARD_NAT, BALANCE_MAGLEV },
		{ 82, FORWARD_DSR, BALANCE_ROUNDROBIN }, { 83, FORWARD_DSR, BALANCE_MAGLEV },
		{ 84, FORWARD_DSR, BALANCE_SOURCE },     { 85, FORWARD_NAT, BALANCE_SOURCE },
	};

	for (int v6 = 0; v6 < 2; v6++) {
		uint32_t ids[3];

		for (unsigned i = 0; i < 3; i++)
			ids[i] = world_server(r, &(struct world_server){
				.addr = v6 ? (const char *[]){ "fd00::4", "fd00::5", "fd00::6" }[i] :
					     (const char *[]){ "10.0.0.1", "10.0.0.2", "10.0.0.3" }[i],
				.port = i ? 8080 : 0, .ports = 256, .own = v6 ? OWN6 : OWN4,
			});
		for (size_t i = 0; i < array_size(kinds); i++)
			for (unsigned udp = 0; udp < 2; udp++)
				world_service(r, &(struct world_service){
					.addr = v6 ? VIP6 : VIP4, .port = kinds[i].port, .protocol = udp ? UDP : TCP,
					.forward = kinds[i].forward, .balance = kinds[i].balance,
				}, ids, 3);
		for (unsigned udp = 0; udp < 2; udp++)
			world_service(r, &(struct world_service){
				.addr = v6 ? VIP6 : VIP4, .port = 86, .protocol = udp ? UDP : TCP,
			}, NULL, 0);
		world_own(r, v6 ? OWN6 : OWN4);
	}
	world_publish(r);
}

static void a_client_sends(struct frame *ret)
{
	static const uint8_t flags[] = { SYN, SYN, SYN, ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, SYN | ACK, 0 };
	struct packet p = client_packet(any(2), any(2) ? TCP : UDP, 1024 + any(CLIENTS), flags[any(array_size(flags))]);

	p.dport = 80 + any(8);
	p.seq = any(UINT32_MAX);
	p.payload = any(4) ? any(100) : any(1500);
	p.ttl = any(10) ? 64 : any(4);
	p.l2_from = any(10) ? L2_CLIENT : L2_ROUTER + any(8);
	p.no_checksum = !any(8) && p.protocol == UDP && !packet_is_v6(&p);
	if (!any(6))
		p.ip_options = packet_is_v6(&p) ? 0 : 4 * any(11);
	if (!any(6))
		p.tcp_options = 4 * any(11);
	frame_build(&p, ret);
}

/* Turns a frame that went to a server round, as its answer. */
static void turn_round(struct frame *f)
{
	const bool v6 = f->bytes[12] == 0x86;
	const size_t size = v6 ? 16 : 4;
	uint8_t *ip = f->bytes + ETH_SIZE, *l4 = f->bytes + frame_l4(f), kept[16];
	uint8_t *source = ip + (v6 ? 8 : 12);

	memcpy(kept, f->bytes, 6);
	memcpy(f->bytes, f->bytes + 6, 6);
	memcpy(f->bytes + 6, kept, 6);
	memcpy(kept, source, size);
	memcpy(source, source + size, size);
	memcpy(source + size, kept, size);
	memcpy(kept, l4, 2);
	memcpy(l4, l4 + 2, 2);
	memcpy(l4 + 2, kept, 2);
	if (ip[v6 ? 6 : 9] == TCP)
		l4[13] = (const uint8_t[]){ ACK, ACK, SYN | ACK, FIN | ACK, RST, RST | ACK }[any(6)];
	if (load16(l4 + 6) || ip[v6 ? 6 : 9] == TCP)
		frame_sum(f);
}

/* Breaks a frame in one of the ways in which frames break. */
static void mutate(struct frame *f)
{
	switch (any(6)) {
	case 0: /* a bit of a header */
		f->bytes[any(ETH_SIZE + IP6_SIZE + TCP_SIZE) % f->length] ^= 1 << any(8);
		break;
	case 1: /* a byte of a header */
		f->bytes[ETH_SIZE + any(IP6_SIZE + TCP_SIZE) % (f->length - ETH_SIZE)] = any(256);
		break;
	case 2: /* cut off */
		f->length = ETH_SIZE + any(f->length - ETH_SIZE + 1);
		break;
	case 3: /* padded */
		memset(f->bytes + f->length, 0, 64);
		f->length += any(64);
		break;
	case 4: /* a length field of some kind */
		store16(f->bytes + ETH_SIZE + (any(2) ? 2 : 4), any(4) ? any(128) : any(65536));
		break;
	case 5: /* several bytes anywhere */
		for (unsigned n = any(8); n; n--)
			f->bytes[ETH_SIZE + any(f->length - ETH_SIZE)] = any(256);
		break;
	}
}

static bool is_address(const uint8_t *at, bool v6, const char *text)
{
	struct addr a;

	addr_parse(text, &a);
	return memcmp(at, a.bytes, v6 ? 16 : 4) == 0;
}

/* What leaves goes where it may. */
static void check_out(const struct rig *r, const struct outcome *o)
{
	const bool v6 = o->out.bytes[12] == 0x86;
	const uint8_t *source = o->out.bytes + ETH_SIZE + (v6 ? 8 : 12);
	const uint8_t *destination = source + (v6 ? 16 : 4);

	if (o->service < 0 && o->verdict != VERDICT_NO_FLOW && o->verdict != VERDICT_REJECTED)
		return; /* a later fragment goes where its first one went */
	switch (o->verdict) {
	case VERDICT_NAT_REQUEST:
		assert_true(is_address(source, v6, v6 ? OWN6 : OWN4));
		assert_memory_equal(destination, r->servers[o->server].addr.bytes, v6 ? 16 : 4);
		assert_int_equal(o->out.bytes[5], L2_SERVER + o->server);
		break;
	case VERDICT_DSR:
		assert_true(is_address(destination, v6, v6 ? VIP6 : VIP4));
		assert_int_equal(o->out.bytes[5], L2_SERVER + o->server);
		break;
	case VERDICT_NAT_REPLY:
	case VERDICT_REJECTED:
	case VERDICT_NO_FLOW:
		assert_true(is_address(source, v6, v6 ? VIP6 : VIP4));
		break;
	default:
		break;
	}
}

/* As the agent's sweep would after a long time. */
static void forget_flows(struct rig *r)
{
	rig_check_tables(r);
	memset(r->m->flows4, 0, r->m->bucket4_count * sizeof(*r->m->flows4));
	memset(r->m->flows6, 0, r->m->bucket6_count * sizeof(*r->m->flows6));
	memset(r->m->use, 0, RIG_SERVERS * sizeof(*r->m->use));
	memset(r->m->hops, 0, MAX_HOPS * sizeof(*r->m->hops));
}

static void random_and_broken_packets(void **state)
{
	static const enum verdict reached[] = {
		VERDICT_NAT_REQUEST, VERDICT_NAT_REPLY, VERDICT_DSR, VERDICT_REJECTED, VERDICT_NO_FLOW, VERDICT_NOT_IP,
		VERDICT_OTHER_PROTOCOL, VERDICT_FRAGMENT, VERDICT_EXTENSION, VERDICT_TRUNCATED, VERDICT_NO_SERVICE,
		VERDICT_STRAY, VERDICT_MALFORMED, VERDICT_TTL_TOLD,
	};
	static struct frame seen[SEEN], f;
	static struct outcome o;
	const uint64_t packets = from_environment("ALWAYSON_SWEEP", getenv("LONG") ? PACKETS_LONG : PACKETS);
	const uint64_t seed = from_environment("ALWAYSON_SEED", SEED);
	uint64_t verdicts[VERDICT_MAX] = {};
	struct rig *r = *state;
	unsigned kept = 0;

	print_message("%llu packets, seed %llu\n", (unsigned long long)packets, (unsigned long long)seed);
	random_state = seed * 0x9e3779b97f4a7c15ULL | 1;
	lay(r);
	for (uint64_t n = 0; n < packets; n++) {
		if (n % SWEEP_EVERY == SWEEP_EVERY - 1)
			forget_flows(r);
		if (kept && any(3) == 0) {
			f = seen[any(kept)];
			turn_round(&f);
		} else {
			a_client_sends(&f);
		}
		if (any(2))
			mutate(&f);
		rig_run(r, &f, 0, &o);
		check_out(r, &o);
		verdicts[o.verdict]++;
		if (o.verdict == VERDICT_NAT_REQUEST && !frame_wrong(&o.out))
			seen[kept < SEEN ? kept++ : any(SEEN)] = o.out;
	}
	/* A sweep that reaches little proves little. */
	for (size_t i = 0; i < array_size(reached) && packets >= PACKETS; i++)
		if (!verdicts[reached[i]])
			fail_msg("no packet of the sweep came to %s", verdict_name(reached[i]));
	assert_int_equal(verdicts[VERDICT_INTERNAL], 0);
	assert_int_equal(verdicts[VERDICT_LOCK_BUSY], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(random_and_broken_packets),
	};

	return cmocka_run_group_tests_name("sweep", tests, rig_open, rig_close);
}
