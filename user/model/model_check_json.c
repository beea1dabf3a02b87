/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks of a model as JSON. Part of model_json.c's job: called by it alone. Names of fields are those of the
 * configuration's words, units in them.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/model_internal.h"

static json_t *expect_json(const struct model_http_check *h)
{
	static const struct model_status_range usual = { 200, 399 };
	const struct model_status_range *ranges = h->expect_count ? h->expect : &usual;
	size_t count = h->expect_count ? h->expect_count : 1, i;
	json_t *array = json_array();

	for (i = 0; i < count; i++) {
		if (json_array_append_new(array, json_pack("[i, i]", ranges[i].low, ranges[i].high))) {
			json_decref(array);
			return NULL;
		}
	}
	return json_pack("{s:b, s:o}", "not", h->expect_negated, "status", array);
}

/* "200-299,301" */
static json_t *ranges_json(const struct model_check_step *s)
{
	char text[MODEL_STATUS_RANGES_MAX * 8 + 1] = "";

	for (size_t i = 0, at = 0; i < s->length / sizeof(struct model_status_range); i++) {
		struct model_status_range r;

		memcpy(&r, s->data + i * sizeof(r), sizeof(r));
		at += (size_t)snprintf(text + at, sizeof(text) - at, r.low == r.high ? "%s%u" : "%s%u-%u", i ? "," : "", r.low,
				       r.high);
	}
	return json_string(text);
}

/* Bytes as the configuration writes them: as text where they are some, else as hexadecimal digits. */
static int set_bytes(json_t *to, const struct model_check_step *s)
{
	_cleanup_free_ char *hex = NULL;
	json_t *text;

	if (s->match == MODEL_MATCH_STATUS)
		return json_object_set_new(to, "status", ranges_json(s));
	if (s->match == MODEL_MATCH_STATUS_REGEX)
		return json_object_set_new(to, "rstatus", model_path_json((const char *)s->data));
	if (s->match == MODEL_MATCH_REGEX)
		return json_object_set_new(to, "rstring", model_path_json((const char *)s->data));
	text = s->match == MODEL_MATCH_STRING ? json_string((const char *)s->data) : NULL;
	if (text)
		return json_object_set_new(to, "string", text);
	hex = malloc(2 * s->length + 1);
	if (!hex)
		return -1;
	hex[0] = '\0';
	for (size_t i = 0; i < s->length; i++)
		snprintf(hex + 2 * i, 3, "%02x", s->data[i]);
	return json_object_set_new(to, "binary", json_string(hex));
}

static json_t *connect_json(const struct model_check_step *s)
{
	char text[ADDR_TEXT_MAX];

	return json_pack("{s:s, s:b, s:s?, s:i, s:b, s:s?, s:s?, s:b, s:o}", "step", "connect", "default",
			 s->server_options, "address", s->addr.family ? addr_format(&s->addr, text) : NULL, "port",
			 s->port, "ssl", s->tls, "sni", s->sni, "alpn", s->alpn, "linger", s->linger, "comment",
			 model_path_json(s->comment));
}

static json_t *step_json(const struct model_check_step *s)
{
	json_t *j;

	if (s->kind == MODEL_STEP_CONNECT)
		return connect_json(s);
	if (s->kind == MODEL_STEP_SEND)
		j = json_pack("{s:s, s:o}", "step", "send", "comment", model_path_json(s->comment));
	else
		j = json_pack("{s:s, s:b, s:i, s:o}", "step", "expect", "not", s->negated, "min_recv",
			      (int)s->min_recv, "comment", model_path_json(s->comment));
	if (j && set_bytes(j, s)) {
		json_decref(j);
		j = NULL;
	}
	return j;
}

static json_t *script_json(const struct model_backend *b)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < b->steps.count; i++) {
		if (json_array_append_new(steps, step_json(&b->steps.items[i]))) {
			json_decref(steps);
			return NULL;
		}
	}
	return json_pack("{s:s, s:b, s:o}", "kind", b->check_datagram ? "udp" : b->check_http ? "http-script" : "script",
			 "disable_on_404", b->http.disable_on_404, "steps", steps);
}

