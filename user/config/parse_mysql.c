/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of `option mysql-check`, its words, and `option plugin-check`; and how they become a model. Called through
 * the keyword table, by build_check.c, and by parser.c at its end. Password files are read here: the agent is the only
 * one who may read them. What a password is appears in no message.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alwayson/check.h"
#include "base/cleanup.h"
#include "config/parser.h"

enum { USER_MAX = 80, IDENTIFIER_MAX = 64 };

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* ---- passwords ---- */

/* What is wrong with the file, in words; NULL and the password's bytes otherwise. */
static const char *read_password(const char *path, char buf[PLUGIN_SECRET_MAX + 3], size_t *ret_length)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat s;
	ssize_t n;

	if (fd < 0 || fstat(fd, &s) < 0)
		return strerror(errno);
	if (!S_ISREG(s.st_mode))
		return "it is no regular file";
	if (s.st_mode & 077)
		return "others than its owner may read it: chmod 600";
	if (s.st_uid != 0 && s.st_uid != geteuid())
		return "it belongs to another user, who may change it";
	n = read(fd, buf, PLUGIN_SECRET_MAX + 2);
	if (n < 0)
		return strerror(errno);
	if (n && buf[n - 1] == '\n')
		n--;
	if (!n)
		return "it is empty";
	if (n > PLUGIN_SECRET_MAX)
		return "a password has at most 255 bytes (PLUGIN_SECRET_MAX)";
	if (memchr(buf, '\n', (size_t)n) || memchr(buf, '\0', (size_t)n))
		return "it must hold one line, the password";
	buf[n] = '\0';
	*ret_length = (size_t)n;
	return NULL;
}

static void take_password(struct parser *p, const struct config_word *file, struct plugin_settings *to)
{
	char buf[PLUGIN_SECRET_MAX + 3];
	size_t length;
	const char *why = read_password(file->text, buf, &length);

	if (why)
		parser_error(p, file, "the password file '%s' cannot be used: %s", file->text, why);
	else {
		to->secret = parser_keep(p, buf);
		to->file = parser_keep(p, file->text);
	}
	explicit_bzero(buf, sizeof(buf));
}

static void forget(const char *secret)
{
	if (secret)
		explicit_bzero((char *)secret, strlen(secret));
}

void parser_forget_passwords(struct parser *p)
{
	for (size_t i = 0; i < p->proxies.count; i++)
		forget(p->proxies.items[i]->settings.plugin.secret);
	for (size_t i = 0; i < p->defaults.count; i++)
		forget(p->defaults.items[i]->settings.plugin.secret);
}

/* ---- option mysql-check ---- */

/* option mysql-check user NAME [WORD ...]: a line says all; nothing of an inherited one is left. */
void parse_option_mysql_check(struct parser *p, const struct config_word *args, size_t count)
{
	struct proxy_settings *s = p->settings;
	size_t errors = p->errors;

	s->check_kind = MODEL_CHECK_PLUGIN;
	s->plugin = (struct plugin_settings){ .name = "mysql", .place = parser_place(p, &args[-1]) };
	s->mysql = (struct mysql_settings){ .used = true, .max_writers = 1, .keep = true };
	p->mysql = &s->mysql;
	statement_options(p, &keywords_mysql_check, args, count);
	p->mysql = NULL;
	if (!s->mysql.user && p->errors == errors)
		parser_error(p, &args[-1], "'option mysql-check' lacks 'user NAME': a server counts a check without a login "
			     "as a broken connection, and blocks this host after some of them (max_connect_errors)");
	else if (s->mysql.lag_source_open)
		parser_error(p, &args[-1], "'lag-source' lacks its value: seconds-behind, or heartbeat DATABASE.TABLE");
}

static void take_text(struct parser *p, const struct config_word *word, size_t limit, const char *what, const char **to)
{
	size_t length = strlen(word->text);

	if (!length || length > limit || !is_printable(word->text))
		parser_error(p, word, "'%s' is no %s: 1 to %zu bytes without control characters", word->text, what, limit);
	else
		*to = parser_keep(p, word->text);
}

void parse_mysql_user(struct parser *p, const struct config_word *args, size_t count)
{
	take_text(p, &args[0], USER_MAX, "user's name", &p->mysql->user);
}

