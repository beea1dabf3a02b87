/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model's own functions: release, look-ups, names. Called by every room that reads a model. Builds nothing.
 */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

static void server_done(struct model_server *s)
{
	free(s->name);
	free(s->tls.ca_file);
	free(s->tls.crt);
	free(s->tls.sni);
	free(s->tls.alpn);
	free(s->tls.verify_host);
	free(s->agent_send);
	free(s->track);
	vec_done(&s->origins);
}

static void step_done(struct model_check_step *s)
{
	free(s->comment);
	free(s->sni);
	free(s->alpn);
	free(s->data);
}

static void backend_done(struct model_backend *b)
{
	size_t i;

	for (i = 0; i < b->servers.count; i++)
		server_done(&b->servers.items[i]);
	for (i = 0; i < b->steps.count; i++)
		step_done(&b->steps.items[i]);
	vec_done(&b->servers);
	vec_done(&b->steps);
	vec_done(&b->sources);
	vec_done(&b->tunnel_sources);
	vec_done(&b->origins);
	free(b->http.host);
	free(b->dns.name);
	free(b->external.command);
	free(b->external.path);
	free(b->external.proxy_addr);
	free(b->external.proxy_port);
	if (b->plugin.words)
		explicit_bzero(b->plugin.words, b->plugin.length);
	free(b->plugin.words);
	free(b->plugin.password_file);
	free(b->name);
}

static void global_done(struct model_global *g)
{
	size_t i;

	for (i = 0; i < g->logs.count; i++)
		free(g->logs.items[i].path);
	vec_done(&g->logs);
	vec_done(&g->interfaces);
	vec_done(&g->origins);
	free(g->stats.path);
	free(g->hash_secret_file);
	for (i = 0; i < g->peers.all.count; i++) {
		free(g->peers.all.items[i].name);
		vec_done(&g->peers.all.items[i].sources);
	}
	vec_done(&g->peers.all);
	free(g->peers.name);
	free(g->localpeer);
	free(g->state_dir);
}

void model_free(struct model *m)
{
	size_t i;

	if (!m)
		return;
	for (i = 0; i < m->backends.count; i++)
		backend_done(&m->backends.items[i]);
	for (i = 0; i < m->services.count; i++) {
		free(m->services.items[i].name);
		free(m->services.items[i].frontend);
		vec_done(&m->services.items[i].origins);
	}
	for (i = 0; i < m->acls.count; i++) {
		free(m->acls.items[i].name);
		vec_done(&m->acls.items[i].prefixes);
	}
	for (i = 0; i < m->policies.count; i++) {
		for (size_t n = 0; n < m->policies.items[i].rules.count; n++)
			free(m->policies.items[i].rules.items[n].text);
		vec_done(&m->policies.items[i].rules);
	}
	for (i = 0; i < m->files.count; i++)
		free(m->files.items[i]);
	vec_done(&m->acls);
	vec_done(&m->policies);
	vec_done(&m->backends);
	vec_done(&m->services);
	vec_done(&m->files);
	global_done(&m->global);
	free(m);
}

int model_find_acl(const struct model *m, const char *name)
{
	char *end;
	unsigned long n;

	for (size_t i = 0; i < m->acls.count; i++)
		if (strcmp(m->acls.items[i].name, name) == 0)
			return (int)i;
	if (name[0] != '#' || name[1] < '0' || name[1] > '9')
		return -ENOENT;
	n = strtoul(name + 1, &end, 10);
	return *end || n >= m->acls.count ? -ENOENT : (int)n;
}

void model_count_prefixes(const struct model *m, size_t *ret4, size_t *ret6)
{
	*ret4 = *ret6 = 0;
	for (size_t i = 0; i < m->policies.count; i++)
		for (size_t n = 0; n < m->policies.items[i].rules.count; n++) {
			const struct model_rule *rule = &m->policies.items[i].rules.items[n];

			for (size_t l = 0; l < rule->list_count; l++) {
				const struct model_acl *acl = &m->acls.items[rule->lists[l]];

				for (size_t x = 0; x < acl->prefixes.count; x++)
					++*(acl->prefixes.items[x].addr.family == AF_INET6 ? ret6 : ret4);
			}
		}
}

