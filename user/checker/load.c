/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plugins by name. Called by worker.c with names that came over the socket. Loads from one folder only, which must
 * belong to root and be writable by nobody else, as must the file: whoever can put a file there runs code here.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checker/checker.h"

static char folder_name[4096];
static int folder_error = -ENOENT;

static struct loaded {
	char name[PLUGIN_NAME_MAX + 1];
	const struct plugin *plugin;
} loaded[CHECKER_PLUGINS_MAX];
static size_t loaded_count;

void plugins_enter(const char *folder)
{
	snprintf(folder_name, sizeof(folder_name), "%s", folder);
	folder_error = chdir(folder) < 0 ? -errno : 0;
	if (folder_error && chdir("/") < 0)
		folder_error = -errno;
}

static int __attribute__((format(printf, 3, 4))) refuse(char error[PLUGIN_ERROR_MAX], int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, PLUGIN_ERROR_MAX, format, args);
	va_end(args);
	return r;
}

/* No dot and no slash: a name can't lead out of the folder. */
static bool is_plain(const char *name)
{
	size_t length = strlen(name);

	return length && length <= PLUGIN_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

/* Roots's, and nobody else may change it. */
static int check_owner(const char *path, const char *what, bool folder, char error[PLUGIN_ERROR_MAX])
{
	struct stat s;

	if (fstatat(AT_FDCWD, path, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return refuse(error, -errno, "%s: %s", what, strerror(errno));
	if (folder ? !S_ISDIR(s.st_mode) : !S_ISREG(s.st_mode))
		return refuse(error, -EINVAL, "%s is no %s", what, folder ? "folder" : "regular file");
	if (s.st_uid != 0 || (s.st_mode & 022))
		return refuse(error, -EPERM, "%s must belong to root and be writable by nobody else (it has uid %u, mode %04o)",
			      what, (unsigned)s.st_uid, (unsigned)s.st_mode & 07777);
	return 0;
}

static int load(const char *name, const struct plugin **ret, char error[PLUGIN_ERROR_MAX])
{
	char file[PLUGIN_NAME_MAX + 8];
	const struct plugin *p;
	void *handle;
	int r;

	if (folder_error)
		return refuse(error, folder_error, "the plugin folder %.150s cannot be entered: %s", folder_name,
			      strerror(-folder_error));
	snprintf(file, sizeof(file), "./%s.so", name);
	r = check_owner(".", "the plugin folder", true, error);
	if (r == 0 && access(file, F_OK) < 0)
		return refuse(error, -ENOENT, "there is no plugin '%s' in %.150s", name, folder_name);
	if (r == 0)
		r = check_owner(file, file, false, error);
	if (r < 0)
		return r;
	handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return refuse(error, -EINVAL, "plugin '%s' cannot be loaded: %.180s", name, dlerror());
	p = dlsym(handle, "alwayson_plugin");
	if (!p)
		r = refuse(error, -EINVAL, "plugin '%s' is none: it exports no alwayson_plugin", name);
	else if (p->abi != PLUGIN_ABI)
		r = refuse(error, -EINVAL, "plugin '%s' is built for ABI %u, this is ABI %d: build it again", name,
			   p->abi, PLUGIN_ABI);
	else if (!p->name || strcmp(p->name, name) || !p->configure || !p->check || !p->release)
		r = refuse(error, -EINVAL, "plugin '%s' is incomplete, or its file has another name than it", name);
	if (r < 0) {
		dlclose(handle);
		return r;
	}
	*ret = p;
	return 0;
}

int plugins_find(const char *name, const struct plugin **ret, char error[PLUGIN_ERROR_MAX])
{
	const struct plugin *p = NULL;
	size_t i;
	int r;

	if (!is_plain(name))
		return refuse(error, -EINVAL, "that is no plugin's name: 1 to %d of a-z 0-9 - _", PLUGIN_NAME_MAX);
	for (i = 0; i < loaded_count; i++) {
		if (strcmp(loaded[i].name, name))
			continue;
		*ret = loaded[i].plugin;
		return 0;
	}
	if (loaded_count == CHECKER_PLUGINS_MAX)
		return refuse(error, -ENOSPC, "more than %d plugins in use (CHECKER_PLUGINS_MAX)", CHECKER_PLUGINS_MAX);
	r = load(name, &p, error);
	if (r < 0)
		return r;
	snprintf(loaded[loaded_count].name, sizeof(loaded[0].name), "%s", name);
	loaded[loaded_count++].plugin = p;
	*ret = p;
	return 0;
}
