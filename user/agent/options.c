/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/suggest.h"
#include "model/model.h"

static const struct option long_options[] = {
	{ "file", required_argument, NULL, 'f' }, { "interface", required_argument, NULL, 'i' },
	{ "name", required_argument, NULL, 'n' }, { "check", no_argument, NULL, 'c' },
	{ "discard", no_argument, NULL, 'D' }, { "unload", no_argument, NULL, 'U' },
	{ "version", no_argument, NULL, 'v' },	  { "help", no_argument, NULL, 'h' },
	{},
};

static int __attribute__((format(printf, 2, 3))) wrong(FILE *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("alwaysond: ", err);
	vfprintf(err, format, args);
	fputs("; try 'alwaysond --help'\n", err);
	va_end(args);
	return -EINVAL;
}

/* The name becomes a part of paths in three folders, among them one where things are removed: no "..", no slash. */
static int take_name(struct agent_options *o, const char *name, FILE *err)
{
	size_t length = strlen(name);

	if (o->name)
		return wrong(err, "--name is given twice");
	if (length == 0 || length > AGENT_NAME_MAX || name[0] == '.')
		return wrong(err, "--name '%s': 1 to %d characters are expected, the first one no dot", name,
			     AGENT_NAME_MAX);
	for (size_t i = 0; i < length; i++)
		if (!isascii((unsigned char)name[i]) ||
		    (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i])))
			return wrong(err, "--name '%s': only letters, digits, '_', '.' and '-' are expected", name);
	if (strcmp(name, "control") == 0)
		return wrong(err, "--name control: that socket, control.sock, is the one of the instance without a name");
	o->name = name;
	return 0;
}

static int take_interface(struct agent_options *o, const char *name, FILE *err)
{
	size_t length = strlen(name);
	bool valid = length > 0 && length < IFNAMSIZ && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;

	for (size_t i = 0; i < length && valid; i++)
		valid = isascii((unsigned char)name[i]) && isgraph((unsigned char)name[i]) && !strchr("/:", name[i]);
	if (!valid)
		return wrong(err, "-i '%s': that cannot be the name of an interface", name);
	for (size_t i = 0; i < o->interface_count; i++)
		if (strcmp(o->interfaces[i], name) == 0)
			return wrong(err, "-i %s is given twice", name);
	if (o->interface_count == MODEL_INTERFACES_MAX)
		return wrong(err, "-i: at most %d interfaces", MODEL_INTERFACES_MAX);
	o->interfaces[o->interface_count++] = name;
	return 0;
}

static int unknown_option(char *const *argv, FILE *err)
{
	/* A long option is the word before optind; of a bundle of short ones, getopt says which letter. */
	const char *word = argv[optind - 1];
	struct suggest s = {};
	char name[32];

	if (optopt && strncmp(word, "--", 2) != 0)
		return wrong(err, "unknown option '-%c'", optopt);
	if (optopt)
		return wrong(err, "'%s': this option takes no value", word);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	s.word = name;
	for (const struct option *o = long_options; o->name; o++)
		suggest_offer(&s, o->name);
	if (s.best)
		return wrong(err, "unknown option '%s', did you mean '--%s'?", word, s.best);
	return wrong(err, "unknown option '%s'", word);
}

static int take_option(struct agent_options *o, int option, char *const *argv, FILE *err)
{
	switch (option) {
	case 'f':
		if (!*optarg)
			return wrong(err, "-f: an empty path");
		o->files[o->file_count++] = optarg;
		return 0;
	case 'i':
		return take_interface(o, optarg, err);
	case 'n':
		return take_name(o, optarg, err);
	case 'c':
		o->check_only = true;
		return 0;
	case 'D':
		o->discard = true;
		return 0;
	case 'U':
		o->unload = true;
		return 0;
	case 'v':
		o->version = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case ':':
		return wrong(err, "option '%s' lacks its value", argv[optind - 1]);
	default:
		return unknown_option(argv, err);
	}
}

/* What is left open by the command line. */
static int complete(struct agent_options *o, FILE *err)
{
	if (!o->name)
		o->name = AGENT_NAME_DEFAULT;
	if (o->unload && (o->discard || o->check_only || o->interface_count))
		return wrong(err, "--unload goes with -f and --name only");
	if (o->file_count > 0 || o->help || o->version)
		return 0;
	if (o->unload && access(AGENT_CONFIG_DEFAULT, F_OK) < 0)
		return 0; /* its state-dir would have been of use, no more */
	if (access(AGENT_CONFIG_DEFAULT, F_OK) < 0)
		return wrong(err, "no -f FILE is given, and the default, " AGENT_CONFIG_DEFAULT ", can't be used: %s",
			     strerror(errno));
	o->files[o->file_count++] = AGENT_CONFIG_DEFAULT;
	return 0;
}

int agent_options_parse(int argc, char **argv, struct agent_options *ret, FILE *err)
{
	struct agent_options o = {};
	int option, r = 0;

	/* No more of either than words, plus the default file. */
	o.files = calloc((size_t)argc + 1, sizeof(*o.files));
	o.interfaces = calloc((size_t)argc + 1, sizeof(*o.interfaces));
	if (!o.files || !o.interfaces) {
		agent_options_done(&o);
		return -ENOMEM;
	}
	optind = 0; /* starts over, whoever used getopt before */
	while (r == 0 && (option = getopt_long(argc, argv, "+:f:i:n:cvh", long_options, NULL)) != -1)
		r = take_option(&o, option, argv, err);
	if (r == 0 && optind < argc)
		r = wrong(err, "unexpected '%s': a file is given by -f, an interface by -i", argv[optind]);
	if (r == 0)
		r = complete(&o, err);
	if (r < 0) {
		agent_options_done(&o);
		return r;
	}
	*ret = o;
	return 0;
}

void agent_options_done(struct agent_options *o)
{
	free(o->files);
	free(o->interfaces);
	*o = (struct agent_options){};
}

void agent_options_help(FILE *to)
{
	fputs("usage: alwaysond [-f FILE]... [-i IFACE]... [-n NAME]\n"
	      "       alwaysond -c [-f FILE]...\n"
	      "       alwaysond --unload [-f FILE]... [-n NAME]\n\n"
	      "The load balancer's agent: loads the program into the kernel, checks the servers, keeps the tables true.\n\n"
	      "  -f, --file FILE        configuration in HAProxy's language, or a folder of *.cfg; repeatable.\n"
	      "                         Default: " AGENT_CONFIG_DEFAULT "\n"
	      "  -i, --interface IFACE  NIC to attach to, besides the `interface` lines of the file; repeatable\n"
	      "  -n, --name NAME        tells several agents on one host apart; default " AGENT_NAME_DEFAULT "\n"
	      "  -c, --check            only check the configuration\n"
	      "      --discard          take over nothing of an earlier agent: its connections end\n"
	      "      --unload           without an agent: stop steering by what an earlier one left; its connections end\n"
	      "  -v, --version          print the version\n"
	      "  -h, --help             this text\n\n"
	      "signals:    SIGHUP reloads, SIGTERM and SIGINT stop (connections end)\n"
	      "exit codes: 0 done, 1 failed or bad configuration, 2 usage\n"
	      "manual:     docs/alwaysond.md\n",
	      to);
}