void parse_mysql_password_file(struct parser *p, const struct config_word *args, size_t count)
{
	take_password(p, &args[0], &p->settings->plugin);
}

/* HAProxy's word for the login of MySQL 4.1 and later, which is the only one here. */
void parse_mysql_post_41(struct parser *p, const struct config_word *args, size_t count)
{
}

void parse_mysql_tls(struct parser *p, const struct config_word *args, size_t count)
{
	int verify;

	if (!statement_choice(p, &values_mysql_tls, &args[0], &verify))
		return;
	p->mysql->tls = true;
	p->mysql->tls_verify = verify;
}

void parse_mysql_ca_file(struct parser *p, const struct config_word *args, size_t count)
{
	p->mysql->tls_detail = parser_place(p, &args[-1]);
	take_text(p, &args[0], PLUGIN_ARG_MAX, "file's path", &p->mysql->ca_file);
}

void parse_mysql_crt(struct parser *p, const struct config_word *args, size_t count)
{
	p->mysql->tls_detail = parser_place(p, &args[-1]);
	take_text(p, &args[0], PLUGIN_ARG_MAX, "file's path", &p->mysql->crt);
}

void parse_mysql_role(struct parser *p, const struct config_word *args, size_t count)
{
	int role;

	if (statement_choice(p, &values_role, &args[0], &role))
		p->mysql->role = role;
}

static void needs_role(struct parser *p, const struct config_word *word, bool primary)
{
	struct mysql_settings *m = p->mysql;

	if (primary)
		m->primary_detail = parser_place(p, word);
	else
		m->replica_detail = parser_place(p, word);
}

void parse_mysql_or_primary(struct parser *p, const struct config_word *args, size_t count)
{
	needs_role(p, &args[-1], false);
	p->mysql->or_primary = true;
}

void parse_mysql_max_lag(struct parser *p, const struct config_word *args, size_t count)
{
	needs_role(p, &args[-1], false);
	if (statement_time(p, &args[0], &p->mysql->max_lag_ms) && !p->mysql->max_lag_ms)
		parser_error(p, &args[0], "'%s': a replica is always a little late; 0 would leave none", args[0].text);
}

void parse_mysql_recover_lag(struct parser *p, const struct config_word *args, size_t count)
{
	needs_role(p, &args[-1], false);
	p->mysql->recover_lag_place = parser_place(p, &args[0]);
	statement_time(p, &args[0], &p->mysql->recover_lag_ms);
}

void parse_mysql_weight_by_lag(struct parser *p, const struct config_word *args, size_t count)
{
	needs_role(p, &args[-1], false);
	p->mysql->weight_by_lag = true;
	p->mysql->weight_by_lag_place = parser_place(p, &args[-1]);
}

void parse_mysql_lag_source(struct parser *p, const struct config_word *args, size_t count)
{
	needs_role(p, &args[-1], false);
	p->mysql->lag_source_open = true;
	p->mysql->heartbeat = NULL;
}

static bool is_lag_source(struct parser *p, const struct config_word *word)
{
	if (!p->mysql->lag_source_open)
		parser_error(p, word, "'%s' stands behind 'lag-source'", word->text);
	p->mysql->lag_source_open = false;
	return p->mysql->replica_detail.line;
}

void parse_mysql_seconds_behind(struct parser *p, const struct config_word *args, size_t count)
{
	is_lag_source(p, &args[-1]);
}

void parse_mysql_heartbeat(struct parser *p, const struct config_word *args, size_t count)
{
	const char *text = args[0].text, *dot = strchr(text, '.');
	size_t database = dot ? (size_t)(dot - text) : 0, table = dot ? strlen(dot + 1) : 0, i;
	bool plain = database && table && database <= IDENTIFIER_MAX && table <= IDENTIFIER_MAX;

	is_lag_source(p, &args[-1]);
	for (i = 0; plain && text[i]; i++)
		plain = text + i == dot || isalnum((unsigned char)text[i]) || text[i] == '_' || text[i] == '$';
	if (plain)
		p->mysql->heartbeat = parser_keep(p, text);
	else
		parser_error(p, &args[0], "'%s' is no DATABASE.TABLE: names of 1 to %d letters, digits, _ and $", text,
			     IDENTIFIER_MAX);
}

