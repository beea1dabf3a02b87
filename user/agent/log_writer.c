/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/log_writer.h"

#include "agent/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/thread.h"

enum {
	OWN_LINE_MAX = 96, /* our own line about what was dropped */
	ABORT_MS = 1000,   /* for the thread to end when it is told not to wait: only a write that hangs takes longer */
};

/* Whole lines, each with its prefix and newline. */
struct lines {
	char *text;
	size_t length;
};

struct log_writer {
	int fd;
	int abort_fd;          /* readable: what is not written yet never will be */
	bool journal;
	size_t queue_max;
	pthread_t thread;
	struct lines writing;  /* the thread's alone */

	pthread_mutex_t lock;  /* of all below; held for copying and swapping, never while something is written */
	pthread_cond_t wake;
	struct lines waiting;
	bool busy;             /* the thread is writing */
	bool stop;
	uint64_t dropped;
	uint64_t told;         /* of dropped, how many the stream was told of */
};

static size_t prefix(const struct log_writer *w, int level, char *buf, size_t size)
{
	return (size_t)(w->journal ? snprintf(buf, size, "<%d>", level & 7) :
				     snprintf(buf, size, "%s ", log_level_name(level & 7)));
}

/* Called with the lock held. */
static void append(struct log_writer *w, int level, const char *line, size_t length)
{
	char *to = w->waiting.text + w->waiting.length;
	size_t n = prefix(w, level, to, OWN_LINE_MAX);

	memcpy(to + n, line, length);
	to[n + length] = '\n';
	w->waiting.length += n + length + 1;
}

/* Called with the lock held: there is always room for this line, see log_writer_new(). */
static void tell_of_dropped(struct log_writer *w)
{
	char line[OWN_LINE_MAX];
	int length;

	if (w->dropped == w->told)
		return;
	length = snprintf(line, sizeof(line), "event=log_dropped lines=%llu",
			  (unsigned long long)(w->dropped - w->told));
	w->told = w->dropped;
	append(w, LOG_WARNING, line, (size_t)length);
}

static size_t count_lines(const char *text, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += text[i] == '\n';
	return count;
}

/* Whole lines, as many as a pipe takes in one piece: another process that writes to it can't get in between. */
static size_t piece(const struct lines *l, size_t at)
{
	size_t left = l->length - at;
	const char *end;

	if (left <= PIPE_BUF)
		return left;
	end = memrchr(l->text + at, '\n', PIPE_BUF);
	return end ? (size_t)(end + 1 - (l->text + at)) : PIPE_BUF;
}

/*
 * Waits until a piece can be written; false when the end does not wait for that any longer. A pipe or socket that is
 * writable takes a whole piece, so that the write itself blocks only where another writer came first, or on a disk.
 */
static bool wait_writable(const struct log_writer *w)
{
	struct pollfd fds[] = { { .fd = w->fd, .events = POLLOUT }, { .fd = w->abort_fd, .events = POLLIN } };

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	return !fds[1].revents;
}

/* Writes w->writing, for as long as it takes. Returns how many lines could not be written. */
static size_t write_out(struct log_writer *w)
{
	const struct lines *l = &w->writing;

	for (size_t at = 0; at < l->length;) {
		ssize_t n;

		if (!wait_writable(w))
			return count_lines(l->text + at, l->length - at);
		n = write(w->fd, l->text + at, piece(l, at));
		/* EAGAIN: somebody who shares the stream has made it non-blocking. */
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return count_lines(l->text + at, l->length - at);
		if (n > 0)
			at += (size_t)n;
	}
	return 0;
}

static void *writer_thread(void *arg)
{
	struct log_writer *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct lines taken;
		size_t lost;

		while (!w->waiting.length && !w->stop)
			pthread_cond_wait(&w->wake, &w->lock);
		if (!w->waiting.length)
			break;
		tell_of_dropped(w);
		taken = w->waiting;
		w->waiting = w->writing;
		w->waiting.length = 0;
		w->writing = taken;
		w->busy = true;
		pthread_mutex_unlock(&w->lock);
		lost = write_out(w);
		pthread_mutex_lock(&w->lock);
		w->busy = false;
		w->dropped += lost;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void destroy(struct log_writer *w)
{
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w->waiting.text);
	free(w->writing.text);
	if (w->abort_fd >= 0)
		close(w->abort_fd);
	free(w);
}

int log_writer_new(int fd, bool journal, size_t queue_max, struct log_writer **ret)
{
	struct log_writer *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	if (!w)
		return r;
	w->fd = fd;
	w->journal = journal;
	w->queue_max = queue_max;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->abort_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->waiting.text = malloc(queue_max + 2 * OWN_LINE_MAX);
	w->writing.text = malloc(queue_max + 2 * OWN_LINE_MAX);
	if (w->abort_fd < 0)
		r = -errno;
	else if (w->waiting.text && w->writing.text)
		r = thread_start(&w->thread, "log", writer_thread, w);
	if (r < 0) {
		destroy(w);
		return r;
	}
	*ret = w;
	return 0;
}

void log_writer_free(struct log_writer *w, unsigned flush_ms)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	if (thread_join(w->thread, flush_ms) < 0) {
		eventfd_write(w->abort_fd, 1);
		/* Stuck in the kernel: what it may still touch is left to it; the process is about to end. */
		if (thread_join(w->thread, ABORT_MS) < 0)
			return;
	}
	destroy(w);
}

bool log_writer_put(struct log_writer *w, int level, const char *line, size_t length)
{
	bool fits;

	pthread_mutex_lock(&w->lock);
	fits = w->waiting.length + OWN_LINE_MAX + length + 1 <= w->queue_max;
	if (fits)
		append(w, level, line, length);
	else
		w->dropped++;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return fits;
}

uint64_t log_writer_dropped(struct log_writer *w)
{
	uint64_t dropped;

	pthread_mutex_lock(&w->lock);
	dropped = w->dropped;
	pthread_mutex_unlock(&w->lock);
	return dropped;
}

bool log_writer_is_idle(struct log_writer *w)
{
	bool idle;

	pthread_mutex_lock(&w->lock);
	idle = !w->waiting.length && !w->busy;
	pthread_mutex_unlock(&w->lock);
	return idle;
}
