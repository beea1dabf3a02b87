/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's verbs about access lists, named as HAProxy's: show, add, del, clear, get acl. A change holds
 * until the list is read again, by a reload or a start; the file is not written.
 */
#include <errno.h>
#include <syslog.h>

#include "agent/acls.h"
#include "agent/agent.h"
#include "base/addr.h"

enum { PREFIX_TEXT_MAX = ADDR_TEXT_MAX + 4 };

static const char *prefix_format(const struct model_prefix *p, char buf[static PREFIX_TEXT_MAX])
{
	char addr[ADDR_TEXT_MAX];

	addr_format(&p->addr, addr);
	if (p->length == addr_bits(&p->addr))
		snprintf(buf, PREFIX_TEXT_MAX, "%s", addr);
	else
		snprintf(buf, PREFIX_TEXT_MAX, "%s/%u", addr, p->length);
	return buf;
}

static json_t *acl_json(struct agent *a, size_t index)
{
	const struct model_acl *acl = &a->model->acls.items[index];
	const struct acl *list = &reconcile_acls(a->reconcile)->lists.items[index];

	return json_pack("{s:I, s:s, s:b, s:I, s:I}", "id", (json_int_t)index, "name", acl->name, "file", acl->file,
			 "prefixes", (json_int_t)list->prefixes.count, "changes", (json_int_t)list->changes);
}

/* The list a verb names; false after the reply. */
static bool find(struct control_request *r, struct agent *a, const char *name, size_t *ret)
{
	int n = model_find_acl(a->model, name);

	if (n < 0) {
		control_fail(r, CONTROL_FAILED, "%s: no list of this name; `show acl` has them all", name);
		return false;
	}
	*ret = (size_t)n;
	return true;
}

void verb_show_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	json_t *acls = json_array(), *entries;
	char text[PREFIX_TEXT_MAX];
	size_t index = 0;

	if (!argc) {
		for (size_t i = 0; i < a->model->acls.count; i++)
			json_array_append_new(acls, acl_json(a, i));
		control_reply(r, json_pack("{s:o, s:n}", "acls", acls, "entries"));
		return;
	}
	if (!find(r, a, argv[0], &index)) {
		json_decref(acls);
		return;
	}
	entries = json_array();
	for (size_t i = 0; i < reconcile_acls(a->reconcile)->lists.items[index].prefixes.count; i++)
		json_array_append_new(entries, json_string(prefix_format(
			&reconcile_acls(a->reconcile)->lists.items[index].prefixes.items[i], text)));
	json_array_append_new(acls, acl_json(a, index));
	control_reply(r, json_pack("{s:o, s:o}", "acls", acls, "entries", entries));
}

void verb_get_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	const struct model_prefix *found;
	char text[PREFIX_TEXT_MAX];
	struct addr addr;
	size_t index;

	if (!find(r, a, argv[0], &index))
		return;
	if (addr_parse(argv[1], &addr) < 0) {
		control_fail(r, CONTROL_USAGE, "%s: this is no IP address", argv[1]);
		return;
	}
	found = acls_match(reconcile_acls(a->reconcile), index, &addr);
	control_reply(r, json_pack("{s:s, s:s, s:s?}", "acl", argv[0], "address", argv[1], "match",
				   found ? prefix_format(found, text) : NULL));
}

/* What has changed is made so at once, or after tables that wait or the grace period of the change before it. */
static void change(struct control_request *r, struct agent *a, const char *verb, size_t index, const char *what, int e)
{
	if (e < 0) {
		control_fail(r, CONTROL_FAILED, e == -ENOSPC ? "%s: the lists of all frontends may hold no more prefixes "
			     "(MODEL_PREFIXES4_MAX, MODEL_PREFIXES6_MAX)" : "%s: out of memory", a->model->acls.items[index].name);
		return;
	}
	if (e) {
		log_event(a->log, LOG_NOTICE, "acl_changed", "acl=%s verb=%s prefix=%s",
			  log_quoted(a->model->acls.items[index].name), verb, what);
		if (a->running)
			reconcile_run(a->reconcile, a->health);
	}
	control_reply(r, json_pack("{s:b, s:o}", "changed", e, "acl", acl_json(a, index)));
}

static bool read_prefix(struct control_request *r, const char *text, struct model_prefix *ret)
{
	unsigned length;
	struct addr addr;

	if (addr_parse_prefix(text, &addr, &length) < 0) {
		control_fail(r, CONTROL_USAGE, "%s: this is no IP address or prefix", text);
		return false;
	}
	*ret = (struct model_prefix){ addr_mask(&addr, length), (uint8_t)length };
	return true;
}

void verb_add_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	struct model_prefix prefix;
	char text[PREFIX_TEXT_MAX];
	size_t index;

	if (find(r, a, argv[0], &index) && read_prefix(r, argv[1], &prefix))
		change(r, a, "add", index, prefix_format(&prefix, text),
		       acls_add(reconcile_acls(a->reconcile), index, &prefix));
}

void verb_del_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	struct model_prefix prefix;
	char text[PREFIX_TEXT_MAX];
	size_t index;
	int e;

	if (!find(r, a, argv[0], &index) || !read_prefix(r, argv[1], &prefix))
		return;
	e = acls_delete(reconcile_acls(a->reconcile), index, &prefix);
	if (e == 0)
		control_fail(r, CONTROL_FAILED, "%s: not in the list: an entry is deleted as it stands there", argv[1]);
	else
		change(r, a, "del", index, prefix_format(&prefix, text), e);
}

void verb_clear_acl(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	size_t index;

	if (find(r, a, argv[0], &index))
		change(r, a, "clear", index, "all", acls_clear(reconcile_acls(a->reconcile), index));
}
