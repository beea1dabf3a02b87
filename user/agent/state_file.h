/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A JSON document in a file that is replaced atomically. Called by state.c: read on the loop at start, replaced by its
 * thread. Blocks. Touches nothing but the file, its temporary twin (FILE.tmp) and the directory they are in.
 */
#ifndef AGENT_STATE_FILE_H
#define AGENT_STATE_FILE_H

#include <jansson.h>
#include <stddef.h>

enum { STATE_WHY_MAX = 256 };

/* 0 and a new reference to an object; -ENOENT; -EINVAL: damaged, why says how; or -errno. */
int state_file_read(int dir, const char *file, size_t limit, json_t **ret, char why[static STATE_WHY_MAX]);
/* On failure the old file is as it was. 0 or -errno. */
int state_file_replace(int dir, const char *file, const json_t *j);

#endif
