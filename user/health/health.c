/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole of health: making and freeing it, looking servers up, the admin verbs, the end of the first round.
 * Called by the agent. Must not touch sockets or timers of a server: server.c does.
 */
#include "health/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "health/server.h"

static void on_round(evutil_socket_t fd, short what, void *arg)
{
	struct health *h = arg;

	/* A reconfiguration since may have brought servers that are awaited in turn. */
	if (!h->round_open || h->awaited)
		return;
	h->round_open = false;
	if (h->ops.on_first_round)
		h->ops.on_first_round(h->ops.ctx);
}

void health_round_open(struct health *h)
{
	h->round_open = true;
	if (!h->awaited)
		event_active(&h->round, EV_TIMEOUT, 0);
}

struct health *health_new(struct event_base *base, const struct health_ops *ops)
{
	struct health *h = calloc(1, sizeof(*h));

	if (!h || health_index_init(&h->index, 0) < 0) {
		free(h);
		return NULL;
	}
	h->base = base;
	h->ops = *ops;
	/* Only jitter hangs on it: a weak seed does where the kernel has none yet. */
	if (getrandom(&h->random, sizeof(h->random), GRND_NONBLOCK) != sizeof(h->random))
		h->random = health_wall_ms();
	event_assign(&h->round, base, -1, 0, on_round, h);
	event_assign(&h->ripple, base, -1, 0, health_on_ripple, h);
	return h;
}

void health_free(struct health *h)
{
	size_t i;

	if (!h)
		return;
	for (i = 0; i < h->count; i++)
		health_server_free(h->servers[i]);
	event_del(&h->round);
	event_del(&h->ripple);
	health_index_done(&h->index);
	free(h->servers);
	free(h->pools);
	free(h);
}

/* splitmix64: a counter, mixed. */
uint32_t health_random(struct health *h)
{
	uint64_t z = h->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

void health_view(const struct health *h, size_t backend, size_t server, struct health_view *ret)
{
	health_server_view(h->servers[h->pools[backend].first + server], ret);
}

size_t health_history(const struct health *h, size_t backend, size_t server, struct health_transition *ret,
		      size_t max)
{
	uint64_t until = health_wall_ms();
	size_t count = history_list(&h->servers[h->pools[backend].first + server]->history, ret, max);

	for (size_t i = 0; i < count; i++) {
		/* The wall clock may have been set back. */
		ret[i].lasted_ms = until > ret[i].at_ms ? until - ret[i].at_ms : 0;
		until = ret[i].at_ms;
	}
	return count;
}

void health_set_elsewhere(struct health *h, const struct attempt_elsewhere *e)
{
	h->elsewhere = e;
}

void health_set_via(struct health *h, const struct attempt_via *v)
{
	h->via = v;
}

int health_set_admin(struct health *h, const char *path, enum health_admin_state state)
{
	static const char *const words[] = {
		[HEALTH_READY] = "set to ready",
		[HEALTH_DRAIN] = "set to drain",
		[HEALTH_MAINT] = "set to maint",
	};
	struct health_server *s = health_index_find(&h->index, path);
	struct server_status before, now;

	if (!s)
		return -ENOENT;
	before = health_server_status(s);
	if (state == HEALTH_READY && s->weight_is_override && !s->weight_override)
		s->weight_is_override = false;
	/* Ready where the file says nothing else is the absence of an override. */
	s->admin_is_override = state != HEALTH_READY || s->settings.disabled;
	s->admin_override = state;
	now = health_server_status(s);
	if (now.admin != before.admin)
		s->changed_at_ms = health_wall_ms();
	if (health_server_follow_maint(s, before.admin == HEALTH_MAINT) && s->settings.check)
		health_server_check_in(s, 0);
	health_server_notify(s, words[state]);
	return 0;
}

int health_set_weight(struct health *h, const char *path, unsigned weight)
{
	struct health_server *s = health_index_find(&h->index, path);
	char reason[64];

	if (!s)
		return -ENOENT;
	if (weight > MODEL_WEIGHT_MAX)
		return -ERANGE;
	s->weight_is_override = weight != s->settings.weight;
	s->weight_override = weight;
	snprintf(reason, sizeof(reason), "weight set to %u (configured: %u)", weight, s->settings.weight);
	health_server_notify(s, reason);
	return 0;
}
