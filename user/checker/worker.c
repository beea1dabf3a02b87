/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one process, one check at a time. Says at once that it begins, runs the plugin, says what came out. It may
 * be killed at any moment and holds nothing that matters. Called by template.c in a fresh child.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "checker/checker.h"
#include "checker/protocol.h"

/* A check line as it came: its plugin has read it once. */
struct state {
	char *words;
	size_t length, count;
	const struct plugin *plugin;
	void *state;
};

static struct state states[CHECKER_STATES_MAX];
static size_t state_count, state_next;

static void state_done(struct state *s)
{
	s->plugin->release(s->state);
	explicit_bzero(s->words, s->length);
	free(s->words);
	*s = (struct state){};
}

/* Splits "NAME\0SECRET\0WORD\0..." into at most `size` texts. False: it is not `count` of them, each with its end. */
static bool split_words(const char *words, size_t length, size_t count, const char **ret, size_t size)
{
	size_t i, at = 0;

	if (count < 2 || count > size)
		return false;
	for (i = 0; i < count; i++) {
		const char *end = at < length ? memchr(words + at, '\0', length - at) : NULL;

		if (!end)
			return false;
		ret[i] = words + at;
		at = (size_t)(end - words) + 1;
	}
	return at == length;
}

static int configure(const char *words, size_t length, size_t count, struct state *ret, char error[PLUGIN_ERROR_MAX])
{
	const char *texts[PLUGIN_ARGS_MAX + 2];
	struct state s = { .length = length, .count = count };
	int r;

	snprintf(error, PLUGIN_ERROR_MAX, "the request cannot be read");
	if (!split_words(words, length, count, texts, PLUGIN_ARGS_MAX + 2))
		return -EINVAL;
	r = plugins_find(texts[0], &s.plugin, error);
	if (r < 0)
		return r;
	s.words = malloc(length);
	if (!s.words) {
		snprintf(error, PLUGIN_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	memcpy(s.words, words, length);
	error[0] = '\0';
	if (s.plugin->configure(count - 2, texts + 2, texts[1], &s.state, error)) {
		error[PLUGIN_ERROR_MAX - 1] = '\0';
		explicit_bzero(s.words, length);
		free(s.words);
		return -EINVAL;
	}
	*ret = s;
	return 0;
}

/* The state of these words; NULL with error. The oldest makes room when there are too many. */
static struct state *find_state(const char *words, size_t length, size_t count, char error[PLUGIN_ERROR_MAX])
{
	struct state fresh, *s;
	size_t i;

	for (i = 0; i < state_count; i++)
		if (states[i].length == length && states[i].count == count && !memcmp(states[i].words, words, length))
			return &states[i];
	if (configure(words, length, count, &fresh, error) < 0)
		return NULL;
	if (state_count < CHECKER_STATES_MAX) {
		s = &states[state_count++];
	} else {
		s = &states[state_next];
		state_next = (state_next + 1) % CHECKER_STATES_MAX;
		state_done(s);
	}
	*s = fresh;
	return s;
}

/* Should nobody be left to kill us: SIGALRM's default action does. 0 stops it. */
static void self_kill_in(uint64_t ms)
{
	struct itimerval t = { .it_value = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) } };

	setitimer(ITIMER_REAL, &t, NULL);
}

static void run_check(const struct checker_request *m, const char *words, struct plugin_result *ret)
{
	char address[INET6_ADDRSTRLEN] = "", error[PLUGIN_ERROR_MAX];
	const struct state *s = find_state(words, m->words_length, m->word_count, error);
	struct plugin_request request = {
		.size = sizeof(request),
		.port = m->port,
		.family = m->family,
		.address = address,
		.connect_deadline_ms = m->connect_deadline_ms,
		.deadline_ms = m->deadline_ms,
	};

	if (!s || !inet_ntop(m->family, m->address, address, sizeof(address))) {
		ret->code = PLUGIN_TROUBLE;
		snprintf(ret->text, sizeof(ret->text), "%.*s", PLUGIN_TEXT_MAX - 1, s ? "no address" : error);
		return;
	}
	s->plugin->check(s->state, &request, ret);
	ret->text[PLUGIN_TEXT_MAX - 1] = '\0';
}

static void answer_configure(int socket, const struct checker_request *m, const char *words)
{
	struct checker_configured answer = { .head = { .kind = CHECKER_CONFIGURED, .ticket = m->head.ticket } };

	answer.good = find_state(words, m->words_length, m->word_count, answer.error) != NULL;
	checker_send(socket, &answer, sizeof(answer), -1);
}

static void answer_check(int socket, const struct checker_request *m, const char *words, int fd)
{
	struct checker_done answer = {
		.head = { .kind = CHECKER_DONE, .ticket = m->head.ticket },
		.result = { .size = sizeof(answer.result) },
	};

	sockets_steer(fd);
	run_check(m, words, &answer.result);
	sockets_steer(-1);
	checker_send(socket, &answer, sizeof(answer), -1);
}

static void serve(int socket)
{
	static char bytes[CHECKER_MESSAGE_MAX];
	const struct checker_request *m = (const void *)bytes;
	int fd = -1;
	ptrdiff_t n = checker_receive(socket, bytes, sizeof(bytes), &fd);
	struct checker_head ack = { .kind = CHECKER_ACK };
	uint64_t now = checker_clock_ms();
	uint64_t left;

	if (n <= 0)
		_exit(0); /* the agent is gone, or wants us no longer */
	if (n < (ptrdiff_t)sizeof(*m) || (size_t)n != sizeof(*m) + m->words_length || m->steered != (fd >= 0))
		_exit(1);
	ack.ticket = m->head.ticket;
	if (checker_send(socket, &ack, sizeof(ack), -1) < 0)
		_exit(0);
	left = m->deadline_ms > now ? m->deadline_ms - now : 0;
	self_kill_in(left + CHECKER_SELF_KILL_MS);
	if (m->head.kind == CHECKER_CONFIGURE)
		answer_configure(socket, m, bytes + sizeof(*m));
	else if (m->head.kind == CHECKER_CHECK)
		answer_check(socket, m, bytes + sizeof(*m), fd);
	else
		_exit(1);
	self_kill_in(0);
	explicit_bzero(bytes, (size_t)n);
}

static void limit(int what, rlim_t value)
{
	const struct rlimit l = { value, value };

	setrlimit((__rlimit_resource_t)what, &l);
}

static void limit_resources(void)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, CHECKER_FILES_MAX);
#ifndef __SANITIZE_ADDRESS__ /* its shadow memory is terabytes of address space */
	limit(RLIMIT_AS, (rlim_t)CHECKER_MEMORY_MAX_MB << 20);
#endif
}

void worker_run(int socket)
{
	const struct checker_head hello = { .kind = CHECKER_HELLO };

	prctl(PR_SET_NAME, "checker-worker");
	signal(SIGPIPE, SIG_IGN);
	limit_resources();
	if (restrict_calls() < 0 || checker_send(socket, &hello, sizeof(hello), -1) < 0)
		_exit(1);
	for (;;)
		serve(socket);
}
