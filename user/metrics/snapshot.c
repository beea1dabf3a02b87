/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const snapshot_checks[] = {
	[HEALTH_UNCHECKED] = "unchecked", [HEALTH_INIT] = "init", [HEALTH_UP] = "up", [HEALTH_DOWN] = "down",
};
const char *const snapshot_admins[] = {
	[HEALTH_READY] = "ready", [HEALTH_DRAIN] = "drain", [HEALTH_MAINT] = "maint",
};

int snapshot_begin(struct snapshot *s, struct names *names)
{
	struct snapshot new = {
		.services = calloc(names->service_count + 1, sizeof(*new.services)),
		.backends = calloc(names->backend_count + 1, sizeof(*new.backends)),
		.servers = calloc(names->server_count + 1, sizeof(*new.servers)),
	};

	if (!new.services || !new.backends || !new.servers) {
		snapshot_done(&new);
		return -ENOMEM;
	}
	new.names = names_ref(names);
	snapshot_done(s);
	*s = new;
	return 0;
}

void snapshot_done(struct snapshot *s)
{
	names_unref(s->names);
	free(s->services);
	free(s->backends);
	free(s->servers);
	memset(s, 0, sizeof(*s));
}

void snapshot_count(const struct snapshot *s, size_t backend, uint32_t *ret_up, uint32_t *ret_accepting)
{
	uint32_t up = 0, accepting = 0;

	for (size_t i = s->names->first[backend]; i < s->names->first[backend + 1]; i++) {
		up += s->servers[i].up;
		accepting += s->servers[i].accepts_new;
	}
	*ret_up = up;
	*ret_accepting = accepting;
}
