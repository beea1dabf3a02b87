/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one configuration to the next: who stays, who comes, who goes. Called by the agent at start and on reload.
 * Two steps: a plan, which allocates all that is needed and may fail, and its commitment, which can't.
 */
#include "health/health.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "health/server.h"

struct plan {
	struct server_settings *settings; /* taken over one by one in commit() */
	struct health_server **servers;   /* those that stay, and new ones */
	size_t count;
	struct health_pool *pools;
	size_t backends;
	struct health_index index;
	struct target_maker maker;
};

/* All three names in one piece. 0 or -ENOMEM. */
static int name(struct server_settings *s, const char *backend, const char *server)
{
	const size_t one = strlen(backend) + 1, both = one + strlen(server) + 1;

	s->path = malloc(both + one);
	if (!s->path)
		return -ENOMEM;
	snprintf(s->path, both, "%s/%s", backend, server);
	memcpy(s->path + both, backend, one);
	s->server = s->path + one;
	s->backend = s->path + both;
	return 0;
}

/* What it allocates: 0 or -errno. */
static int settings_fill(struct server_settings *s, const struct model_backend *b, const struct model_server *m,
			 struct target_maker *maker)
{
	if (name(s, b->name, m->name) < 0)
		return -ENOMEM;
	s->track = m->track ? strdup(m->track) : NULL;
	s->role = b->check == MODEL_CHECK_PLUGIN ? calloc(1, sizeof(*s->role)) : NULL;
	if (!s->track != !m->track || !s->role != (b->check != MODEL_CHECK_PLUGIN))
		return -ENOMEM;
	if (m->agent && agent_check_new(b, m, &s->agent) < 0)
		return -ENOMEM;
	return attempt_target_init(&s->target, b, m, maker);
}

