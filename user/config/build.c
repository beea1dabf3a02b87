/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what was written to the model: references resolved, defaults filled in, a service for each address of a bind.
 * Called once by config.c when all files are read. What must hold between the parts is validate.c's matter.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "config/parser.h"

static bool is_front(const struct proxy *x)
{
	return x->section & (SECTION_FRONTEND | SECTION_LISTEN);
}

static bool is_back(const struct proxy *x)
{
	return x->section & (SECTION_BACKEND | SECTION_LISTEN);
}

static const char *kind(const struct proxy *x)
{
	return x->section == SECTION_FRONTEND ? "frontend" : x->section == SECTION_LISTEN ? "listen" : "backend";
}

/* The backend (or listen) of that name; NULL after an error. */
static struct proxy *find_backend(struct parser *p, const struct name_setting *wanted)
{
	struct suggest suggest = { .word = wanted->name };
	bool is_frontend = false;
	size_t i;

	for (i = 0; i < p->proxies.count; i++) {
		struct proxy *x = p->proxies.items[i];

		if (strcmp(x->name, wanted->name))
			continue;
		if (is_back(x))
			return x;
		is_frontend = true;
	}
	for (i = 0; i < p->proxies.count && parser_suggests(p); i++) {
		if (is_back(p->proxies.items[i]))
			suggest_offer(&suggest, p->proxies.items[i]->name);
	}
	if (is_frontend && !suggest.best)
		parser_error_at(p, wanted->place, "'%s' is a frontend; a backend or listen section is expected",
				wanted->name);
	else if (suggest.best)
		parser_error_at(p, wanted->place, "there is no backend '%s'; did you mean '%s'?", wanted->name,
				suggest.best);
	else
		parser_error_at(p, wanted->place, "there is no backend '%s'", wanted->name);
	return NULL;
}

/* Finds where a frontend's packets go: use_backend, default_backend, or a listen's own servers, in HAProxy's order. */
static void resolve_target(struct parser *p, struct proxy *x)
{
	const struct name_setting *wanted = x->use_backend.name ? &x->use_backend : &x->settings.default_backend;

	if (!wanted->name && x->section == SECTION_LISTEN) {
		x->target = x;
	} else if (!wanted->name) {
		if (!x->broken)
			parser_error_at(p, x->place, "frontend '%s' has no backend: add 'default_backend NAME'",
					x->name);
	} else {
		x->target = find_backend(p, wanted);
		if (x->target == x) {
			parser_error_at(p, wanted->place, "'%s' sends its packets to itself; leave the line out",
					x->name);
			x->target = NULL;
		} else if (x->target && x->section == SECTION_LISTEN && x->servers.count) {
			parser_notice_at(p, wanted->place,
					 "it has precedence: the servers of listen '%s' itself get nothing", x->name);
		}
	}
	if (x->target)
		x->target->referenced = true;
	if (wanted == &x->use_backend && x->settings.default_backend.name)
		find_backend(p, &x->settings.default_backend); /* never reached, but a wrong name is still an error */
	if (!x->binds.count && !x->broken)
		parser_notice_at(p, x->place, "%s '%s' has no 'bind': nothing is sent to it", kind(x), x->name);
}

/* The first address that clients' packets have towards this server, unless it is the kernel's choice, or `addr` another way. */
static struct addr source_towards(const struct model_backend *b, const struct model_server *s)
{
	for (size_t i = 0; i < b->sources.count && addr_equal(&s->check_at.addr, &s->at.addr); i++)
		if (!b->sources.items[i].addr.family || b->sources.items[i].addr.family == s->at.addr.family)
			return b->sources.items[i].addr;
	return (struct addr){};
}

static void build_server(struct parser *p, const struct server_draft *draft, const struct model_backend *b,
			 struct model_server *s)
{
	const struct server_settings *set = &draft->settings;

