/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access lists while the agent runs: a copy of the model's, which the control socket's verbs change, and what is laid
 * out of them in the program's memory, a part of access4 or access6 for each policy and family. A part that is in use is
 * never written: a change takes a new one, which the services name from the next flip on, and the old one is free a
 * grace period later. Part of the reconciler; pure but for that memory.
 */
#ifndef AGENT_ACLS_H
#define AGENT_ACLS_H

#include <stdbool.h>
#include <stdint.h>

#include <alwayson/abi.h>

#include "model/model.h"
#include "table/region.h"

/* What is laid out, and for whom. */
struct acl_part {
	size_t policy;           /* as a service has it; 0: of an earlier model or change; kept while flows of packets may read it */
	bool v6, wanted;
	struct region region;
};

struct acl {
	struct vec(struct model_prefix) prefixes; /* ascending */
	uint64_t changes;        /* by verbs, since it was read */
};

struct acls {
	uint64_t *map4;
	struct access_bound6 *map6;
	struct region_map free4, free6;
	const struct model *model;
	struct vec(struct acl) lists; /* beside model.acls */
	struct vec(struct acl_part) parts;
	size_t prefixes4, prefixes6; /* of all policies */
};

int acls_init(struct acls *a, uint64_t *map4, struct access_bound6 *map6); /* 0 or -ENOMEM */
void acls_done(struct acls *a);
/* Takes the lists of a model as they were read; what verbs changed is gone. 0 or -ENOMEM, and nothing has changed. */
int acls_set_model(struct acls *a, const struct model *m);
/* The word of a service of an earlier agent's tables: its part stays as it is until the first flip. 0 or -ENOMEM. */
int acls_adopt(struct acls *a, bool v6, uint64_t word);

/* Before the services are laid out. */
void acls_unwant_all(struct acls *a);
/* The word of a service with this policy, as the model has it: 0 = nobody is refused. 0; -ENOMEM, -ENOSPC. */
int acls_word(struct acls *a, size_t policy, bool v6, uint64_t *ret);
/* A grace period after the flip. */
void acls_free_unwanted(struct acls *a);

/* Changes by verbs; list: index in model.acls. 1, 0 = it is so already, -ENOMEM, -ENOSPC (the model's limit). */
int acls_add(struct acls *a, size_t list, const struct model_prefix *prefix);
int acls_delete(struct acls *a, size_t list, const struct model_prefix *prefix);
int acls_clear(struct acls *a, size_t list);
/* The narrowest prefix of the list that holds the address; NULL. */
const struct model_prefix *acls_match(const struct acls *a, size_t list, const struct addr *addr);

#endif
