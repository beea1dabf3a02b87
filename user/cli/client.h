/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request to the agent and its reply, over the control socket. Called by cli.c; blocks, prints nothing.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Sends the line (with its newline) and reads until the agent closes. *ret is on the heap, NUL-terminated.
 * 0; -ENOENT, -ECONNREFUSED: no agent there; -EACCES: not allowed in; -ENOTSOCK: the path is no socket; -ETIMEDOUT: no
 * first byte within timeout_ms, or none for 10 s in the middle; -EFBIG: more than CONTROL_REPLY_MAX; -EPROTO: closed
 * without a whole line; -ENAMETOOLONG; or what the socket calls say.
 */
int client_request(const char *path, const char *line, uint64_t timeout_ms, char **ret, size_t *ret_length);
/* From a signal's handler: the request that waits for its reply, or else the next one, ends with -EINTR. */
void client_interrupt(void);

#endif
