/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot to be written out, made of a configuration's text and of numbers that tell their place: for the tests of
 * metrics/ and web/.
 */
#ifndef TESTS_METRICS_WORLD_H
#define TESTS_METRICS_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "config/config.h"
#include "metrics/snapshot.h"

/* services x servers: as many services, each with a backend of its own. */
static inline struct model *world_model(unsigned services, unsigned servers)
{
	char path[] = "/tmp/alwayson-metrics-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	const char *name = path;
	struct config_report report = {};
	struct model *m = NULL;

	fprintf(f, "defaults\n\ttimeout connect 5s\n\ttimeout client 5s\n\ttimeout server 5s\n");
	for (unsigned i = 0; i < services; i++) {
		fprintf(f, "frontend service-%u\n\tbind 10.%u.%u.1:80\n", i, i / 250, i % 250);
		fprintf(f, "\tdefault_backend backend-%u\nbackend backend-%u\n", i, i);
		for (unsigned s = 0; s < servers; s++)
			fprintf(f, "\tserver s%u 10.%u.%u.%u:80 check\n", s, 100 + i / 250, i % 250, s + 1);
	}
	fclose(f);
	if (config_load(&name, 1, &m, &report) < 0)
		config_report_print(&report, stderr);
	config_report_done(&report);
	unlink(path);
	return m;
}

static inline void world_fill(struct snapshot *s, const struct model *m)
{
	struct names *names = names_new(m);

	*s = (struct snapshot){};
	if (snapshot_begin(s, names) < 0)
		abort();
	names_unref(names);
	for (size_t i = 0; i < s->names->service_count; i++) {
		s->services[i].traffic = (struct traffic){ 1000 + i, 2000 + i, 3000 + i, 4000 + i, 5000 + i, i };
		s->services[i].connections = 6000 + i;
	}
	for (size_t b = 0; b < s->names->backend_count; b++) {
		s->backends[b].slots = 1000;
		s->backends[b].up = s->backends[b].accepting = s->names->first[b + 1] - s->names->first[b];
		histogram_add(&s->backends[b].checks, 300);
		histogram_add(&s->backends[b].checks, 7000000);
	}
	for (size_t i = 0; i < s->names->server_count; i++) {
		struct snapshot_server *to = &s->servers[i];

		to->traffic = (struct traffic){ 11 + i, 22 + i, 33 + i, 44 + i, 55 + i, 0 };
		to->checks = 100 + i;
		to->weight = to->weight_configured = 1;
		to->check = HEALTH_UP;
		to->up = to->accepts_new = to->resolved = true;
		to->slots = 250;
		to->ports = 20000;
		to->ports_used = 7;
		to->duration_us = 1500;
		to->changed_at_ms = 1764132481500;
		snprintf(to->result, sizeof(to->result), "L4OK");
	}
	s->agent.version = "1.2.3";
	snprintf(s->agent.name, sizeof(s->agent.name), "test");
	s->agent.now_ms = 1764132482000;
	s->agent.ready = s->agent.reload_ok = true;
	s->agent.interface_count = 1;
	snprintf(s->agent.interfaces[0].name, sizeof(s->agent.interfaces[0].name), "eth0");
	s->agent.interfaces[0].mode = "native";
	s->agent.interfaces[0].attached = true;
}

#endif
