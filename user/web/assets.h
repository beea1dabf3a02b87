/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status page's files as they lie in page/, built into the program: no folder to install, nothing to fetch. Called
 * by site.c. Made by the assembler's .incbin (assets.S), not by a build step of their own.
 */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include <stddef.h>

enum { ASSET_ETAG_MAX = 24 };

struct asset {
	const char *path;   /* of the URL */
	const char *type;
	const char *data;
	size_t length;
};

/* NULL = there is none at that path. */
const struct asset *asset_find(const char *path);
/* The file's entity tag, with its quotes: of its contents, so that it changes when they do. Returns buf. */
const char *asset_etag(const struct asset *a, char buf[static ASSET_ETAG_MAX]);

#endif
