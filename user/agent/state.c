/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory, the lock, loading, and the loop's side of saving. state_file.c reads and replaces the file. One thread
 * saves: it takes what waits, and tells the loop through an eventfd how it went.
 */
#include "agent/state.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/state_file.h"
#include "agent/thread.h"
#include "base/cleanup.h"

struct state {
	char *dir, *name;
	char file[NAME_MAX + 1];
	int dir_fd, lock_fd;

	struct state_ops ops;
	struct event *event;   /* NULL = not started */
	int done_fd;
	bool failing;          /* as told by on_save */
	pthread_t thread;

	pthread_mutex_t lock;  /* of all below */
	pthread_cond_t wake;
	json_t *waiting;
	bool busy;             /* a save is under way */
	bool asked, stop;      /* asked: there is something to save; waiting NULL then = it could not be built */
	bool moved;            /* another directory was taken since on_save was told */
	int result;            /* of the last save */
	uint64_t saves, failures;
};

static int __attribute__((format(printf, 3, 4))) fail(char *error, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, STATE_ERROR_MAX, format, args);
	va_end(args);
	return r;
}

/* Who else may write there could replace the secret, the state, the lock. */
static int check_directory(const struct state *s, char *error)
{
	struct stat st;

	if (fstat(s->dir_fd, &st) < 0)
		return fail(error, -errno, "state directory %s: %s", s->dir, strerror(errno));
	if (st.st_uid != geteuid())
		return fail(error, -EACCES, "state directory %s belongs to uid %u, the agent runs as uid %u: chown %u %s",
			    s->dir, st.st_uid, geteuid(), geteuid(), s->dir);
	if (st.st_mode & 022)
		return fail(error, -EACCES, "state directory %s has mode %04o, others may write there: chmod go-w %s",
			    s->dir, st.st_mode & 07777, s->dir);
	return 0;
}

static int open_directory(struct state *s, char *error)
{
	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST && errno != EROFS)
		return fail(error, -errno, "state directory %s can't be made: %s", s->dir, strerror(errno));
	s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return fail(error, -errno, "state directory %s can't be used: %s", s->dir, strerror(errno));
	return check_directory(s, error);
}

/*
 * A POSIX record lock: it is the process's, so that a child which outlives the agent does not hold it, and the kernel,
 * not a file's content, says who has it. Closing any descriptor of the file ends it: nobody else in the process may
 * open the file.
 */
static int take_lock(struct state *s, char *error)
{
	char file[NAME_MAX + 1], pid[16];
	int length;

	snprintf(file, sizeof(file), "%s.lock", s->name);
	s->lock_fd = openat(s->dir_fd, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (s->lock_fd < 0)
		return fail(error, -errno, "%s/%s can't be opened: %s", s->dir, file, strerror(errno));
	for (;;) {
		struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		if (fcntl(s->lock_fd, F_SETLK, &whole) == 0)
			break;
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return fail(error, -errno, "%s/%s can't be locked: %s", s->dir, file, strerror(errno));
		/* Unlocked by now: its holder has just ended. Pid 0 or -1: a process of a namespace we can't see into. */
		if (fcntl(s->lock_fd, F_GETLK, &whole) < 0 || whole.l_type == F_UNLCK)
			continue;
		if (whole.l_pid > 0)
			return fail(error, -EBUSY, "instance %s is already running as process %d; use --name for a "
				    "second one", s->name, (int)whole.l_pid);
		return fail(error, -EBUSY, "instance %s is already running in another container; use --name for a "
			    "second one", s->name);
	}
	/* For people; a full disk does not make the lock worse. */
	length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(s->lock_fd, 0) == 0 && pwrite(s->lock_fd, pid, (size_t)length, 0) < 0)
		return 0;
	return 0;
}

static void destroy(struct state *s)
{
	if (s->event)
		event_free(s->event);
	if (s->done_fd >= 0)
		close(s->done_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	json_decref(s->waiting);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s->name);
	free(s);
}

int state_open(const char *dir, const char *name, struct state **ret, char error[static STATE_ERROR_MAX])
{
	struct state *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;
	int r;

	if (!s)
		return fail(error, -ENOMEM, "out of memory");
	s->dir_fd = s->lock_fd = s->done_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->dir = strdup(dir ? dir : STATE_DIR_DEFAULT);
	s->name = strdup(name);
	if (!s->dir || !s->name)
		r = fail(error, -ENOMEM, "out of memory");
	else
		r = open_directory(s, error);
	if (r == 0)
		r = take_lock(s, error);
	if (r < 0) {
		destroy(s);
		return r;
	}
	snprintf(s->file, sizeof(s->file), "%s.json", name);
	*ret = s;
	return 0;
}

int state_load(struct state *s, json_t **ret, char error[static STATE_ERROR_MAX])
{
	char bad[NAME_MAX + 1], why[STATE_WHY_MAX] = "";
	int r = state_file_read(s->dir_fd, s->file, STATE_FILE_MAX, ret, why);

	if (r == 0 || r == -ENOENT)
		return r;
	if (r != -EINVAL)
		return fail(error, r, "%s/%s can't be read: %s", s->dir, s->file, strerror(-r));
	snprintf(bad, sizeof(bad), "%.*s.bad", (int)sizeof(bad) - 5, s->file);
	if (renameat(s->dir_fd, s->file, s->dir_fd, bad) < 0)
		return fail(error, r, "%s/%s is damaged (%s) and can't be moved aside: %s", s->dir, s->file, why,
			    strerror(errno));
	return fail(error, r, "%s/%s is damaged (%s); it is kept as %s", s->dir, s->file, why, bad);
}

