/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peers sections, `localpeer` of global, and `flows peers`: between which balancers records of connections travel.
 * Called through the keyword table, by parser.c for a section's head, and by build.c on the finished model.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/parser.h"
#include "config/value.h"

/* peers NAME */
void begin_peers(struct parser *p, const struct config_word *section, const struct config_word *name,
		 const struct config_word *from)
{
	struct model_peers *to = &p->model->global.peers;

	if (!name || from) {
		parser_error(p, from ? from : section, from ? "a peers section has no defaults" :
							       "a 'peers' section needs a name");
		p->section = SECTION_SKIPPED;
		return;
	}
	if (p->peers_place.line) {
		parser_error(p, name, "a second 'peers' section: there is one, on %s; all balancers are in one",
			     parser_where(p, p->at, p->peers_place));
		p->section = SECTION_SKIPPED;
		return;
	}
	p->peers_place = parser_place(p, name);
	to->name = parser_model_string(p, name->text);
	to->place = parser_model_place(p, p->peers_place);
}

static bool read_endpoint(struct parser *p, const struct config_word *word, struct endpoint *ret)
{
	struct value_address a;
	const char *why = value_address(word->text, &a);

	if (!why && a.tcp)
		why = "records travel by UDP";
	if (!why && a.any)
		why = "one address is expected: what comes from another one than a peer's is dropped";
	if (!why && !a.has_ports)
		why = "the port is missing";
	if (!why && a.port_low != a.port_high)
		why = "one port is expected, not a range";
	if (why) {
		parser_error(p, word, "'%s': %s (such as 192.0.2.1:10000 or [2001:db8::1]:10000)", word->text, why);
		return false;
	}
	*ret = (struct endpoint){ .addr = a.addr, .port = a.port_low };
	return true;
}

/* No two balancers may deal the same own ports: NULL, or whose pool it would be too. */
static const char *owner_of(const struct model_peers *peers, const struct source_setting *s)
{
	for (size_t i = 0; i < peers->all.count; i++)
		for (size_t j = 0; j < peers->all.items[i].sources.count; j++)
			if (addr_equal(&peers->all.items[i].sources.items[j].addr, &s->addr))
				return peers->all.items[i].name;
	return NULL;
}

/* source-pool ADDRESS[:LOW-HIGH], behind a peer's address */
static void add_source(struct parser *p, struct model_peer *peer, const struct config_word *word)
{
	struct source_setting s;
	struct model_source *to;
	const char *owner;

	if (!statement_source(p, word, &s))
		return;
	owner = owner_of(&p->model->global.peers, &s);
	if (!s.addr.family) {
		parser_error(p, word, "'%s': an address is expected: it moves to another balancer when this one dies",
			     word->text);
	} else if (owner) {
		parser_error(p, word, "'%s': the address is in the source-pool of peer '%s' already: packets to it go to one "
				      "balancer", word->text, owner);
	} else if (peer->sources.count == MODEL_SOURCES_MAX) {
		parser_error(p, word, "more than %d source-pools of one peer (MODEL_SOURCES_MAX)", MODEL_SOURCES_MAX);
	} else {
		to = vec_push(&peer->sources);
		if (to)
			*to = (struct model_source){ .addr = s.addr, .port_low = s.port_low, .port_high = s.port_high,
						     .place = parser_model_place(p, s.place) };
		else
			p->failed = -ENOMEM;
	}
}

static void parse_peer_words(struct parser *p, struct model_peer *peer, const struct config_word *args, size_t count)
{
	for (size_t i = 0; i < count; i += 2) {
		if (strcmp(args[i].text, "source-pool")) {
			parser_error(p, &args[i], "unexpected '%s' after the peer's address; 'source-pool ADDRESS[:LOW-HIGH]' "
						  "is known here", args[i].text);
			return;
		}
		if (i + 1 == count) {
			parser_error(p, &args[i], "'source-pool' lacks its value: ADDRESS[:LOW-HIGH]");
			return;
		}
		add_source(p, peer, &args[i + 1]);
	}
}

/* peer NAME ADDRESS:PORT [source-pool ADDRESS[:LOW-HIGH]]... */
void parse_peer(struct parser *p, const struct config_word *args, size_t count)
{
	struct model_peers *to = &p->model->global.peers;
	struct model_peer *peer;
	struct endpoint at;

	if (!statement_name(p, &args[0], "peer") || !read_endpoint(p, &args[1], &at))
		return;
	for (size_t i = 0; i < to->all.count; i++) {
		if (!strcmp(to->all.items[i].name, args[0].text)) {
			parser_error(p, &args[0], "peer '%s' is given twice", args[0].text);
			return;
		}
		if (addr_equal(&to->all.items[i].at.addr, &at.addr)) {
			parser_error(p, &args[1], "peer '%s' has this address: a peer is told by it", to->all.items[i].name);
			return;
		}
		if (to->all.items[i].at.addr.family != at.addr.family) {
			parser_error(p, &args[1], "peer '%s' is of the other family: all are reached from one socket",
				     to->all.items[i].name);
			return;
		}
	}
	if (to->all.count == MODEL_PEERS_MAX) {
		parser_error(p, &args[-1], "more than %d peers (MODEL_PEERS_MAX)", MODEL_PEERS_MAX);
		return;
	}
	peer = vec_push(&to->all);
	if (!peer) {
		p->failed = -ENOMEM;
		return;
	}
	peer->name = parser_model_string(p, args[0].text);
	peer->at = at;
	peer->place = parser_model_place(p, p->at);
	parse_peer_words(p, peer, args + 2, count - 2);
}

