/* SPDX-License-Identifier: BSD-2-Clause */
#include "web/assets.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define SCRIPT "text/javascript; charset=utf-8"
#define ASSETS(X)                                         \
	X("/", index, "text/html; charset=utf-8")         \
	X("/style.css", style, "text/css; charset=utf-8") \
	X("/app.js", app, SCRIPT)                         \
	X("/format.js", format, SCRIPT)                   \
	X("/history.js", history, SCRIPT)                 \
	X("/plot.js", plot, SCRIPT)                       \
	X("/theme.js", theme, SCRIPT)                     \
	X("/view.js", view, SCRIPT)                       \
	X("/icon.svg", icon, "image/svg+xml")

/* assets.S */
#define X(path, name, type) extern const char asset_##name[], asset_##name##_end[];
ASSETS(X)
#undef X

const struct asset *asset_find(const char *path)
{
	static struct asset assets[] = {
#define X(path, name, type) { path, type, asset_##name, 0 },
		ASSETS(X)
#undef X
	};
	/* The difference of two symbols is no constant in C. */
	static const char *const ends[] = {
#define X(path, name, type) asset_##name##_end,
		ASSETS(X)
#undef X
	};

	for (size_t i = 0; i < array_size(assets); i++)
		if (strcmp(path, assets[i].path) == 0) {
			assets[i].length = (size_t)((uintptr_t)ends[i] - (uintptr_t)assets[i].data);
			return &assets[i];
		}
	return NULL;
}

/* FNV-1a: only to tell one build's file from another's. */
const char *asset_etag(const struct asset *a, char buf[static ASSET_ETAG_MAX])
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < a->length; i++)
		hash = (hash ^ (unsigned char)a->data[i]) * 0x100000001b3;
	snprintf(buf, ASSET_ETAG_MAX, "\"%016llx\"", (unsigned long long)hash);
	return buf;
}
