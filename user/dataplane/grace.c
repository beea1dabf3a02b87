/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/grace.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"

struct grace_request {
	void (*call)(void *ctx);
	void *ctx;
};

struct vec_requests vec(struct grace_request);

struct grace {
	struct event *done_event;
	int done_fd;              /* thread -> loop */
	pthread_t thread;
	pthread_mutex_t lock;     /* of asked and stop */
	pthread_cond_t wake;
	bool asked, stop;
	bool running;             /* the loop's: the thread is waiting for these: */
	struct vec_requests waiting; /* asked before the wait began */
	struct vec_requests next;    /* asked since */
	int outer_map, inner_map; /* for kernels whose membarrier can't: -1 else */
};

/* A wait for an RCU grace period: membarrier; with nohz_full CPUs it gives EINVAL, and a map-in-map update waits too. */
static void wait_for_grace(const struct grace *g)
{
	uint32_t zero = 0;

	if (g->outer_map < 0)
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	else
		bpf_map_update_elem(g->outer_map, &zero, &g->inner_map, BPF_ANY);
}

static int choose_wait(struct grace *g)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	g->outer_map = g->inner_map = -1;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0)
		return 0;
	g->inner_map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", 4, 4, 1, NULL);
	if (g->inner_map < 0)
		return -errno;
	opts.inner_map_fd = g->inner_map;
	g->outer_map = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace_outer", 4, 4, 1, &opts);
	return g->outer_map < 0 ? -errno : 0;
}

static void *grace_thread(void *arg)
{
	struct grace *g = arg;
	uint64_t one = 1;

	for (;;) {
		pthread_mutex_lock(&g->lock);
		while (!g->asked && !g->stop)
			pthread_cond_wait(&g->wake, &g->lock);
		g->asked = false;
		if (g->stop) {
			pthread_mutex_unlock(&g->lock);
			return NULL;
		}
		pthread_mutex_unlock(&g->lock);
		wait_for_grace(g);
		while (write(g->done_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
}

static void grace_start(struct grace *g)
{
	struct vec_requests empty = g->waiting;

	g->waiting = g->next;
	g->next = empty;
	g->next.count = 0;
	g->running = true;
	pthread_mutex_lock(&g->lock);
	g->asked = true;
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct grace *g = arg;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	g->running = false;
	for (size_t i = 0; i < g->waiting.count; i++)
		g->waiting.items[i].call(g->waiting.items[i].ctx);
	g->waiting.count = 0;
	if (g->next.count && !g->running)
		grace_start(g);
}

int grace_call(struct grace *g, void (*call)(void *ctx), void *ctx)
{
	struct grace_request *r = vec_push(&g->next);

	if (!r)
		return -ENOMEM;
	r->call = call;
	r->ctx = ctx;
	if (!g->running && !g->waiting.count)
		grace_start(g);
	return 0;
}

int grace_new(struct event_base *base, struct grace **ret)
{
	struct grace *g = calloc(1, sizeof(*g));
	int r = -ENOMEM;

	if (!g)
		return -ENOMEM;
	g->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->done_fd < 0) {
		r = -errno;
		goto fail;
	}
	r = choose_wait(g);
	if (r < 0)
		goto fail_fd;
	g->done_event = event_new(base, g->done_fd, EV_READ | EV_PERSIST, on_done, g);
	if (!g->done_event || event_add(g->done_event, NULL)) {
		r = -ENOMEM;
		goto fail_maps;
	}
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->wake, NULL);
	r = -pthread_create(&g->thread, NULL, grace_thread, g);
	if (r < 0)
		goto fail_event;
	*ret = g;
	return 0;
fail_event:
	pthread_cond_destroy(&g->wake);
	pthread_mutex_destroy(&g->lock);
fail_maps:
	if (g->done_event)
		event_free(g->done_event);
	cleanup_close(&g->outer_map);
	cleanup_close(&g->inner_map);
fail_fd:
	close(g->done_fd);
fail:
	free(g);
	return r;
}

void grace_free(struct grace *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
	pthread_join(g->thread, NULL);
	pthread_cond_destroy(&g->wake);
	pthread_mutex_destroy(&g->lock);
	event_free(g->done_event);
	cleanup_close(&g->outer_map);
	cleanup_close(&g->inner_map);
	close(g->done_fd);
	vec_done(&g->waiting);
	vec_done(&g->next);
	free(g);
}
