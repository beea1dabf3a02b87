/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `show config` and `explain config`: the model as JSON, a backend at a time, as there may be thousands of servers in it.
 * docs/control.md is their contract.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/agent.h"

struct config_walk {
	struct agent *agent;
	const struct model *model; /* another one: a reload came in between, and the answer ends there */
	bool explained;
	size_t backend;
};

static int next_backend(void *ctx, json_t **ret)
{
	struct config_walk *w = ctx;

	if (w->agent->model != w->model)
		return -ESTALE;
	if (w->backend >= w->model->backends.count)
		return 0;
	*ret = (json_t *)model_backend_to_json(w->model, w->backend++, w->explained);
	return *ret ? 1 : -ENOMEM;
}

static void show_config(struct control_request *r, struct agent *a, bool explained)
{
	struct config_walk *w = malloc(sizeof(*w));

	if (!w) {
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	*w = (struct config_walk){ .agent = a, .model = a->model, .explained = explained };
	control_stream(r, (json_t *)model_head_to_json(a->model, explained),
		       &(struct control_items){ "backends", next_backend, free, w });
}

void verb_show_config(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	show_config(r, ctx, false);
}

void verb_explain_config(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	show_config(r, ctx, true);
}
