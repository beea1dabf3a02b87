/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/peers_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/ids.h"

enum { BUFFER = 4 << 20 }; /* bytes that the kernel keeps of what came: half a second of a full copy */

const char *const peers_drops[PEERS_DROP_MAX + 1] = {
#define X(name, label) [PEERS_DROP_##name] = label,
	PEERS_DROPS(X)
#undef X
};

const char *const peers_results[PEERS_RESULT_MAX + 1] = {
#define X(name, label) [PEERS_##name] = label,
	PEERS_RESULTS(X)
#undef X
};

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	links_read(ctx);
}

static void go_down(struct link *l)
{
	l->up = false;
	l->giving = false;
	l->length = 0;
	l->records = 0;
	log_event(l->peers->agent->log, LOG_WARNING, "peer_down", "peer=%s text=%s", l->name,
		  log_quoted("nothing was heard of it: connections that it records from now on would not outlive it here"));
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct peers *p = ctx;
	const uint64_t now = agent_monotonic_ms();

	for (size_t i = 0; i < p->links.count; i++) {
		struct link *l = p->links.items[i];

		if (l->up && now - l->heard_ms > PEERS_DEAD_MS)
			go_down(l);
		link_greet(l);
	}
	if (now - p->started_ms < PEERS_COPY_WAIT_MS + 2 * PEERS_HELLO_MS)
		agent_run_soon(p->agent); /* who waits for copies looks again */
}

/* Is it what the section says already? */
static bool is_same(const struct peers *p, const struct model_peers *m, const struct hash_key *secret)
{
	size_t n = 0;

	if (!p || strcmp(p->local, m->all.items[m->local].name) || !addr_equal(&p->bind.addr, &m->bind.addr) ||
	    p->bind.port != m->bind.port || memcmp(&p->secret, secret, sizeof(*secret)) ||
	    p->links.count + 1 != m->all.count)
		return false;
	for (size_t i = 0; i < m->all.count; i++) {
		const struct link *l = i == m->local ? NULL : p->links.items[n++];

		if (l && (strcmp(l->name, m->all.items[i].name) || !addr_equal(&l->at.addr, &m->all.items[i].at.addr) ||
			  l->at.port != m->all.items[i].at.port))
			return false;
	}
	return true;
}

