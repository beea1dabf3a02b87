/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry points of the configuration: reads the files, runs the parser over them, builds the model, hands over the
 * report. Called by the agent and the tests. Leaves nothing behind but the model and the report.
 */
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "config/parser.h"

/* A file that cannot be read is a message of its own, under the name it was asked for. */
static void __attribute__((format(printf, 3, 4)))
refuse_file(struct parser *p, const char *path, const char *format, ...)
{
	char why[256];
	va_list args;
	char **file = vec_push(&p->model->files);

	if (!file) {
		p->failed = -ENOMEM;
		return;
	}
	*file = parser_model_string(p, path);
	if (!*file) {
		p->model->files.count--;
		return;
	}
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	parser_error_at(p, (struct place){ .file = p->model->files.count - 1 }, "%s", why);
}

/* Reads the rest of a stream, one byte beyond the limit at most. The size of a pipe is not known beforehand. */
static int read_stream(FILE *stream, char **ret_text, size_t *ret_length)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0, room = 0, got;

	do {
		if (room - length < 4096) {
			char *grown = realloc(text, room += room ? room : 16384);

			if (!grown)
				return -ENOMEM;
			text = grown;
		}
		got = fread(text + length, 1, room - length, stream);
		length += got;
	} while (got && length <= CONFIG_FILE_MAX);
	if (ferror(stream))
		return -EIO;
	*ret_text = take_ptr(text);
	*ret_length = length;
	return 0;
}

static void read_file(struct parser *p, const char *path)
{
	_cleanup_fclose_ FILE *stream = NULL;
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	if (p->model->files.count == CONFIG_FILES_MAX) {
		parser_error_at(p, (struct place){}, "more than %d files (CONFIG_FILES_MAX)", CONFIG_FILES_MAX);
		return;
	}
	stream = fopen(path, "re");
	if (!stream) {
		refuse_file(p, path, "cannot be opened: %s", strerror(errno));
		return;
	}
	r = read_stream(stream, &text, &length);
	if (r == -ENOMEM)
		p->failed = r;
	else if (r)
		refuse_file(p, path, "cannot be read: %s", strerror(-r));
	else if (length > CONFIG_FILE_MAX)
		refuse_file(p, path, "is larger than %d bytes (CONFIG_FILE_MAX)", CONFIG_FILE_MAX);
	else
		parser_read(p, path, text, length);
}

static int is_configuration(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 4 && !strcmp(entry->d_name + length - 4, ".cfg");
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The *.cfg files of a directory, in the order of their bytes, whatever the locale. */
static void read_directory(struct parser *p, const char *path)
{
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, is_configuration, compare_names), i;

	if (count < 0) {
		if (errno == ENOMEM)
			p->failed = -ENOMEM;
		refuse_file(p, path, "cannot be read: %s", strerror(errno));
		return;
	}
	if (!count)
		refuse_file(p, path, "the directory holds no *.cfg file");
	for (i = 0; i < count; i++) {
		_cleanup_free_ char *file = NULL;

		if (asprintf(&file, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", entries[i]->d_name) < 0) {
			file = NULL;
			p->failed = -ENOMEM;
		} else {
			read_file(p, file);
		}
		free(entries[i]);
	}
	free(entries);
}

static int finish(struct parser *p, struct model **ret_model, struct config_report *report)
{
	int r;

	if (!p->failed)
		build_model(p);
	if (p->failed)
		return p->failed;
	r = parser_report(p, report);
	if (r)
		return r;
	if (p->errors)
		return -EINVAL;
	*ret_model = take_ptr(p->model);
	return 0;
}

int config_load(const char *const *paths, size_t count, struct model **ret_model, struct config_report *report)
{
	struct parser *p = malloc(sizeof(*p));
	struct stat status;
	size_t i;
	int r;

	if (!p)
		return -ENOMEM;
	r = parser_init(p);
	for (i = 0; i < count && !r && !p->failed; i++) {
		if (!*paths[i])
			refuse_file(p, "(empty path)", "a file's name cannot be empty");
		else if (!stat(paths[i], &status) && S_ISDIR(status.st_mode))
			read_directory(p, paths[i]);
		else
			read_file(p, paths[i]);
	}
	if (!r && !count)
		refuse_file(p, "(no file)", "no configuration file is given");
	if (!r)
		r = finish(p, ret_model, report);
	parser_done(p);
	free(p);
	return r;
}

int config_load_text(const char *name, const char *text, size_t length, struct model **ret_model,
		     struct config_report *report)
{
	struct parser *p = malloc(sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = parser_init(p);
	if (!r) {
		parser_read(p, name, text, length);
		r = finish(p, ret_model, report);
	}
	parser_done(p);
	free(p);
	return r;
}
