/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum option { SOCKET, NAME, JSON, HELP, VERSION };

static const struct {
	const char *short_name, *long_name;
	enum option option;
	bool takes_value;
} options[] = {
	{ "-s", "--socket", SOCKET, true }, { NULL, "--name", NAME, true }, { "-j", "--json", JSON, false },
	{ "-h", "--help", HELP, false }, { "-V", "--version", VERSION, false },
};

/* What was given, before it is judged as a whole. */
struct given {
	const char *socket, *name;
	const char *verb_option, *verb_value;
};

static int __attribute__((format(printf, 2, 3))) wrong(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, CLI_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static int take_option(struct cli_options *o, struct given *g, enum option option, const char *value)
{
	switch (option) {
	case SOCKET:
		g->socket = value;
		break;
	case NAME:
		g->name = value;
		break;
	case JSON:
		o->json = true;
		break;
	case HELP:
		o->help = true;
		break;
	case VERSION:
		o->version = true;
		break;
	}
	return 0;
}

/* A value of some verb's list; whose is known only when all words have been read. */
static int take_given(struct cli_options *o, const char *name, size_t length, const char *value, char *error)
{
	if (o->given_count == CLI_GIVEN_MAX)
		return wrong(error, "more than %d values of options", CLI_GIVEN_MAX);
	for (size_t i = 0; i < cli_verb_count; i++)
		for (unsigned l = 0; l < CLI_LISTS_MAX; l++) {
			const char *own = cli_verbs[i].lists[l].name;

			if (own && strlen(own) == length && strncmp(own, name, length) == 0) {
				o->given[o->given_count++] = (struct cli_given){ own, value };
				return 0;
			}
		}
	return -EINVAL; /* the caller has found it already */
}

/* One argument that begins with '-': `--name=V`, `--name V`, `-sV`, `-s V`, `-j`. Moves *at past a value of its own. */
static int read_option(struct cli_options *o, struct given *g, int argc, const char *const *argv, int *at, char *error)
{
	const char *arg = argv[*at], *equals = strchr(arg, '=');
	const struct cli_verb *owner;
	size_t length = strncmp(arg, "--", 2) == 0 && equals ? (size_t)(equals - arg) : strlen(arg);
	const char *value = arg[length] == '=' ? arg + length + 1 : NULL;
	bool takes_value = false, known = false, is_list;
	enum option option = HELP;
	char name[32];

	for (size_t i = 0; i < array_size(options) && !known; i++) {
		const char *s = options[i].short_name, *l = options[i].long_name;

		if (s && strncmp(arg, s, 2) == 0 && (options[i].takes_value || !arg[2])) {
			value = arg[2] ? arg + 2 : NULL;
			known = true;
		} else if (strlen(l) == length && strncmp(arg, l, length) == 0) {
			known = true;
		}
		option = options[i].option;
		takes_value = options[i].takes_value;
	}
	snprintf(name, sizeof(name), "%.*s", (int)length, arg);
	owner = known ? NULL : cli_verb_with_option(name);
	is_list = !known && !owner && cli_is_list(name);
	if (!known && !owner && !is_list)
		return wrong(error, "unknown option `%.64s`", arg);
	if (owner || is_list)
		takes_value = is_list || owner->option.argument;
	if (value && !takes_value)
		return wrong(error, "%s takes no value", name);
	if (takes_value && !value) {
		if (*at + 1 >= argc)
			return wrong(error, "%s needs a value", name);
		value = argv[++*at];
	}
	if (is_list)
		return take_given(o, arg, length, value, error);
	if (!owner)
		return take_option(o, g, option, value);
	g->verb_option = owner->option.name;
	g->verb_value = value ? value : "1";
	return 0;
}

static bool is_instance_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= MODEL_NAME_MAX && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == length;
}

static int choose_socket(struct cli_options *o, const struct given *g, char *error)
{
	const char *environment = getenv("ALWAYSON_SOCKET");
	const char *path = g->socket;

	if (g->socket && g->name)
		return wrong(error, "-s and --name both say which agent: give one of them");
	if (g->name && !is_instance_name(g->name))
		return wrong(error, "--name: `%.64s` is not an instance's name: letters, digits, - _ .", g->name);
	if (!path && !g->name && environment && *environment)
		path = environment;
	if (path && !*path)
		return wrong(error, "-s: an empty path");
	if (path && strlen(path) >= sizeof(o->socket))
		return wrong(error, "the socket's path is longer than 107 bytes");
	if (path)
		strcpy(o->socket, path);
	else
		snprintf(o->socket, sizeof(o->socket), "/run/alwayson/%s.sock",
			 g->name && strcmp(g->name, "default") ? g->name : "control");
	return 0;
}

static int choose_value(struct cli_options *o, const struct given *g, char *error)
{
	const struct cli_option *own = &o->verb->option;
	bool given = g->verb_option != NULL;

	if (given && (!own->name || strcmp(own->name, g->verb_option) != 0))
		return wrong(error, "%s does not belong to `%s`", g->verb_option, o->verb->words);
	if (!own->name || (!given && !own->fallback))
		return 0;
	if (!own->argument)
		strcpy(o->value, "1");
	else if (own->read(given ? g->verb_value : own->fallback, o->value) < 0)
		return wrong(error, "%s: `%.64s` is not %s", own->name, g->verb_value, own->expects);
	return 0;
}

static int check_lists(const struct cli_options *o, char *error)
{
	for (unsigned i = 0; i < o->given_count; i++) {
		const struct cli_list *l = cli_verb_list(o->verb, o->given[i].name);

		if (!l)
			return wrong(error, "%s does not belong to `%s`", o->given[i].name, o->verb->words);
		if (!l->fits(o->given[i].value))
			return wrong(error, "%s: `%.64s` is not %s", l->name, o->given[i].value, l->expects);
	}
	for (unsigned l = 0; l < CLI_LISTS_MAX; l++) {
		const struct cli_list *list = &o->verb->lists[l];
		unsigned found = 0;

		for (unsigned i = 0; list->name && i < o->given_count; i++)
			found += strcmp(o->given[i].name, list->name) == 0;
		if (list->required && !found)
			return wrong(error, "%s: %s %s is missing", o->verb->words, list->name, list->argument);
	}
	return 0;
}

int cli_options_read(int argc, const char *const *argv, struct cli_options *ret, char error[static CLI_ERROR_MAX])
{
	struct given g = {};
	bool only_words = false;
	int r;

	memset(ret, 0, sizeof(*ret));
	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			r = read_option(ret, &g, argc, argv, &i, error);
			if (r < 0)
				return r;
		} else if (ret->word_count == CONTROL_WORDS_MAX) {
			return wrong(error, "more than %d words", CONTROL_WORDS_MAX);
		} else {
			ret->words[ret->word_count++] = argv[i];
		}
	}
	if (ret->help || ret->version || ret->word_count == 0)
		return 0;
	r = choose_socket(ret, &g, error);
	if (r < 0)
		return r;
	ret->verb = cli_verb_match(ret->words, ret->word_count, &ret->verb_words, error);
	if (!ret->verb)
		return -EINVAL;
	if (ret->verb->run && !ret->verb->may_ask && (g.socket || g.name))
		return wrong(error, "`%s` asks no agent: -s and --name do not belong to it", ret->verb->words);
	r = choose_value(ret, &g, error);
	if (r < 0)
		return r;
	r = cli_verb_check(ret->verb, ret->words + ret->verb_words, ret->word_count - ret->verb_words, error);
	if (r < 0)
		return r;
	return check_lists(ret, error);
}