/* bind ADDRESS:PORT, of a peers section */
void parse_peers_bind(struct parser *p, const struct config_word *args, size_t count)
{
	struct model_peers *to = &p->model->global.peers;

	if (to->bind.port)
		parser_error(p, &args[-1], "a second 'bind': a balancer hears its peers at one address");
	else if (read_endpoint(p, &args[0], &to->bind))
		to->bind_place = parser_model_place(p, p->at);
}

/* localpeer NAME */
void parse_localpeer(struct parser *p, const struct config_word *args, size_t count)
{
	if (p->localpeer_place.line) {
		parser_error(p, &args[-1], "a second 'localpeer': there is one, on %s",
			     parser_where(p, p->at, p->localpeer_place));
		return;
	}
	p->localpeer_place = parser_place(p, &args[0]);
	if (statement_name(p, &args[0], "peer"))
		p->model->global.localpeer = parser_model_string(p, args[0].text);
}

/* flows peers NAME */
void parse_flows(struct parser *p, const struct config_word *args, size_t count)
{
	if (strcmp(args[0].text, "peers"))
		parser_error(p, &args[0], "unexpected '%s'; it is written: flows peers NAME", args[0].text);
	else
		p->settings->flow_peers = (struct name_setting){ parser_keep(p, args[1].text), parser_place(p, &args[1]) };
}

static void find_local(struct parser *p)
{
	struct model_global *g = &p->model->global;
	char host[256] = "";

	if (!g->localpeer && gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	for (size_t i = 0; i < g->peers.all.count; i++)
		if (!strcmp(g->peers.all.items[i].name, g->localpeer ? g->localpeer : host)) {
			g->peers.local = i;
			if (!g->peers.bind.port)
				g->peers.bind = g->peers.all.items[i].at;
			if (g->peers.bind.addr.family != g->peers.all.items[i].at.addr.family)
				parser_error_at(p, p->peers_place, "the peers are of the other family than 'bind'");
			return;
		}
	parser_error_at(p, g->localpeer ? p->localpeer_place : p->peers_place,
			g->localpeer ? "no peer of '%s' is called '%s': one of them must be this balancer" :
				       "no peer of '%s' is called '%s', as this host is: write 'localpeer NAME' in the global section",
			g->peers.name, g->localpeer ? g->localpeer : host);
}

static bool has_family(const struct model_peer *peer, int family)
{
	for (size_t i = 0; i < peer->sources.count; i++)
		if (peer->sources.items[i].addr.family == family)
			return true;
	return false;
}

/* A backend's own pool is this balancer's: what it deals from another one's comes back to that one. */
static void check_own_sources(struct parser *p, const struct model_backend *b, struct place place)
{
	const struct model_peers *peers = &p->model->global.peers;

	for (size_t i = 0; i < peers->all.count; i++)
		for (size_t j = 0; i != peers->local && j < peers->all.items[i].sources.count; j++)
			for (size_t s = 0; s < b->sources.count; s++)
				if (addr_equal(&b->sources.items[s].addr, &peers->all.items[i].sources.items[j].addr))
					parser_error_at(p, place, "backend '%s': the address of its source-pool is peer '%s''s",
							b->name, peers->all.items[i].name);
}

/* Where one balancer has own addresses that move, all have, of the families of the servers. */
static void check_sources(struct parser *p, const struct model_backend *b, struct place place)
{
	const struct model_peers *peers = &p->model->global.peers;

	for (size_t i = 0; i < peers->all.count; i++)
		for (size_t s = 0; s < b->servers.count; s++) {
			const int family = b->servers.items[s].at.addr.family;

			if (has_family(&peers->all.items[i], family))
				continue;
			parser_error_at(p, place, "backend '%s': server '%s' is %s, and peer '%s' has no source-pool of that "
					"family, as others have", b->name, b->servers.items[s].name,
					family == AF_INET6 ? "IPv6" : "IPv4", peers->all.items[i].name);
			return;
		}
}

static void build_sources(struct parser *p)
{
	if (!model_moves_sources(p->model))
		return;
	for (size_t i = 0; i < p->backends.count; i++) {
		const struct model_backend *b = &p->model->backends.items[i];

		if (b->flow_peers && b->forward == MODEL_NAT)
			(b->sources.count ? check_own_sources : check_sources)(
				p, b, p->backends.items[i]->settings.flow_peers.place);
	}
}

void build_peers(struct parser *p)
{
	const struct model_global *g = &p->model->global;
	bool used = false;

	for (size_t i = 0; i < p->backends.count; i++) {
		const struct name_setting *s = &p->backends.items[i]->settings.flow_peers;

		used |= s->name != NULL;
		if (s->name && (!g->peers.name || strcmp(s->name, g->peers.name)))
			parser_error_at(p, s->place, "there is no peers section '%s'", s->name);
	}
	if (!g->peers.name) {
		if (g->localpeer)
			parser_notice_at(p, p->localpeer_place, "'localpeer' has no effect: there is no peers section");
		return;
	}
	if (g->peers.all.count < 2 && !p->errors)
		parser_error_at(p, p->peers_place, "'%s' needs two peers at least, this balancer and another one",
				g->peers.name);
	else if (!p->errors)
		find_local(p);
	if (!g->hash_secret_file)
		parser_error_at(p, p->peers_place, "peers need a 'hash-secret' in the global section, the same file on all of "
				"them: it is what they know each other by");
	if (!p->errors)
		build_sources(p);
	if (!used)
		parser_notice_at(p, p->peers_place, "no backend says 'flows peers %s': nothing travels", g->peers.name);
}