void parse_mysql_channel(struct parser *p, const struct config_word *args, size_t count)
{
	needs_role(p, &args[-1], false);
	take_text(p, &args[0], IDENTIFIER_MAX, "channel's name", &p->mysql->channel);
}

void parse_mysql_max_writers(struct parser *p, const struct config_word *args, size_t count)
{
	needs_role(p, &args[-1], true);
	statement_number(p, &args[0], 1, MODEL_WRITERS_MAX, "MODEL_WRITERS_MAX", &p->mysql->max_writers);
}

void parse_mysql_on_conflict(struct parser *p, const struct config_word *args, size_t count)
{
	int keep;

	needs_role(p, &args[-1], true);
	if (statement_choice(p, &values_on_conflict, &args[0], &keep))
		p->mysql->keep = keep;
}

/* ---- option plugin-check ---- */

static bool is_plugin_name(const char *text)
{
	size_t length = strlen(text);

	return length && length <= PLUGIN_NAME_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") == length;
}

/* option plugin-check NAME [password-file FILE] [WORD ...]: the words are the plugin's own, which reads them itself. */
void parse_option_plugin_check(struct parser *p, const struct config_word *args, size_t count)
{
	struct proxy_settings *s = p->settings;
	size_t first = 1;

	s->check_kind = MODEL_CHECK_PLUGIN;
	s->mysql = (struct mysql_settings){};
	s->plugin = (struct plugin_settings){ .name = parser_keep(p, args[0].text), .place = parser_place(p, &args[-1]) };
	if (!is_plugin_name(args[0].text)) {
		parser_error(p, &args[0], "'%s' is no plugin's name: 1 to %d of a-z 0-9 - _ (its file is NAME.so)",
			     args[0].text, PLUGIN_NAME_MAX);
		return;
	}
	if (count > 1 && !strcmp(args[1].text, "password-file")) {
		if (count == 2) {
			parser_error(p, &args[1], "'password-file' lacks its file");
			return;
		}
		take_password(p, &args[2], &s->plugin);
		first = 3;
	}
	if (count - first > PLUGIN_ARGS_MAX) {
		parser_error(p, &args[first + PLUGIN_ARGS_MAX], "more than %d words (PLUGIN_ARGS_MAX)", PLUGIN_ARGS_MAX);
		return;
	}
	s->plugin.words = arena_alloc(&p->arena, (count - first + 1) * sizeof(s->plugin.words[0]));
	if (!s->plugin.words) {
		p->failed = -ENOMEM;
		return;
	}
	for (size_t i = first; i < count; i++) {
		if (strlen(args[i].text) > PLUGIN_ARG_MAX)
			parser_error(p, &args[i], "a plugin's word has at most %d bytes (PLUGIN_ARG_MAX)",
				     PLUGIN_ARG_MAX);
		else
			s->plugin.words[s->plugin.count++] = parser_keep(p, args[i].text);
	}
}

/* ---- the model ---- */

/* "NAME\0SECRET\0WORD\0..." */
static void pack_words(struct parser *p, const struct plugin_settings *s, struct model_plugin_check *to)
{
	const char *texts[PLUGIN_ARGS_MAX + 2] = { s->name, s->secret ? s->secret : "" };
	size_t count = s->count + 2, at = 0, i;

	if (s->count)
		memcpy(texts + 2, s->words, s->count * sizeof(texts[0]));
	for (i = 0; i < count; i++)
		to->length += strlen(texts[i]) + 1;
	if (to->length > MODEL_PLUGIN_WORDS_MAX) {
		parser_error_at(p, s->place, "the words of this check have more than %d bytes (MODEL_PLUGIN_WORDS_MAX)",
				MODEL_PLUGIN_WORDS_MAX);
		return;
	}
	to->words = malloc(to->length);
	if (!to->words) {
		p->failed = -ENOMEM;
		return;
	}
	for (i = 0; i < count; i++) {
		memcpy(to->words + at, texts[i], strlen(texts[i]) + 1);
		at += strlen(texts[i]) + 1;
	}
	to->count = (unsigned)count;
	to->password_file = s->file ? parser_model_string(p, s->file) : NULL;
	to->place = parser_model_place(p, s->place);
}