const struct model_server *model_find_server(const struct model *m, const char *path,
					     const struct model_backend **ret_backend)
{
	const char *slash = strchr(path, '/');
	size_t length, i, j;

	if (!slash)
		return NULL;
	length = (size_t)(slash - path);
	for (i = 0; i < m->backends.count; i++) {
		const struct model_backend *b = &m->backends.items[i];

		if (strlen(b->name) != length || memcmp(b->name, path, length))
			continue;
		for (j = 0; j < b->servers.count; j++) {
			if (strcmp(b->servers.items[j].name, slash + 1))
				continue;
			if (ret_backend)
				*ret_backend = b;
			return &b->servers.items[j];
		}
	}
	return NULL;
}

const struct model_source *model_sources(const struct model *m, const struct model_backend *b, size_t *ret_count)
{
	const struct model_peers *peers = &m->global.peers;
	const struct model_peer *local = peers->name && b->flow_peers ? &peers->all.items[peers->local] : NULL;
	const bool own = b->sources.count || !local;

	*ret_count = own ? b->sources.count : local->sources.count;
	return own ? b->sources.items : local->sources.items;
}

bool model_moves_sources(const struct model *m)
{
	bool nat = false, any = false;

	for (size_t i = 0; i < m->backends.count; i++)
		nat |= m->backends.items[i].flow_peers && m->backends.items[i].forward == MODEL_NAT;
	for (size_t i = 0; m->global.peers.name && i < m->global.peers.all.count; i++)
		any |= m->global.peers.all.items[i].sources.count > 0;
	return nat && any;
}

const struct model_backend *model_find_port_clash(const struct model *m, uint16_t low, uint16_t high, uint16_t *ret_low,
						  uint16_t *ret_high)
{
	static const struct model_source builtin = { .port_low = MODEL_POOL_PORT_LOW, .port_high = MODEL_POOL_PORT_HIGH };

	for (size_t b = 0; b < m->backends.count; b++) {
		const struct model_backend *backend = &m->backends.items[b];

		size_t count;
		const struct model_source *sources = model_sources(m, backend, &count);

		for (size_t i = 0; backend->forward == MODEL_NAT && i < (count ? count : 1); i++) {
			const struct model_source *s = count ? &sources[i] : &builtin;

			if (s->port_high < low || s->port_low > high)
				continue;
			*ret_low = s->port_low;
			*ret_high = s->port_high;
			return backend;
		}
	}
	return NULL;
}

bool model_service_has_all_ports(const struct model_service *s)
{
	return s->port_low == 1 && s->port_high == UINT16_MAX;
}

uint32_t model_idle_timeout_ms(const struct model *m, const struct model_service *s)
{
	const struct model_backend *b = &m->backends.items[s->backend];

	if (b->tunnel_timeout_ms)
		return b->tunnel_timeout_ms;
	return s->client_timeout_ms > b->server_timeout_ms ? s->client_timeout_ms : b->server_timeout_ms;
}

static const char *name_of(const char *const *names, size_t count, size_t value)
{
	return value < count && names[value] ? names[value] : "?";
}

const char *model_balance_name(enum model_balance b)
{
	static const char *const names[] = {
		[MODEL_ROUNDROBIN] = "roundrobin", [MODEL_MAGLEV] = "maglev", [MODEL_SOURCE] = "source",
		[MODEL_LEASTCONN] = "leastconn",
	};

	return name_of(names, array_size(names), b);
}

bool model_balance_deals(enum model_balance b)
{
	return b == MODEL_ROUNDROBIN || b == MODEL_LEASTCONN;
}

const char *model_forward_name(enum model_forward f)
{
	static const char *const names[] = {
		[MODEL_NAT] = "nat", [MODEL_DSR] = "dsr", [MODEL_IPIP] = "ipip", [MODEL_TRANSPARENT] = "transparent",
	};

	return name_of(names, array_size(names), f);
}