static int open_socket(struct peers *p)
{
	const int on = 1, size = BUFFER;
	struct sockaddr_storage at;
	const socklen_t length = endpoint_to_sockaddr(&p->bind, &at);

	p->fd = socket(p->bind.addr.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return -errno;
	/* The one of before a reload is there still. */
	setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (setsockopt(p->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return bind(p->fd, (struct sockaddr *)&at, length) < 0 ? -errno : 0;
}

static int add_link(struct peers *p, const struct model_peer *m)
{
	struct link **slot = vec_push(&p->links), *l = slot ? calloc(1, sizeof(*l)) : NULL;

	if (!l) {
		p->links.count -= slot != NULL;
		return -ENOMEM;
	}
	*slot = l;
	l->peers = p;
	l->name = strdup(m->name);
	l->identity = identity_of("peer/%s", m->name);
	l->at = m->at;
	return l->name ? 0 : -ENOMEM;
}

static int fill(struct peers *p, const struct model_peers *m)
{
	const struct dataplane_maps *maps = dataplane_maps(p->agent->dataplane);
	struct timespec ts;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	p->epoch = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	p->bind = m->bind;
	p->local = strdup(m->all.items[m->local].name);
	p->identity = identity_of("peer/%s", m->all.items[m->local].name);
	p->seal = seal_new(&p->secret);
	/* Pages of them are touched as entries are used. */
	p->known4 = calloc((size_t)maps->bucket4_count * FLOW_WAYS, sizeof(*p->known4));
	p->known6 = calloc((size_t)maps->bucket6_count * FLOW_WAYS, sizeof(*p->known6));
	if (!p->local || !p->seal || !p->known4 || !p->known6)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < m->all.count; i++)
		if (i != m->local)
			r = add_link(p, &m->all.items[i]);
	return r;
}

int peers_prepare(struct agent *a, const struct model *m, const struct hash_key *secret, struct peers *now,
		  struct peers **ret, char *error, size_t size)
{
	const struct model_peers *section = &m->global.peers;
	char text[ENDPOINT_TEXT_MAX], why[DATAPLANE_ERROR_MAX];
	struct peers *p;
	int r;

	if (!section->name || is_same(now, section, secret)) {
		*ret = section->name ? now : NULL;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	p->agent = a;
	p->fd = -1;
	p->secret = *secret;
	r = fill(p, section);
	if (r < 0)
		snprintf(error, size, "cannot set up the peers: %s", strerror(-r));
	if (r == 0) {
		r = open_socket(p);
		if (r < 0)
			snprintf(error, size, "peers %s: cannot listen at %s: %s", section->name,
				 endpoint_format(&p->bind, text), strerror(-r));
	}
	if (r == 0) {
		r = dataplane_peer_open(a->dataplane, &p->program, why);
		if (r < 0)
			snprintf(error, size, "%s", why);
	}
	if (r < 0) {
		peers_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void peers_commit(struct agent *a, struct peers *p)
{
	const struct timeval every = { .tv_sec = PEERS_HELLO_MS / 1000, .tv_usec = PEERS_HELLO_MS % 1000 * 1000 };

	if (p == a->peers)
		return;
	peers_free(a->peers);
	a->peers = p;
	if (!p)
		return;
	p->started_ms = agent_monotonic_ms();
	p->readable = event_new(a->base, p->fd, EV_READ | EV_PERSIST, on_readable, p);
	p->timer = event_new(a->base, -1, EV_PERSIST, on_timer, p);
	if (!p->readable || !p->timer || event_add(p->readable, NULL) || event_add(p->timer, &every)) {
		log_event(a->log, LOG_ERR, "peers_failed", "error=%s", log_quoted(strerror(ENOMEM)));
		a->peers = NULL;
		peers_free(p);
		return;
	}
	for (size_t i = 0; i < p->links.count; i++)
		link_greet(p->links.items[i]);
}

void peers_free(struct peers *p)
{
	if (!p)
		return;
	if (p->readable)
		event_free(p->readable);
	if (p->timer)
		event_free(p->timer);
	for (size_t i = 0; i < p->links.count; i++) {
		free(p->links.items[i]->name);
		free(p->links.items[i]);
	}
	vec_done(&p->links);
	for (size_t i = 0; i < p->ways4.count; i++)
		net_unwatch(p->agent->net, &p->ways4.clients[i]);
	for (size_t i = 0; i < p->ways6.count; i++)
		net_unwatch(p->agent->net, &p->ways6.clients[i]);
	if (p->fd >= 0)
		close(p->fd);
	dataplane_peer_close(p->program);
	seal_free(p->seal);
	free(p->known4);
	free(p->known6);
	free(p->local);
	explicit_bzero(&p->secret, sizeof(p->secret));
	free(p);
}

void peers_flush(struct peers *p)
{
	for (size_t i = 0; p && i < p->links.count; i++)
		link_flush(p->links.items[i]);
}

void peers_passed(struct peers *p)
{
	bool giving = false;

	for (size_t i = 0; p && i < p->links.count; i++) {
		struct link *l = p->links.items[i];

		/* Its copy went through to the end of the table. */
		if (l->giving && !l->stalled) {
			l->giving = false;
			l->gave = l->asked;
			link_greet(l);
		} else if (!l->giving && l->up && l->asked != l->gave) {
			l->giving = true;
			l->cursor = 0;
		}
		l->stalled = false;
		giving |= l->giving;
	}
	/* Who waits for a copy is not ready before. */
	if (giving)
		sweep_hurry(p->agent->sweep);
}

bool peers_watch(const struct peers *p, const struct addr *client)
{
	const struct ways *ways = !p ? NULL : client->family == AF_INET6 ? &p->ways6 : &p->ways4;

	for (size_t i = 0; ways && i < ways->count; i++)
		if (addr_equal(&ways->clients[i], client))
			return true;
	return false;
}

bool peers_are_awaited(const struct peers *p)
{
	const uint64_t since = p ? agent_monotonic_ms() - p->started_ms : 0;

	for (size_t i = 0; p && i < p->links.count; i++) {
		const struct link *l = p->links.items[i];

		if (since < (l->up ? PEERS_COPY_WAIT_MS : PEERS_GREET_WAIT_MS) && (!l->up || l->got != l->wants))
			return true;
	}
	return false;
}

void peers_each(const struct peers *p, void (*visit)(const struct peers_view *v, void *ctx), void *ctx)
{
	const uint64_t now = agent_monotonic_ms();

	for (size_t i = 0; p && i < p->links.count; i++) {
		const struct link *l = p->links.items[i];
		struct peers_view v = l->counts;

		v.name = l->name;
		v.at = l->at;
		v.up = l->up;
		v.copied = l->wants && l->got == l->wants;
		v.heard_ms = l->heard_ms ? now - l->heard_ms : UINT64_MAX;
		visit(&v, ctx);
	}
}

uint64_t peers_strangers(const struct peers *p)
{
	return p ? p->strangers : 0;
}