static void add_word(struct plugin_settings *s, const char *word, const char *value)
{
	if (!value)
		return;
	s->words[s->count++] = word;
	if (*value)
		s->words[s->count++] = value;
}

/* The plugin's own words are fewer: which server is good for what is not its matter. */
static void pack_mysql(struct parser *p, const struct proxy_settings *from, struct model_plugin_check *to)
{
	const struct mysql_settings *m = &from->mysql;
	const char *words[PLUGIN_ARGS_MAX];
	struct plugin_settings s = from->plugin;

	s.words = words;
	s.count = 0;
	add_word(&s, "user", m->user);
	add_word(&s, "ask", m->role == MODEL_ROLE_ANY ? NULL : "");
	add_word(&s, "heartbeat", m->heartbeat);
	add_word(&s, "channel", m->channel);
	if (m->tls)
		add_word(&s, "tls", m->tls_verify ? "verify" : "noverify");
	add_word(&s, "ca-file", m->ca_file);
	add_word(&s, "crt", m->crt);
	pack_words(p, &s, to);
}

static void validate_mysql(struct parser *p, const struct mysql_settings *m)
{
	if (m->replica_detail.line && m->role != MODEL_ROLE_REPLICA)
		parser_error_at(p, m->replica_detail, "this has a meaning with 'role replica' only");
	if (m->primary_detail.line && m->role != MODEL_ROLE_PRIMARY)
		parser_error_at(p, m->primary_detail, "this has a meaning with 'role primary' only");
	if (m->tls_detail.line && !m->tls)
		parser_error_at(p, m->tls_detail, "this has a meaning with 'tls verify' or 'tls noverify' only");
	if (m->recover_lag_place.line && (!m->max_lag_ms || m->recover_lag_ms > m->max_lag_ms))
		parser_error_at(p, m->recover_lag_place, "'recover-lag' is at most 'max-lag', which must be set");
	if (m->weight_by_lag && !m->max_lag_ms)
		parser_error_at(p, m->weight_by_lag_place, "'weight-by-lag' needs 'max-lag': weights fall as lag nears it");
}

/* With a role, a server that nobody checks would take traffic whatever it is. */
static void validate_servers(struct parser *p, const struct proxy *x, const struct model_backend *b)
{
	const struct place at = x->settings.plugin.place;

	if (x->servers.count > MODEL_ROLE_SERVERS_MAX)
		parser_error_at(p, at, "with a role a backend has at most %d servers (MODEL_ROLE_SERVERS_MAX); '%s' has "
				"%zu", MODEL_ROLE_SERVERS_MAX, x->name, x->servers.count);
	for (size_t i = 0; i < x->servers.count; i++)
		if (!x->servers.items[i].settings.check)
			parser_error_at(p, x->servers.items[i].place, "server '%s' is not checked, so that its role is not "
					"known: add 'check'", x->servers.items[i].name);
	if (b->roles.role != MODEL_ROLE_PRIMARY)
		return;
	if (b->panic_percent)
		parser_error_at(p, at, "'panic-threshold' keeps servers that are no primary in service; not with "
				"'role primary'");
	if (b->on_all_down == MODEL_LAST_KNOWN)
		parser_error_at(p, at, "'on-all-down last-known' keeps a primary that is down in service; not with "
				"'role primary'");
}

void build_plugin_check(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	const struct mysql_settings *m = &x->settings.mysql;

	if (!m->used) {
		pack_words(p, &x->settings.plugin, &b->plugin);
		return;
	}
	validate_mysql(p, m);
	pack_mysql(p, &x->settings, &b->plugin);
	b->roles = (struct model_roles){
		.role = m->role,
		.or_primary = m->or_primary,
		.keep = m->keep,
		.weight_by_lag = m->weight_by_lag,
		.max_writers = m->max_writers,
		.max_lag_ms = m->max_lag_ms,
		.recover_lag_ms = m->recover_lag_ms,
	};
	if (m->role != MODEL_ROLE_ANY)
		validate_servers(p, x, b);
}