static int settings_init(struct server_settings *ret, size_t index, const struct model_backend *b,
			 const struct model_server *m, struct target_maker *maker)
{
	struct server_settings s = {
		.index = index,
		.at = m->at,
		.check = m->check,
		.disabled = m->disabled,
		.backup = m->backup,
		.flap_count = m->flap_count,
		.flap_ms = m->flap_ms,
		.slowstart_ms = m->slowstart_ms,
		.init_state = m->init_state,
		.weight = m->weight,
		.rise = m->rise,
		.fall = m->fall,
		.schedule = {
			.inter_ms = m->inter_ms ? m->inter_ms : 1,
			.fastinter_ms = m->fastinter_ms,
			.downinter_ms = m->downinter_ms,
			.connect_timeout_ms = b->connect_timeout_ms,
			.check_timeout_ms = b->check_timeout_ms,
		},
	};
	int r;

	r = settings_fill(&s, b, m, maker);
	if (r < 0) {
		server_settings_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Another address under the same name is another server. */
static bool is_same_server(const struct health_server *old, const struct server_settings *s)
{
	return addr_equal(&old->settings.at.addr, &s->at.addr) && old->settings.at.port == s->at.port;
}

static int plan_server(struct plan *p, struct health *h, size_t index, const struct model_backend *b,
		       const struct model_server *m)
{
	size_t i = p->count;
	struct health_server *old;
	int r = settings_init(&p->settings[i], index, b, m, &p->maker);

	if (r < 0)
		return r;
	p->count++;
	old = health_index_find(&h->index, p->settings[i].path);
	if (old && !old->claimed && is_same_server(old, &p->settings[i])) {
		old->claimed = true;
		p->servers[i] = old;
	} else {
		p->servers[i] = health_server_new(h, &p->settings[i]);
	}
	return p->servers[i] ? 0 : -ENOMEM;
}

static int plan_init(struct plan *p, struct health *h, const struct model *m)
{
	size_t total = 0, b, i;
	int r = 0;

	for (b = 0; b < m->backends.count; b++)
		total += m->backends.items[b].servers.count;
	/* One more than needed: calloc(0) may give NULL. */
	p->settings = calloc(total + 1, sizeof(p->settings[0]));
	p->servers = calloc(total + 1, sizeof(p->servers[0]));
	p->pools = calloc(m->backends.count + 1, sizeof(p->pools[0]));
	if (!p->settings || !p->servers || !p->pools || health_index_init(&p->index, total) < 0)
		return -ENOMEM;
	p->backends = m->backends.count;
	for (b = 0; b < m->backends.count && r == 0; b++) {
		const struct model_backend *backend = &m->backends.items[b];

		p->pools[b] = (struct health_pool){
			.panic_percent = backend->panic_percent,
			.last_known = backend->on_all_down == MODEL_LAST_KNOWN,
			.first = p->count,
			.servers = backend->servers.count,
			.roles = backend->roles,
			.plugin = backend->check == MODEL_CHECK_PLUGIN,
		};
		for (i = 0; i < backend->servers.count && r == 0; i++)
			r = plan_server(p, h, b, backend, &backend->servers.items[i]);
	}
	return r;
}

static void plan_undo(struct plan *p, struct health *h)
{
	size_t i;

	for (i = 0; i < p->count; i++) {
		if (p->servers[i] && !p->servers[i]->claimed)
			health_server_free(p->servers[i]);
		server_settings_done(&p->settings[i]);
	}
	for (i = 0; i < h->count; i++)
		h->servers[i]->claimed = false;
	health_index_done(&p->index);
	free(p->settings);
	free(p->servers);
	free(p->pools);
}

/*
 * An override that says what the file now says too is over. But a maint or drain by hand stays until `ready`: to lose
 * it because a file came and went would put a server back to work that somebody is at work on.
 */
static void settle_overrides(struct health_server *s)
{
	if (s->weight_is_override && s->weight_override == s->settings.weight)
		s->weight_is_override = false;
	if (s->admin_is_override && s->admin_override == HEALTH_READY && !s->settings.disabled)
		s->admin_is_override = false;
}

/* The new agent takes the old one's place, and what that one has ordered. */
static void adopt_agent(struct health_server *s)
{
	struct agent_check *old = s->agent;

	s->agent = take_ptr(s->settings.agent);
	if (s->agent)
		agent_check_inherit(s->agent, old);
	agent_check_free(old);
}

enum restart {
	KEEP_CHECKING,
	CHECK_ANEW, /* at once, in the crowd of those that start together */
};

/* A server that stays gets its new settings. */
static enum restart adopt(struct health_server *s, struct server_settings *settings)
{
	struct server_settings old = s->settings;
	bool was_maint = health_server_status(s).admin == HEALTH_MAINT;
	enum restart restart = KEEP_CHECKING;

	s->settings = *settings;
	memset(settings, 0, sizeof(*settings));
	settle_overrides(s);
	adopt_agent(s);
	if (!s->settings.check) {
		health_server_stop_checks(s);
		health_server_set_last(s, "");
	} else if (!old.check) {
		/* It carried traffic unchecked: it goes on doing so until the first result says otherwise. */
		tally_assume(&s->tally, HEALTH_UP);
		restart = CHECK_ANEW;
	} else if (!attempt_target_equal(&old.target, &s->settings.target)) {
		/* The state stands until checks of the new target contradict it often enough. */
		tally_forget(&s->tally);
		s->disabled_by_404 = false;
		restart = CHECK_ANEW;
	} else {
		health_server_hasten(s);
	}
	server_settings_done(&old);
	if (health_server_follow_maint(s, was_maint))
		restart = CHECK_ANEW;
	return health_server_is_checked(s) ? restart : KEEP_CHECKING;
}

/* Before anybody goes: nobody is to look at one who is gone. */
static void unlink_trackers(struct health *h)
{
	for (size_t i = 0; i < h->count; i++)
		h->servers[i]->tracked = h->servers[i]->trackers = NULL;
}

/* Who follows whom. The model promises that each is there and that none follows itself in the end. */
static void link_trackers(struct health *h)
{
	for (size_t i = 0; i < h->count; i++) {
		struct health_server *s = h->servers[i];

		if (!s->settings.track)
			continue;
		s->tracked = health_index_find(&h->index, s->settings.track);
		assert(s->tracked && s->tracked != s);
		s->tracker_next = s->tracked->trackers;
		s->tracked->trackers = s;
	}
}

static void start_agents(struct health *h)
{
	for (size_t i = 0; i < h->count; i++) {
		struct agent_check *a = h->servers[i]->agent;

		if (a && !a->server)
			agent_check_start(a, h->servers[i],
					  schedule_first_delay_ms(i, h->count, a->schedule.inter_ms, health_random(h)));
	}
}

struct starting {
	struct health_server **servers;
	size_t count;
};

static void start_checks(struct health *h, const struct starting *who)
{
	bool crowded = schedule_is_crowded(who->count);
	size_t i;

	for (i = 0; i < who->count; i++) {
		struct health_server *s = who->servers[i];
		uint32_t delay_ms = schedule_first_delay_ms(i, who->count, s->settings.schedule.inter_ms,
							    health_random(h));

		health_server_check_in(s, delay_ms);
		health_server_await(s);
		s->settling = crowded;
	}
}

/* A pool that holds servers goes on doing so: since when decides which. */
static void carry_pool(const struct health *h, struct plan *p, const struct health_server *s, size_t to)
{
	const struct health_pool *old = &h->pools[s->settings.index];

	p->pools[to].conflict = old->conflict;
	p->pools[to].conflict_told = old->conflict_told;
	if (!old->holds)
		return;
	p->pools[to].holds = true;
	p->pools[to].held_since_ms = old->held_since_ms;
}

/* The new pools, before anything asks a server of its own. */
static void take_pools(struct health *h, struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct health_server *s = p->servers[i];

		if (!s->claimed)
			continue;
		carry_pool(h, p, s, p->settings[i].index);
		if (!s->role)
			s->role = take_ptr(p->settings[i].role);
		s->settings.index = p->settings[i].index;
	}
	free(h->pools);
	h->pools = p->pools;
	h->backends = p->backends;
}

static void commit(struct plan *p, struct health *h, struct health_server **starting)
{
	struct starting who = { .servers = starting };
	size_t i;

	unlink_trackers(h);
	for (i = 0; i < h->count; i++)
		if (!h->servers[i]->claimed)
			health_server_free(h->servers[i]);
	take_pools(h, p);
	for (i = 0; i < p->count; i++) {
		struct health_server *s = p->servers[i];
		bool starts = s->claimed ? adopt(s, &p->settings[i]) == CHECK_ANEW : health_server_is_checked(s);

		s->claimed = false;
		health_index_add(&p->index, s);
		if (starts)
			who.servers[who.count++] = s;
	}
	health_index_done(&h->index);
	free(h->servers);
	free(p->settings);
	h->servers = p->servers;
	h->count = p->count;
	h->index = p->index;
	link_trackers(h);
	for (i = 0; i < h->backends; i++)
		health_roles_decide(h, i, NULL);
	health_settle(h);
	start_agents(h);
	start_checks(h, &who);
	health_round_open(h);
}

int health_configure(struct health *h, const struct model *m)
{
	_cleanup_free_ struct health_server **starting = NULL;
	struct plan p = {};

	int r = plan_init(&p, h, m);

	if (r == 0) {
		starting = calloc(p.count + 1, sizeof(starting[0]));
		r = starting ? 0 : -ENOMEM;
	}
	target_maker_done(&p.maker);
	if (r < 0)
		plan_undo(&p, h);
	else
		commit(&p, h, starting);
	return r;
}

/* Makes every target once, for its errors alone. */
int health_check_files(const struct model *m, char error[HEALTH_ERROR_MAX])
{
	struct target_maker maker = {};
	int r = 0;

	for (size_t b = 0; b < m->backends.count && r == 0; b++)
		for (size_t i = 0; i < m->backends.items[b].servers.count && r == 0; i++) {
			const struct model_server *s = &m->backends.items[b].servers.items[i];
			struct attempt_target t;

			if (!s->check || !s->tls_used)
				continue;
			r = attempt_target_init(&t, &m->backends.items[b], s, &maker);
			if (r == 0)
				attempt_target_done(&t);
			else if (r == -EINVAL)
				snprintf(error, HEALTH_ERROR_MAX, "%s:%u: server '%s': %.400s", s->place.file,
					 s->place.line, s->name, maker.error);
		}
	target_maker_done(&maker);
	return r;
}
