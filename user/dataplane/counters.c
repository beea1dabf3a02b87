/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/counters.h"

#include <string.h>

struct counter counters_verdict(const struct dataplane_maps *m, enum verdict verdict)
{
	struct counter sum = {};

	for (uint32_t cpu = 0; cpu < m->cpu_count; cpu++) {
		const struct counter *c = &m->verdict_counters[cpu * VERDICT_MAX + verdict];

		sum.packets += c->packets;
		sum.bytes += c->bytes;
	}
	return sum;
}

uint64_t counters_event(const struct dataplane_maps *m, enum lb_event event)
{
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < m->cpu_count; cpu++)
		sum += m->event_counters[cpu * EVENT_MAX + event];
	return sum;
}

static struct traffic sum_traffic(const struct traffic *first, uint32_t cpus, uint32_t stride)
{
	struct traffic sum = {};

	for (uint32_t cpu = 0; cpu < cpus; cpu++) {
		const struct traffic *t = &first[(size_t)cpu * stride];

		sum.packets_in += t->packets_in;
		sum.bytes_in += t->bytes_in;
		sum.packets_out += t->packets_out;
		sum.bytes_out += t->bytes_out;
		sum.connections += t->connections;
		sum.refused += t->refused;
	}
	return sum;
}

struct traffic counters_service(const struct dataplane_maps *m, uint32_t id)
{
	return sum_traffic(&m->service_counters[id], m->cpu_count, MAX_SERVICES);
}

struct traffic counters_server(const struct dataplane_maps *m, uint32_t id)
{
	return sum_traffic(&m->server_counters[id], m->cpu_count, MAX_SERVERS);
}

void counters_clear_service(const struct dataplane_maps *m, uint32_t id)
{
	for (uint32_t cpu = 0; cpu < m->cpu_count; cpu++)
		memset(&m->service_counters[(size_t)cpu * MAX_SERVICES + id], 0, sizeof(struct traffic));
}

void counters_clear_server(const struct dataplane_maps *m, uint32_t id)
{
	for (uint32_t cpu = 0; cpu < m->cpu_count; cpu++)
		memset(&m->server_counters[(size_t)cpu * MAX_SERVERS + id], 0, sizeof(struct traffic));
}

static const struct {
	const char *label, *text, *action;
} verdicts[VERDICT_MAX] = {
#define ACTION_NAME_PASS "pass"
#define ACTION_NAME_DROP "drop"
#define ACTION_NAME_TX "tx"
#define ACTION_NAME_SEND "tx/redirect"
#define X(name, action, label, text) [VERDICT_##name] = { label, text, ACTION_NAME_##action },
	VERDICTS(X)
#undef X
};

const char *verdict_label(enum verdict verdict)
{
	return verdicts[verdict].label;
}

const char *verdict_text(enum verdict verdict)
{
	return verdicts[verdict].text;
}

const char *verdict_action(enum verdict verdict)
{
	return verdicts[verdict].action;
}