	s->name = parser_model_string(p, draft->name);
	s->at = draft->at;
	s->weight = set->weight;
	s->backup = set->backup;
	s->disabled = set->disabled;
	s->check = set->check;
	s->init_state = set->init_state;
	/* A client of a primary that is none any more must not go on with it: not an option there. */
	s->shutdown_sessions = set->shutdown_sessions || b->roles.role == MODEL_ROLE_PRIMARY;
	s->inter_ms = set->inter_ms;
	s->fastinter_ms = set->fastinter_ms;
	s->downinter_ms = set->downinter_ms;
	memcpy(s->quic_id, set->quic_id, sizeof(s->quic_id));
	s->rise = set->rise;
	s->fall = set->fall;
	origin_build(p, set->origins, &s->origins);
	s->place = parser_model_place(p, draft->place);
	build_server_check(p, draft, b, s);
	if (!s->check || set->via) /* build_vias(): services come later */
		return;
	s->check_at.addr = set->check_addr.family ? set->check_addr : draft->at.addr;
	s->check_at.port = set->check_port ? set->check_port : draft->at.port;
	s->check_source = source_towards(b, s);
	if (!s->check_at.port)
		parser_error_at(p, draft->place, "server '%s' has no port to check: give it one, or add 'port PORT'",
				draft->name);
}

static void build_sources(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	size_t i, j;

	if (b->forward != MODEL_NAT) {
		if (x->settings.sources_own)
			parser_error_at(p, x->settings.sources[0].place,
					"'source-pool' has no use with '%s': the servers "
					"see the client's address",
					forward_words(b->forward));
		return;
	}
	for (i = 0; i < x->settings.source_count; i++) {
		const struct source_setting *from = &x->settings.sources[i];
		struct model_source *to = vec_push(&b->sources);

		if (!to) {
			p->failed = -ENOMEM;
			return;
		}
		*to = (struct model_source){.addr = from->addr,
					    .port_low = from->port_low,
					    .port_high = from->port_high,
					    .place = parser_model_place(p, from->place)};
		for (j = 0; j < x->servers.count; j++) {
			if (!from->addr.family || x->servers.items[j].at.addr.family == from->addr.family)
				break;
		}
		if (x->settings.sources_own && x->servers.count && j == x->servers.count)
			parser_error_at(p, from->place, "no server of %s '%s' is of this address's family", kind(x),
					x->name);
	}
}

static void build_tunnel_sources(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	size_t i, j;

	if (b->forward != MODEL_IPIP) {
		if (x->settings.tunnel_sources_own)
			parser_error_at(p, x->settings.tunnel_source_count ? x->settings.tunnel_sources[0].place :
									     x->settings.tunnel_any,
					"'tunnel-source' has no use with '%s': there is no outer header",
					forward_words(b->forward));
		return;
	}
	for (i = 0; i < x->settings.tunnel_source_count; i++) {
		const struct tunnel_setting *from = &x->settings.tunnel_sources[i];
		struct model_tunnel_source *to = vec_push(&b->tunnel_sources);

		if (!to) {
			p->failed = -ENOMEM;
			return;
		}
		*to = (struct model_tunnel_source){ .addr = from->addr,
						    .bits = from->bits,
						    .place = parser_model_place(p, from->place) };
		for (j = 0; j < x->servers.count; j++) {
			if (x->servers.items[j].at.addr.family == from->addr.family)
				break;
		}
		if (x->settings.tunnel_sources_own && x->servers.count && j == x->servers.count)
			parser_error_at(p, from->place, "no server of %s '%s' is of this address's family", kind(x),
					x->name);
	}
}

/* Timeouts that are not set (or 0, HAProxy's "for ever") get a value here, and a notice says so, once a section. */
static uint32_t timeout_or(const struct time_setting *t, uint32_t fallback, const char *text, char *missing,
			   size_t size)
{
	size_t used = strlen(missing);

	if (t->ms)
		return t->ms;
	snprintf(missing + used, size - used, "%s%s", used ? ", " : "", text);
	return fallback;
}

/* Pools of connections to a database are idle for hours; MySQL itself ends them after 8. */
static bool is_mysql(const struct proxy *x)
{
	return x->settings.check_kind == MODEL_CHECK_PLUGIN && x->settings.mysql.used;
}