/* Opens, or makes, what the path leads to now, and takes the lock there. */
static int remake_directory(struct state *s)
{
	const int old_lock = s->lock_fd;
	char error[STATE_ERROR_MAX];
	int fd, r;

	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* The number stays: the loop knows it. */
	r = dup3(fd, s->dir_fd, O_CLOEXEC) < 0 ? -errno : check_directory(s, error);
	close(fd);
	if (r < 0)
		return r;
	s->lock_fd = -1;
	r = take_lock(s, error);
	if (r < 0 && s->lock_fd >= 0)
		close(s->lock_fd);
	if (r < 0)
		s->lock_fd = old_lock;
	else
		close(old_lock);
	return r;
}

/* Is what is open still what the path leads to? Removed, moved or unmounted, it would take what nobody finds again. */
static bool is_in_place(const struct state *s)
{
	struct stat named, open;

	return stat(s->dir, &named) == 0 && fstat(s->dir_fd, &open) == 0 && named.st_dev == open.st_dev &&
	       named.st_ino == open.st_ino;
}

static int save(struct state *s, const json_t *j)
{
	int r = is_in_place(s) ? 0 : remake_directory(s);

	return r < 0 ? r : j ? state_file_replace(s->dir_fd, s->file, j) : -ENOMEM;
}

/* With the lock held: until there is something to save, or what could not be saved is tried again. False: the end. */
static bool wait_for_work(struct state *s, bool failed)
{
	struct timespec again;

	clock_gettime(CLOCK_MONOTONIC, &again);
	again.tv_sec += STATE_RETRY_S;
	while (!s->asked && !s->stop)
		if (!failed)
			pthread_cond_wait(&s->wake, &s->lock);
		else if (pthread_cond_timedwait(&s->wake, &s->lock, &again) == ETIMEDOUT)
			return true;
	return s->asked;
}

static void *saver_thread(void *arg)
{
	struct state *s = arg;
	json_t *j = NULL; /* kept while it could not be saved */

	pthread_mutex_lock(&s->lock);
	while (wait_for_work(s, j)) {
		bool moved;
		int r;

		if (s->asked) {
			json_decref(j);
			j = take_ptr(s->waiting);
		}
		s->asked = false;
		s->busy = true;
		pthread_mutex_unlock(&s->lock);
		moved = !is_in_place(s);
		r = save(s, j);
		if (r == 0) {
			json_decref(j);
			j = NULL;
		}
		pthread_mutex_lock(&s->lock);
		s->busy = false;
		s->result = r;
		s->moved |= moved && r == 0;
		s->saves += r == 0;
		s->failures += r < 0;
		eventfd_write(s->done_fd, 1);
	}
	pthread_mutex_unlock(&s->lock);
	json_decref(j);
	return NULL;
}

/* Only the last of several results is seen here: it is what holds. */
static void on_saved(evutil_socket_t fd, short what, void *ctx)
{
	struct state *s = ctx;
	char text[STATE_ERROR_MAX];
	eventfd_t count;
	bool moved;
	int r;

	if (eventfd_read(fd, &count) < 0)
		return;
	pthread_mutex_lock(&s->lock);
	r = s->result;
	moved = s->moved;
	s->moved = false;
	pthread_mutex_unlock(&s->lock);
	if ((r < 0) == s->failing && !moved)
		return;
	s->failing = r < 0;
	if (r < 0)
		snprintf(text, sizeof(text), "%s/%s can't be written: %s; a restart would find an older state", s->dir,
			 s->file, strerror(-r));
	else
		snprintf(text, sizeof(text), "%s/%s is written again%s", s->dir, s->file,
			 moved ? "; the directory of before is gone" : "");
	if (s->ops.on_save)
		s->ops.on_save(r, text, s->ops.ctx);
}

int state_start(struct state *s, struct event_base *base, const struct state_ops *ops)
{
	int r = -ENOMEM;

	s->ops = *ops;
	s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->done_fd < 0)
		return -errno;
	s->event = event_new(base, s->done_fd, EV_READ | EV_PERSIST, on_saved, s);
	if (s->event && event_add(s->event, NULL) == 0)
		r = thread_start(&s->thread, "state", saver_thread, s);
	if (r < 0) {
		if (s->event)
			event_free(s->event);
		s->event = NULL;
		close(s->done_fd);
		s->done_fd = -1;
	}
	return r;
}

void state_save(struct state *s, json_t *j)
{
	json_t *skipped;

	pthread_mutex_lock(&s->lock);
	skipped = s->waiting;
	s->waiting = j;
	s->asked = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	json_decref(skipped);
}

int state_close(struct state *s)
{
	int r = 0;

	if (!s)
		return 0;
	if (s->event) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		/* A disk that hangs: what the thread may still touch is left to it; the process is about to end. */
		if (thread_join(s->thread, STATE_CLOSE_MS) < 0)
			return -ETIMEDOUT;
		r = s->result;
	}
	destroy(s);
	return r;
}

bool state_is_saved(struct state *s)
{
	bool saved;

	pthread_mutex_lock(&s->lock);
	saved = !s->asked && !s->busy;
	pthread_mutex_unlock(&s->lock);
	return saved;
}

uint64_t state_saves(struct state *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->saves;
	pthread_mutex_unlock(&s->lock);
	return n;
}

uint64_t state_save_failures(struct state *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->failures;
	pthread_mutex_unlock(&s->lock);
	return n;
}

const char *state_dir(const struct state *s)
{
	return s->dir;
}

int state_dir_fd(const struct state *s)
{
	return s->dir_fd;
}