/* Name and words of a plugin's check. The second text, the password, is never shown. */
static json_t *plugin_json(const struct model_backend *b)
{
	const struct model_roles *r = &b->roles;
	const char *text = b->plugin.words, *name = text;
	json_t *words = json_array();

	for (unsigned i = 0; i < b->plugin.count; i++, text += strlen(text) + 1) {
		if (i > 1 && json_array_append_new(words, model_path_json(text))) {
			json_decref(words);
			return NULL;
		}
	}
	return json_pack("{s:s, s:s, s:o, s:b, s:o, s:s, s:b, s:b, s:i, s:i, s:i, s:s}", "kind", "plugin", "plugin", name, "words",
			 words, "password", b->plugin.password_file != NULL, "password_file",
			 model_path_json(b->plugin.password_file), "role", model_role_name(r->role), "or_primary", r->or_primary,
			 "weight_by_lag", r->weight_by_lag, "max_writers", (int)r->max_writers, "max_lag_ms",
			 (int)r->max_lag_ms, "recover_lag_ms", (int)r->recover_lag_ms, "on_conflict",
			 r->keep ? "keep" : "none");
}

json_t *model_check_json(const struct model_backend *b)
{
	switch (b->check) {
	case MODEL_CHECK_HTTP:
		return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s?, s:o}", "kind", "http", "disable_on_404",
				 b->http.disable_on_404, "method", b->http.method, "uri",
				 b->http.uri, "version", b->http.version, "host", b->http.host, "expect",
				 expect_json(&b->http));
	case MODEL_CHECK_SCRIPT:
		return script_json(b);
	case MODEL_CHECK_DNS:
		return json_pack("{s:s, s:s?, s:s}", "kind", "dns", "name", b->dns.name, "type",
				 model_dns_type_name(b->dns.type));
	case MODEL_CHECK_PLUGIN:
		return plugin_json(b);
	case MODEL_CHECK_EXTERNAL:
		return json_pack("{s:s, s:o, s:o}", "kind", "external", "command", model_path_json(b->external.command),
				 "path", model_path_json(b->external.path));
	default:
		return json_pack("{s:s}", "kind", model_check_name(b->check));
	}
}

static json_t *tls_json(const struct model_server *s)
{
	const struct model_tls *t = &s->tls;

	if (!s->tls_used)
		return json_null();
	return json_pack("{s:b, s:s, s:o, s:o, s:s?, s:s?, s:s?}", "check_ssl", s->check_ssl, "verify",
			 t->verify_none ? "none" : "required", "ca_file", model_path_json(t->ca_file), "crt",
			 model_path_json(t->crt), "check_sni", t->sni, "check_alpn", t->alpn, "verifyhost",
			 t->verify_host);
}

static json_t *via_json(const struct model_server *s)
{
	const struct endpoint at = { .addr = s->via.service, .port = s->check_at.port };
	char text[ENDPOINT_TEXT_MAX];

	return s->via.service.family ? json_string(endpoint_format(&at, text)) : json_null();
}

static json_t *agent_json(const struct model_server *s)
{
	char text[ENDPOINT_TEXT_MAX];

	if (!s->agent)
		return json_null();
	return json_pack("{s:s, s:i, s:o}", "address", endpoint_format(&s->agent_at, text), "inter_ms",
			 (int)s->agent_inter_ms, "send", model_path_json(s->agent_send));
}

int model_server_check_json(const struct model_server *s, json_t *to)
{
	int r = json_object_set_new(to, "tls", tls_json(s));

	r |= json_object_set_new(to, "check_via", via_json(s));
	r |= json_object_set_new(to, "agent", agent_json(s));
	r |= json_object_set_new(to, "track", s->track ? json_string(s->track) : json_null());
	r |= json_object_set_new(to, "slowstart_ms", json_integer(s->slowstart_ms));
	r |= json_object_set_new(to, "flap_count", json_integer(s->flap_count));
	r |= json_object_set_new(to, "flap_ms", json_integer(s->flap_ms));
	return r;
}