static uint32_t idle_default_ms(const struct proxy *backend)
{
	return is_mysql(backend) ? MODEL_IDLE_TIMEOUT_MYSQL_MS : MODEL_IDLE_TIMEOUT_DEFAULT_MS;
}

static void build_timeouts(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	char missing[128] = "";

	b->connect_timeout_ms = timeout_or(&x->settings.connect, MODEL_CONNECT_TIMEOUT_DEFAULT_MS,
					   "'timeout connect' (5s)", missing, sizeof(missing));
	b->check_timeout_ms = x->settings.check.ms;
	b->tunnel_timeout_ms = x->settings.tunnel.ms;
	b->server_timeout_ms = x->settings.server.ms ? x->settings.server.ms : idle_default_ms(x);
	if (!b->tunnel_timeout_ms)
		timeout_or(&x->settings.server, 0, is_mysql(x) ? "'timeout server' (8h)" : "'timeout server' (1h)",
			   missing, sizeof(missing));
	if (x->section == SECTION_LISTEN && !b->tunnel_timeout_ms && x->target == x)
		timeout_or(&x->settings.client, 0, is_mysql(x) ? "'timeout client' (8h)" : "'timeout client' (1h)",
			   missing, sizeof(missing));
	if (*missing && !x->broken)
		parser_notice_at(p, x->place, "%s '%s' does not set %s; what stands in parentheses is used", kind(x),
				 x->name, missing);
	b->idle_timeout_ms = b->tunnel_timeout_ms ? b->tunnel_timeout_ms : b->server_timeout_ms;
}

static void build_backend(struct parser *p, struct proxy *x)
{
	struct model_backend *b = vec_push(&p->model->backends);
	const struct proxy **origin = b ? vec_push(&p->backends) : NULL;
	size_t i;

	if (!origin) {
		p->failed = -ENOMEM;
		return;
	}
	*origin = x;
	x->backend = p->backends.count - 1;
	b->name = parser_model_string(p, x->name);
	b->mode = x->settings.mode;
	b->balance = x->settings.balance;
	build_transparent(p, x, b);
	b->on_all_down = x->settings.on_all_down;
	b->all_backups = x->settings.all_backups;
	b->udp_persist_ms = x->settings.udp_persist_ms;
	b->flow_peers = x->settings.flow_peers.name;
	b->quic_length = x->settings.quic.length;
	b->quic_config = x->settings.quic.config;
	b->place = parser_model_place(p, x->place);
	origin_build(p, x->settings.origins, &b->origins);
	build_timeouts(p, x, b);
	build_check(p, x, b);
	build_sources(p, x, b);
	build_tunnel_sources(p, x, b);
	if (!x->servers.count && !x->broken)
		parser_notice_at(p, x->place, "%s '%s' has no servers: what is sent to it is %s", kind(x), x->name,
				 b->on_all_down == MODEL_REJECT ? "rejected" : "dropped");
	for (i = 0; i < x->servers.count; i++) {
		struct model_server *s = vec_push(&b->servers);

		if (!s) {
			p->failed = -ENOMEM;
			return;
		}
		build_server(p, &x->servers.items[i], b, s);
	}
}

/* "*:80", "[::]:80", "udp@192.0.2.1:8000-8010" */
static void format_bind(const struct bind_draft *b, char *buf, size_t size)
{
	char addr[ADDR_TEXT_MAX];
	const char *udp = b->protocol == MODEL_UDP ? "udp@" : "";

	addr_format(&b->addr, addr);
	if (b->any && b->addr.family == AF_INET)
		strcpy(addr, "*");
	snprintf(buf, size, b->addr.family == AF_INET6 ? "%s[%s]:%u" : "%s%s:%u", udp, addr, b->port_low);
	if (b->port_high != b->port_low)
		snprintf(buf + strlen(buf), size - strlen(buf), "-%u", b->port_high);
}