const char *model_protocol_name(enum model_protocol p)
{
	static const char *const names[] = { [MODEL_TCP] = "tcp", [MODEL_UDP] = "udp" };

	return name_of(names, array_size(names), p);
}

const char *model_all_down_name(enum model_all_down a)
{
	static const char *const names[] = {
		[MODEL_REJECT] = "reject", [MODEL_DROP] = "drop", [MODEL_LAST_KNOWN] = "last-known",
	};

	return name_of(names, array_size(names), a);
}

const char *model_xdp_mode_name(enum model_xdp_mode m)
{
	static const char *const names[] = {
		[MODEL_XDP_AUTO] = "auto", [MODEL_XDP_NATIVE] = "native",
		[MODEL_XDP_GENERIC] = "generic", [MODEL_XDP_SHARED] = "shared",
	};

	return name_of(names, array_size(names), m);
}

const char *model_init_state_name(enum model_init_state s)
{
	static const char *const names[] = {
		[MODEL_INIT_DEFAULT] = "default", [MODEL_INIT_UP] = "up", [MODEL_INIT_DOWN] = "down",
		[MODEL_INIT_FULLY_UP] = "fully-up", [MODEL_INIT_FULLY_DOWN] = "fully-down",
	};

	return name_of(names, array_size(names), s);
}

const char *model_check_name(enum model_check c)
{
	static const char *const names[] = {
		[MODEL_CHECK_TCP] = "tcp", [MODEL_CHECK_HTTP] = "http", [MODEL_CHECK_SCRIPT] = "script",
		[MODEL_CHECK_DNS] = "dns", [MODEL_CHECK_EXTERNAL] = "external", [MODEL_CHECK_PLUGIN] = "plugin",
	};

	return name_of(names, array_size(names), c);
}

const char *model_role_name(enum model_role r)
{
	static const char *const names[] = {
		[MODEL_ROLE_ANY] = "any", [MODEL_ROLE_PRIMARY] = "primary", [MODEL_ROLE_REPLICA] = "replica",
	};

	return name_of(names, array_size(names), r);
}

const char *model_death_name(enum model_death d)
{
	static const char *const names[] = { [MODEL_DEATH_KEEP] = "keep", [MODEL_DEATH_PASS] = "pass",
		[MODEL_DEATH_WITHDRAW] = "withdraw" };

	return name_of(names, array_size(names), d);
}

/* Types that a server is likely to be asked for; https://www.iana.org/assignments/dns-parameters */
static const struct {
	const char *name;
	uint16_t type;
} dns_types[] = {
	{ "A", 1 }, { "NS", 2 }, { "CNAME", 5 }, { "SOA", 6 }, { "PTR", 12 },
	{ "MX", 15 }, { "TXT", 16 }, { "AAAA", 28 }, { "SRV", 33 },
};

const char *model_dns_type_name(uint16_t type)
{
	for (size_t i = 0; i < array_size(dns_types); i++)
		if (dns_types[i].type == type)
			return dns_types[i].name;
	return NULL;
}

int model_dns_type_parse(const char *name, uint16_t *ret)
{
	for (size_t i = 0; i < array_size(dns_types); i++) {
		if (strcasecmp(dns_types[i].name, name))
			continue;
		*ret = dns_types[i].type;
		return 0;
	}
	return -EINVAL;
}

bool model_dns_name_is_valid(const char *name)
{
	size_t length = strlen(name), label = 0;

	if (length && name[length - 1] == '.')
		length--;
	if (!length || length > MODEL_DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (name[i] == '.' && !label)
			return false;
		label = name[i] == '.' ? 0 : label + 1;
		if (label > 63 || (unsigned char)name[i] <= ' ' || (unsigned char)name[i] > '~')
			return false;
	}
	return label > 0;
}

bool model_alpn_is_valid(const char *list)
{
	size_t length, used = 0;

	for (;; list++) {
		length = strcspn(list, ",");
		used += 1 + length;
		if (!length || length > 255 || used > 255)
			return false;
		list += length;
		if (!*list)
			return true;
	}
}
