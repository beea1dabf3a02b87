/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Are a plugin's words good? Asked of a worker of its own, at start, on reload and for -c, and waited for: no longer
 * than CHECKER_CONFIGURE_MS. Called by the agent through pool.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "checker/pool_internal.h"

static int send_request(int socket, const struct checker_words *words, uint64_t deadline_ms)
{
	size_t length = sizeof(struct checker_request) + words->length;
	struct checker_request *m = calloc(1, length);
	int r;

	if (!m)
		return -ENOMEM;
	m->head.kind = CHECKER_CONFIGURE;
	m->deadline_ms = deadline_ms;
	m->words_length = (uint32_t)words->length;
	m->word_count = words->count;
	memcpy(m + 1, words->bytes, words->length);
	r = checker_send(socket, m, length, -1);
	explicit_bzero(m, length);
	free(m);
	return r;
}

/* HELLO and ACK go by. 0 and *ret; -ETIMEDOUT; -EPIPE: the worker has ended. */
static int wait_answer(int socket, uint64_t deadline_ms, struct checker_configured *ret)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };

	for (;;) {
		uint64_t now = checker_clock_ms();
		ptrdiff_t n;

		if (now >= deadline_ms)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(deadline_ms - now)) <= 0)
			continue;
		n = checker_receive(socket, ret, sizeof(*ret), NULL);
		if (n == -EAGAIN)
			continue;
		if (n <= 0)
			return -EPIPE;
		if (ret->head.kind == CHECKER_CONFIGURED && n == (ptrdiff_t)sizeof(*ret))
			return 0;
	}
}

int checker_validate(struct checker *c, const struct checker_words *words, char error[CHECKER_POOL_ERROR_MAX])
{
	uint64_t deadline_ms = checker_clock_ms() + CHECKER_CONFIGURE_MS;
	struct checker_configured answer;
	_cleanup_close_ int socket = -1;
	int r;

	if (words->length > CHECKER_WORDS_MAX) {
		snprintf(error, CHECKER_POOL_ERROR_MAX, "its words have more than %d bytes (CHECKER_WORDS_MAX)",
			 CHECKER_WORDS_MAX);
		return -EINVAL;
	}
	r = checker_link_spawn(c, CHECKER_MAKE_WORKER, checker_next_ticket(c), &socket);
	if (r == 0)
		r = send_request(socket, words, deadline_ms);
	if (r == 0)
		r = wait_answer(socket, deadline_ms, &answer);
	if (r == -ETIMEDOUT)
		snprintf(error, CHECKER_POOL_ERROR_MAX, "the plugin did not read its words within %d ms",
			 CHECKER_CONFIGURE_MS);
	else if (r == -EPIPE)
		snprintf(error, CHECKER_POOL_ERROR_MAX, "the process that loads the plugin has died of it");
	else if (r < 0)
		snprintf(error, CHECKER_POOL_ERROR_MAX, "no process can be asked about the plugin: %s", strerror(-r));
	if (r < 0)
		return r;
	if (answer.good)
		return 0;
	answer.error[PLUGIN_ERROR_MAX - 1] = '\0';
	snprintf(error, CHECKER_POOL_ERROR_MAX, "%s", answer.error);
	return -EINVAL;
}
