/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tcp-request connection reject if { src ... }`: who may open connections to a frontend. Called through the keyword
 * table; build.c makes a policy of each frontend's lines. What is not understood is refused: a rule that is not asked
 * would let through whom it was to keep out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "config/parser.h"
#include "config/value.h"

/* What is wrong with a pattern of `src`, in words; NULL and the prefix otherwise. Bits behind the length do not count. */
static const char *read_pattern(const char *text, struct model_prefix *ret)
{
	const char *slash = strchr(text, '/');
	unsigned length;
	struct addr a;
	int r = addr_parse_prefix(text, &a, &length);

	if (r == -ERANGE)
		return "the prefix's length is above 32 (IPv4) or 128 (IPv6)";
	if (r < 0 && slash && strchr(slash, '.'))
		return "netmasks with dots are not read: write the prefix's length";
	if (r < 0 && strspn(text, "0123456789.:abcdefABCDEF/") != strlen(text))
		return "host names are not resolved: write addresses and prefixes";
	if (r < 0)
		return "this is no IP address or prefix";
	*ret = (struct model_prefix){ addr_mask(&a, length), (uint8_t)length };
	return NULL;
}

static bool add_pattern(struct parser *p, struct model_acl *acl, const struct model_prefix *prefix)
{
	struct model_prefix *to = vec_push(&acl->prefixes);

	if (!to) {
		p->failed = -ENOMEM;
		return false;
	}
	*to = *prefix;
	return true;
}

/* A pattern file as HAProxy reads it: a pattern a line, blanks around it; lines that begin with # are comments. */
static void read_patterns(struct parser *p, const struct config_word *at, FILE *stream, struct model_acl *acl)
{
	_cleanup_free_ char *line = NULL;
	unsigned number = 0, wrong = 0;
	size_t room = 0, total = 0;
	ssize_t length;

	while ((length = getline(&line, &room, stream)) >= 0 && !p->failed) {
		struct model_prefix prefix;
		char *text = line + strspn(line, " \t");
		const char *why = NULL;

		number++;
		total += (size_t)length;
		if (total > CONFIG_FILE_MAX) {
			parser_error(p, at, "'%s' is larger than %d bytes (CONFIG_FILE_MAX)", at->text, CONFIG_FILE_MAX);
			return;
		}
		if (strlen(line) != (size_t)length)
			why = "the line holds a NUL";
		text[strcspn(text, "\r\n")] = '\0';
		for (size_t n = strlen(text); n && (text[n - 1] == ' ' || text[n - 1] == '\t'); n--)
			text[n - 1] = '\0';
		if (!why && (!*text || *text == '#'))
			continue;
		if (!why)
			why = read_pattern(text, &prefix);
		if (!why) {
			add_pattern(p, acl, &prefix);
			continue;
		}
		if (++wrong <= 10)
			parser_error(p, at, "'%s', line %u: '%.64s': %s", at->text, number, text, why);
	}
	if (wrong > 10)
		parser_error(p, at, "'%s': %u more lines are wrong", at->text, wrong - 10);
	if (ferror(stream))
		parser_error(p, at, "'%s' cannot be read: %s", at->text, strerror(errno));
}

static struct model_acl *new_acl(struct parser *p, const struct config_word *at, const char *name, size_t *ret_index)
{
	struct model_acl *acl;

	if (p->model->acls.count == MODEL_ACLS_MAX) {
		parser_error(p, at, "more than %d lists of addresses (MODEL_ACLS_MAX)", MODEL_ACLS_MAX);
		return NULL;
	}
	acl = vec_push(&p->model->acls);
	if (!acl) {
		p->failed = -ENOMEM;
		return NULL;
	}
	acl->name = parser_model_string(p, name);
	*ret_index = p->model->acls.count - 1;
	return acl;
}

/* The list of a file: read once, however many rules name it, so that a change of it is all theirs. */
static bool file_acl(struct parser *p, const struct config_word *file, size_t *ret_index)
{
	_cleanup_fclose_ FILE *stream = NULL;
	struct model_acl *acl;
	struct stat status;
	int fd;

	for (size_t i = 0; i < p->model->acls.count; i++)
		if (p->model->acls.items[i].file && !strcmp(p->model->acls.items[i].name, file->text)) {
			*ret_index = i;
			return true;
		}
	fd = open(file->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer must not stop the agent */
	stream = fd < 0 ? NULL : fdopen(fd, "r");
	if (!stream || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		parser_error(p, file, "the list '%s' cannot be opened: %s", file->text,
			     stream ? "it is no regular file" : strerror(errno));
		return false;
	}
	acl = new_acl(p, file, file->text, ret_index);
	if (!acl)
		return false;
	acl->file = true;
	read_patterns(p, file, stream, acl);
	return true;
}

/* The patterns in the line itself are a list as well, called by its number, as in HAProxy. */
static struct model_acl *inline_acl(struct parser *p, const struct config_word *at, size_t *ret_index)
{
	char name[16];

	snprintf(name, sizeof(name), "#%zu", p->model->acls.count);
	return new_acl(p, at, name, ret_index);
}

static void add_list(struct parser *p, struct rule_setting *rule, const struct config_word *at, size_t index)
{
	if (rule->list_count == MODEL_RULE_LISTS_MAX) {
		parser_error(p, at, "more than %d lists in one condition (MODEL_RULE_LISTS_MAX)", MODEL_RULE_LISTS_MAX);
		return;
	}
	rule->lists[rule->list_count++] = (uint16_t)index;
}

/* src [-f FILE] ... [PATTERN ...]: any of them fits. */
static bool read_src(struct parser *p, struct rule_setting *rule, const struct config_word *words, size_t count)
{
	bool flags = true, own = false;
	size_t index = 0, before = p->errors;

	for (size_t i = 0; i < count && !p->failed; i++) {
		const struct config_word *w = &words[i];
		struct model_prefix prefix;
		const char *why;

		if (flags && !strcmp(w->text, "--")) {
			flags = false;
		} else if (flags && !strcmp(w->text, "-f")) {
			if (i + 1 == count)
				parser_error(p, w, "'-f' needs a file");
			else if (file_acl(p, &words[++i], &index))
				add_list(p, rule, w, index);
		} else if (flags && w->text[0] == '-') {
			parser_error(p, w, "'%s' is refused: of the flags of a pattern only '-f FILE' is understood", w->text);
			break;
		} else {
			flags = false;
			why = read_pattern(w->text, &prefix);
			if (why) {
				parser_error(p, w, "'%s': %s", w->text, why);
				continue;
			}
			if (!own && !inline_acl(p, w, &index))
				break;
			if (!own)
				add_list(p, rule, w, index);
			own = true;
			add_pattern(p, &p->model->acls.items[index], &prefix);
		}
	}
	if (!rule->list_count && p->errors == before)
		parser_error(p, &words[-1], "'src' needs addresses: prefixes, or '-f FILE'");
	return p->errors == before;
}

/* The line's words from `if` on, as one text: what the manual page of a rule is. */
static const char *join(struct parser *p, const struct config_word *words, size_t count)
{
	char text[CONFIG_LINE_MAX + 1];
	size_t used = 0;

	for (size_t i = 0; i < count && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "", words[i].text);
	return parser_keep(p, text);
}

/* `{ ... }`, perhaps with a `!` before it: what stands between the braces. False after an error. */
static bool read_braces(struct parser *p, const struct config_word *words, size_t count, bool *ret_negated,
			size_t *ret_first, size_t *ret_end)
{
	size_t at = 1;

	*ret_negated = !strcmp(words[0].text, "unless");
	while (at < count && !strcmp(words[at].text, "!")) {
		*ret_negated = !*ret_negated;
		at++;
	}
	if (at < count && !strcmp(words[at].text, "!{"))
		*ret_negated = !*ret_negated;
	else if (at == count || strcmp(words[at].text, "{")) {
		parser_error(p, at < count ? &words[at] : &words[0],
			     "a condition between braces is expected: %s { src 192.0.2.0/24 }; named ACLs are not read",
			     words[0].text);
		return false;
	}
	*ret_first = at + 1;
	for (at++; at < count && strcmp(words[at].text, "}"); at++)
		;
	if (at == count || at == *ret_first) {
		parser_error(p, &words[*ret_first - 1], at == count ? "the condition lacks its '}'" :
								    "the condition is empty");
		return false;
	}
	*ret_end = at;
	if (at + 1 < count) {
		parser_error(p, &words[at + 1], "'%s': one condition a line; two lines are an `or`, and an `and` is not "
			     "understood", words[at + 1].text);
		return false;
	}
	return true;
}

static void parse_reject(struct parser *p, const struct config_word *reject, const struct config_word *args, size_t count)
{
	struct proxy *x = p->proxy;
	struct rule_setting rule = { .place = parser_place(p, reject) };
	size_t first, end;

	if (!count || (strcmp(args[0].text, "if") && strcmp(args[0].text, "unless"))) {
		parser_error(p, count ? &args[0] : reject, "'reject' needs a condition: reject if { src -f FILE }");
		return;
	}
	if (!read_braces(p, args, count, &rule.negated, &first, &end))
		return;
	if (!strcmp(args[first].text, "sc0_conn_rate") || !strcmp(args[first].text, "sc_conn_rate(0)")) {
		parse_rate(p, &args[first], end - first, rule.negated);
		return;
	}
	if (strcmp(args[first].text, "src")) {
		parser_error(p, &args[first], "'%s' is refused: of HAProxy's conditions `src` and `sc0_conn_rate` are "
			     "understood", args[first].text);
		return;
	}
	if (!read_src(p, &rule, &args[first + 1], end - first - 1))
		return;
	if (x->rule_count == MODEL_RULES_MAX) {
		parser_error(p, reject, "more than %d rules (MODEL_RULES_MAX)", MODEL_RULES_MAX);
		return;
	}
	rule.text = join(p, args, count);
	x->rules[x->rule_count++] = rule;
}

/* tcp-request connection reject if|unless [!]{ src ... }, track-sc0 src, reject if { sc0_conn_rate gt N } */
void parse_tcp_request(struct parser *p, const struct config_word *args, size_t count)
{
	if (strcmp(args[0].text, "connection")) {
		parser_error(p, &args[0], "'tcp-request %s' is refused: only the opening of a connection is seen at layer 4, "
			     "'tcp-request connection'", args[0].text);
		return;
	}
	if (count < 2) {
		parser_error(p, &args[0], "'tcp-request connection' needs an action: reject if { src -f FILE }");
		return;
	}
	if (!strncmp(args[1].text, "track-sc", strlen("track-sc"))) {
		parse_track(p, &args[1], &args[2], count - 2);
		return;
	}
	if (strcmp(args[1].text, "reject")) {
		parser_error(p, &args[1], "'tcp-request connection %s' is refused: what can be done is `reject` and "
			     "`track-sc0`", args[1].text);
		return;
	}
	parse_reject(p, &args[1], &args[2], count - 2);
}

static bool same_rules(const struct model_policy *policy, const struct proxy *x)
{
	if (policy->rules.count != x->rule_count)
		return false;
	for (size_t i = 0; i < x->rule_count; i++) {
		const struct model_rule *a = &policy->rules.items[i];
		const struct rule_setting *b = &x->rules[i];

		if (a->negated != b->negated || a->list_count != b->list_count)
			return false;
		for (size_t l = 0; l < a->list_count; l++)
			if (a->lists[l] != b->lists[l])
				return false;
	}
	return true;
}

size_t build_policy(struct parser *p, const struct proxy *x)
{
	struct model_policy *policy;

	if (!x->rule_count)
		return 0;
	for (size_t i = 0; i < p->model->policies.count; i++)
		if (same_rules(&p->model->policies.items[i], x))
			return i + 1;
	policy = vec_push(&p->model->policies);
	for (size_t i = 0; policy && i < x->rule_count; i++) {
		const struct rule_setting *from = &x->rules[i];
		struct model_rule *to = vec_push(&policy->rules);

		if (!to) {
			policy = NULL;
			break;
		}
		to->negated = from->negated;
		to->list_count = from->list_count;
		for (size_t l = 0; l < from->list_count; l++)
			to->lists[l] = from->lists[l];
		to->text = parser_model_string(p, from->text);
		to->place = parser_model_place(p, from->place);
	}
	if (!policy) {
		p->failed = -ENOMEM;
		return 0;
	}
	return p->model->policies.count;
}
