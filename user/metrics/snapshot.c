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
	vec_done(&s->agent.announced);
	vec_done(&s->agent.peers);
	memset(s, 0, sizeof(*s));
}
