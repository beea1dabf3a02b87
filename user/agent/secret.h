/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key of the hash that steers: read from its file, or generated once. Called by the agent at start and on reload.
 * The key itself never gets into a message. Blocks for the time of a small file.
 */
#ifndef AGENT_SECRET_H
#define AGENT_SECRET_H

#include <alwayson/hash.h>

enum { SECRET_ERROR_MAX = 512 };

struct state;

/*
 * The file holds 32 hexadecimal digits, the first 16 are k[0] with its most significant digit first, so that all
 * balancers of a cluster read the same; a newline may follow.
 * file NULL: "secret" in the state's directory, generated (0600) when it is missing, shared by all instances there;
 * s NULL as well: one that is kept nowhere, another one after each start.
 * 0; -ENOENT: file is missing; -EACCES: it can't be read, others may read or write it, or it belongs to another user;
 * -EINVAL: malformed, or all zeros; or -errno. error says what would be right.
 */
int secret_load(const char *file, struct state *s, struct hash_key *ret, char error[static SECRET_ERROR_MAX]);
/* Writes the secret that is in force into the state directory, where there is none any more. 0 or -errno. */
int secret_keep(struct state *s, const struct hash_key *key);

#endif
