/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads text: lines, sections, inheritance. What a line inside a section means is statement.c's and the handlers'
 * matter. Called by config.c for each file.
 */
#include "config/parser.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"

/* What a proxy is before any defaults: HAProxy's own defaults, and ours where HAProxy has none. */
static struct proxy_settings initial_settings(void)
{
	return (struct proxy_settings){
		.default_server = server_settings_default(),
		.http = http_settings_default(),
	};
}

int parser_init(struct parser *p)
{
	memset(p, 0, sizeof(*p));
	p->model = calloc(1, sizeof(*p->model));
	if (!p->model)
		return -ENOMEM;
	p->model->global.watchdog_ms = MODEL_WATCHDOG_MS;
	p->model->global.flows4 = MODEL_FLOWS4;
	p->model->global.flows6 = MODEL_FLOWS6;
	p->model->global.stats = (struct model_stats_socket){ .mode = 0660, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	return 0;
}

void parser_done(struct parser *p)
{
	size_t i;

	parser_forget_passwords(p);
	for (i = 0; i < p->proxies.count; i++) {
		vec_done(&p->proxies.items[i]->binds);
		vec_done(&p->proxies.items[i]->servers);
	}
	vec_done(&p->proxies);
	vec_done(&p->defaults);
	vec_done(&p->notices);
	vec_done(&p->messages);
	vec_done(&p->services);
	vec_done(&p->backends);
	model_free(p->model);
	arena_done(&p->arena);
}

/* The settings a section starts with: those of the named defaults, else of the last ones above it. */
static struct proxy_settings inherit(struct parser *p, const struct config_word *from)
{
	struct suggest suggest = { .word = from ? from->text : "" };
	const struct defaults *found = NULL;
	struct proxy_settings settings;
	size_t i, matches = 0;

	for (i = 0; i < p->defaults.count; i++) {
		const struct defaults *d = p->defaults.items[i];

		if (!from) {
			found = d;
		} else if (d->name && !strcmp(d->name, from->text)) {
			found = d;
			matches++;
		}
	}
	for (i = 0; from && !found && i < p->defaults.count && parser_suggests(p); i++) {
		if (p->defaults.items[i]->name)
			suggest_offer(&suggest, p->defaults.items[i]->name);
	}
	if (from && !found && suggest.best)
		parser_error(p, from, "there is no defaults section '%s' above; did you mean '%s'?", from->text,
			     suggest.best);
	else if (from && !found)
		parser_error(p, from, "there is no defaults section '%s' above", from->text);
	else if (matches > 1)
		parser_error(p, from, "there are %zu defaults sections '%s'; give them different names", matches,
			     from->text);
	settings = found ? found->settings : initial_settings();
	/* What is only said about a section's own lines starts anew. */
	settings.sources_own = false;
	settings.source_place = (struct place){};
	settings.tunnel_sources_own = false;
	settings.http.own = settings.script.own = settings.datagram.own = false;
	settings.http.expect_place = settings.http.send_place = (struct place){};
	settings.default_server.check_detail = false;
	return settings;
}

/* Reports another section of the same name. A frontend and a backend may share one, as in HAProxy. */
static void check_duplicate(struct parser *p, enum section section, const struct config_word *name)
{
	const unsigned front = SECTION_FRONTEND | SECTION_LISTEN, back = SECTION_BACKEND | SECTION_LISTEN;
	size_t i;

	for (i = 0; i < p->proxies.count; i++) {
		const struct proxy *other = p->proxies.items[i];
		bool overlap = ((section & front) && (other->section & front)) ||
			       ((section & back) && (other->section & back));

		if (!overlap || strcmp(other->name, name->text))
			continue;
		parser_error(p, name, "the name '%s' is taken by the section on %s", name->text,
			     parser_where(p, p->at, other->place));
		return;
	}
}

static void begin_defaults(struct parser *p, const struct config_word *name, const struct config_word *from)
{
	/* HAProxy: a defaults section starts from the built-in values unless it says from which other it takes them. */
	struct proxy_settings settings = from ? inherit(p, from) : initial_settings();
	struct defaults *d = arena_alloc(&p->arena, sizeof(*d)), **slot = d ? vec_push(&p->defaults) : NULL;

	if (!slot) {
		p->failed = -ENOMEM;
		p->section = SECTION_SKIPPED;
		return;
	}
	d->settings = settings;
	d->name = name ? parser_keep(p, name->text) : NULL;
	d->place = parser_place(p, name);
	*slot = d;
	p->settings = &d->settings;
}

static void begin_proxy(struct parser *p, const struct config_word *name, const struct config_word *from)
{
	struct proxy *proxy = arena_alloc(&p->arena, sizeof(*proxy)), **slot = proxy ? vec_push(&p->proxies) : NULL;

	if (!slot) {
		p->failed = -ENOMEM;
		p->section = SECTION_SKIPPED;
		return;
	}
	proxy->section = p->section;
	proxy->name = parser_keep(p, name->text);
	proxy->place = parser_place(p, name);
	proxy->settings = inherit(p, from);
	*slot = proxy;
	p->proxy = proxy;
	p->settings = &proxy->settings;
}

/* "frontend NAME [from NAME]": reads the header of a section that is understood. */
static void begin_section(struct parser *p, enum section section, const struct config_word *words, size_t count)
{
	const struct config_word *name = NULL, *from = NULL;
	size_t next = 1;

	p->section = section;
	p->proxy = NULL;
	p->settings = NULL;
	p->section_name = words[0].text;
	if (section != SECTION_GLOBAL) {
		if (next < count && strcmp(words[next].text, "from"))
			name = &words[next++];
		if (next + 1 < count && !strcmp(words[next].text, "from")) {
			from = &words[next + 1];
			next += 2;
		}
	}
	if (next < count)
		parser_error(p, &words[next],
			     section == SECTION_GLOBAL
				     ? "'%s' after 'global'; the section has no name"
				     : "unexpected '%s'; a section is written: KIND NAME [from DEFAULTS]",
			     words[next].text);
	if (name && !statement_name(p, name, "section"))
		name = section == SECTION_DEFAULTS ? NULL : name;
	if (name)
		p->section_name = name->text;
	p->section_name = parser_keep(p, p->section_name);
	if (section == SECTION_GLOBAL)
		return;
	if (section == SECTION_PEERS) {
		begin_peers(p, &words[0], name, from);
		return;
	}
	if (section == SECTION_DEFAULTS) {
		begin_defaults(p, name, from);
		return;
	}
	if (!name) {
		parser_error(p, &words[0], "a '%s' section needs a name", words[0].text);
		p->section = SECTION_SKIPPED;
		return;
	}
	check_duplicate(p, section, name);
	begin_proxy(p, name, from);
}

/* HAProxy's `.if` and friends would make lines depend on the environment; several files do that as well. */
static bool refuse_directive(struct parser *p, const struct config_word *word)
{
	static const char *const directives[] = {
		".if", ".elif", ".else", ".endif", ".diag", ".notice", ".warning", ".alert",
	};
	size_t i;

	for (i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
		if (strcmp(word->text, directives[i]))
			continue;
		parser_error(p, word, "'%s' is refused: conditional blocks are not read; give several -f files instead",
			     word->text);
		return true;
	}
	return false;
}

/* Is this the name of a section with a typing error? Then it is reported, and its lines are skipped. */
static bool mistyped_section(struct parser *p, const struct config_word *word)
{
	struct suggest suggest = { .word = word->text };

	if (parser_suggests(p))
		keyword_suggest(&values_section, 0, &suggest);
	if (!suggest.best)
		return false;
	parser_error(p, word, "unknown section '%s'; did you mean '%s'?", word->text, suggest.best);
	p->section = SECTION_SKIPPED;
	return true;
}

static void refuse_outside(struct parser *p, const struct config_word *word)
{
	if (!mistyped_section(p, word))
		parser_error(p, word, "'%s' is outside of any section; each file starts with global, defaults, "
			     "frontend, backend or listen", word->text);
	p->section = SECTION_SKIPPED;
}

/* In a section: a mistyped header rather than a keyword? Its lines would all be errors of the section before it. */
static bool skip_mistyped_section(struct parser *p, const struct keyword_table *t, const struct config_word *word)
{
	struct suggest section = { .word = word->text }, keyword = { .word = word->text };

	if (keyword_find(t, word->text) || !parser_suggests(p))
		return false;
	keyword_suggest(&values_section, 0, &section);
	keyword_suggest(t, p->section, &keyword);
	if (keyword.best && (!section.best || keyword.distance <= section.distance))
		return false;
	return mistyped_section(p, word);
}

static void read_words(struct parser *p, const struct config_word *words, size_t count)
{
	const struct keyword *section = keyword_find(&values_section, words[0].text);
	const struct keyword_table *t;

	if (section && section->class == KEYWORD_REFUSED) {
		parser_error(p, &words[0], "a '%s' section is refused: %s", words[0].text, section->text);
		p->section = SECTION_SKIPPED;
		return;
	}
	if (section) {
		begin_section(p, section->value, words, count);
		return;
	}
	if (p->section == SECTION_SKIPPED) {
		/* Of its lines only what looks like the next section's header, at the margin, is of interest. */
		if (words[0].column == 1)
			mistyped_section(p, &words[0]);
		return;
	}
	if (refuse_directive(p, &words[0]))
		return;
	if (p->section == SECTION_NONE) {
		refuse_outside(p, &words[0]);
		return;
	}
	t = p->section == SECTION_GLOBAL ? &keywords_global :
	    p->section == SECTION_PEERS ? &keywords_peers : &keywords_proxy;
	p->form = FORM_PLAIN;
	if (!strcmp(words[0].text, "no") || !strcmp(words[0].text, "default")) {
		p->form = words[0].text[0] == 'n' ? FORM_NO : FORM_DEFAULT;
		if (count == 1) {
			parser_error(p, &words[0], "'%s' needs the keyword it applies to", words[0].text);
			return;
		}
		words++;
		count--;
	}
	if (!skip_mistyped_section(p, t, &words[0]))
		statement_run(p, t, words, count);
}

void parser_read(struct parser *p, const char *name, const char *text, size_t length)
{
	char **file = vec_push(&p->model->files);
	struct lexer_error error;
	size_t begin, end;
	bool any = false;

	if (!file) {
		p->failed = -ENOMEM;
		return;
	}
	*file = parser_model_string(p, name);
	if (!*file) {
		p->model->files.count--;
		return;
	}
	p->section = SECTION_NONE;
	p->section_name = "";
	p->proxy = NULL;
	p->settings = NULL;
	p->at = (struct place){ .file = p->model->files.count - 1 };
	for (begin = 0; begin < length && !p->failed; begin = end + 1) {
		const char *newline = memchr(text + begin, '\n', length - begin);
		struct lexer_context context = { .file = *file, .section = p->section_name };

		end = newline ? (size_t)(newline - text) : length;
		context.line = ++p->at.line;
		if (lexer_split(text + begin, end - begin, &context, &p->line, &error)) {
			struct config_word word = { .column = error.column };

			parser_error(p, &word, "%s", error.text);
			any = true;
		} else if (p->line.count) {
			read_words(p, p->line.words, p->line.count);
			any = true;
		}
		if (!newline) {
			struct config_word word = { .column = (unsigned)(end - begin) + 1 };

			parser_error(p, &word, "the last line lacks its newline: the file may have been cut off");
		}
	}
	p->at.line = 0;
	p->proxy = NULL;
	if (!any)
		parser_error_at(p, (struct place){ .file = p->at.file }, "the file is empty: it holds no statement");
}
