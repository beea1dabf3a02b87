/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a configuration's services, backends and servers are called, escaped once for all the lines that name them: a
 * scrape copies, and never looks at the model, which a reload may replace in the middle of it. Made by agent/ for each
 * configuration; counted references; read-only.
 */
#ifndef METRICS_NAMES_H
#define METRICS_NAMES_H

#include <stddef.h>

#include "model/model.h"

struct named {
	char *labels; /* service="web"  /  backend="nodes"  /  backend="nodes",server="node1" */
	size_t labels_length;
	char *info;   /* the labels, and further ones that describe it */
	char *json;   /* members of an object that do not change: "name":"web","address":"*", ... */
};

struct names {
	unsigned references;
	size_t service_count, backend_count, server_count;
	struct named *services;
	struct named *backends;
	struct named *servers;   /* backend by backend */
	size_t *first;           /* backend -> its first server; one more at the end */
	size_t *service_backend;
};

/* One reference. NULL when out of memory. */
struct names *names_new(const struct model *m);
struct names *names_ref(struct names *n);
void names_unref(struct names *n); /* takes NULL */

#endif