static bool same_name(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* FRONTEND, FRONTEND/NAME where the bind has a name; and the address behind it when several would have that name. */
static char *service_name(struct parser *p, const struct proxy *x, const struct bind_draft *bind)
{
	char text[2 * MODEL_NAME_MAX + ENDPOINT_TEXT_MAX + 32], address[ENDPOINT_TEXT_MAX + 16];
	size_t i, alike = 0;

	for (i = 0; i < x->binds.count; i++)
		alike += same_name(x->binds.items[i].name, bind->name);
	format_bind(bind, address, sizeof(address));
	if (!bind->name && x->binds.count > 1)
		alike = x->binds.count;
	snprintf(text, sizeof(text), "%s%s%s%s%s", x->name, bind->name ? "/" : "", bind->name ? bind->name : "",
		 alike > 1 ? "/" : "", alike > 1 ? address : "");
	return parser_model_string(p, text);
}

static void build_service(struct parser *p, const struct proxy *x, const struct bind_draft *bind, size_t policy)
{
	struct model_service *s = vec_push(&p->model->services);
	struct service_origin *origin = s ? vec_push(&p->services) : NULL;
	struct model_backend *b = &p->model->backends.items[x->target->backend];
	uint32_t idle;

	if (!origin) {
		p->failed = -ENOMEM;
		return;
	}
	*origin = (struct service_origin){ x, bind };
	s->name = service_name(p, x, bind);
	s->frontend = parser_model_string(p, x->name);
	s->any_addr = bind->any;
	s->addr = bind->addr;
	s->port_low = bind->port_low;
	s->port_high = bind->port_high;
	s->protocol = bind->protocol;
	s->client_timeout_ms = x->settings.client.ms ? x->settings.client.ms : idle_default_ms(x->target);
	s->backend = x->target->backend;
	s->policy = policy;
	build_rate(p, x, s);
	build_announce(p, x, s);
	origin_build(p, x->settings.origins, &s->origins);
	s->place = parser_model_place(p, bind->place);
	idle = model_idle_timeout_ms(p->model, s);
	if (idle > b->idle_timeout_ms)
		b->idle_timeout_ms = idle;
}

static void build_frontend(struct parser *p, const struct proxy *x)
{
	const struct model_backend *b = &p->model->backends.items[x->target->backend];
	size_t policy, i;

	if (x->settings.disabled) {
		parser_notice_at(p, x->place, "%s '%s' is disabled: nothing is sent to it", kind(x), x->name);
		return;
	}
	if (x->target != x && !x->settings.client.ms && !b->tunnel_timeout_ms)
		parser_notice_at(p, x->place,
				 "%s '%s' does not set 'timeout client' (%s); what stands in parentheses is used",
				 kind(x), x->name, is_mysql(x->target) ? "8h" : "1h");
	policy = build_policy(p, x);
	check_rate(p, x);
	for (i = 0; i < x->binds.count && !p->failed; i++)
		build_service(p, x, &x->binds.items[i], policy);
}

void build_model(struct parser *p)
{
	size_t i;
	bool any = false;

	for (i = 0; i < p->proxies.count; i++) {
		if (is_front(p->proxies.items[i]))
			resolve_target(p, p->proxies.items[i]);
		any |= is_front(p->proxies.items[i]);
	}
	if (!any && !p->errors)
		parser_error_at(p, (struct place){}, "there is nothing to balance: no frontend and no listen section");
	for (i = 0; i < p->proxies.count && !p->failed; i++) {
		struct proxy *x = p->proxies.items[i];

		if (x->section == SECTION_BACKEND || (is_back(x) && (x->servers.count || x->referenced)))
			build_backend(p, x);
	}
	for (i = 0; i < p->proxies.count && !p->failed; i++) {
		if (is_front(p->proxies.items[i]) && p->proxies.items[i]->target)
			build_frontend(p, p->proxies.items[i]);
	}
	origin_build(p, p->origins, &p->model->global.origins);
	if (!p->failed)
		build_vias(p);
	if (!p->failed)
		build_tracks(p);
	if (!p->failed)
		build_peers(p);
	if (!p->failed)
		validate_model(p);
}
