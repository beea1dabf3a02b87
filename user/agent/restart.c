/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three steps: the installed program checks the configuration, and that it can go on with what there is; then replies
 * and state are given a moment to be finished; then exec. Until the last step has succeeded this agent is as it was.
 */
#include "agent/restart.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/monitor.h"
#include "agent/plugins.h"
#include "agent/privileges.h"
#include "agent/ready.h"
#include "agent/shared.h"
#include "base/cleanup.h"
#include "base/handover.h"
#include "base/version.h"

/* What the one who would go on must agree to; in the environment of its -c. */
#define QUESTION "ALWAYSON_SUCCESSOR"

enum { ASK_AGAIN_MS = 10, ANSWER_BYTES = 512 };

struct restart {
	struct agent *agent;
	struct control_request *request; /* NULL: who asked has gone */
	struct event *output, *end, *timer;
	pid_t pid;                       /* of the check; 0 = it is over */
	int pipe_fd, pidfd;
	char text[RESTART_ERROR_MAX];    /* what it said */
	size_t length;
	uint64_t quiet_until_ms;
};

extern char **environ;

static char **arguments;
static char executable[PATH_MAX];
static int asker = -1; /* the connection of the one who asked the former program for the restart */

void restart_remember(char **argv)
{
	ssize_t n = readlink("/proc/self/exe", executable, sizeof(executable) - 1);

	arguments = argv;
	executable[n > 0 ? n : 0] = '\0';
	handover_receive();
	asker = handover_take("asker");
}

static void question(char *text, size_t size)
{
	snprintf(text, size, "%llx %x", (unsigned long long)dataplane_layout(), plugins_protocol());
}

bool restart_is_asked(void)
{
	return getenv(QUESTION);
}

int restart_check_successor(void)
{
	const char *asked = getenv(QUESTION);
	unsigned long long layout;
	unsigned protocol;

	if (!asked)
		return 0;
	if (sscanf(asked, "%llx %x", &layout, &protocol) != 2 || layout != dataplane_layout()) {
		fprintf(stderr, "version %s lays its tables out in another way: it can't take over the connections that there "
			"are. systemctl stop and start change over to it, and end them\n", alwayson_version);
		return -EINVAL;
	}
	if (protocol != plugins_protocol()) {
		fprintf(stderr, "version %s talks in another way to the processes that make the checks: it can't go on with "
			"those that there are. systemctl restart changes over to it: packets are steered meanwhile\n",
			alwayson_version);
		return -EINVAL;
	}
	return 0;
}

/* ---- the end, one way or the other ---- */

static void forget(struct restart *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	if (s->output)
		event_free(s->output);
	if (s->end)
		event_free(s->end);
	if (s->timer)
		event_free(s->timer);
	cleanup_close(&s->pipe_fd);
	cleanup_close(&s->pidfd);
	s->agent->restart = NULL;
	control_pause(s->agent->control, false);
	monitor_pause(s->agent->monitor, false);
	free(s);
}

static void refuse(struct restart *s, enum control_code code, const char *text)
{
	log_event(s->agent->log, LOG_ERR, "restart_failed", "error=%s", log_quoted(text));
	if (s->request)
		control_fail(s->request, code, "%s", text);
	forget(s);
}

static void on_gone(void *ctx)
{
	struct restart *s = ctx;

	s->request = NULL; /* it is done all the same */
}

/* ---- exec ---- */

static bool give_all(struct restart *s)
{
	struct agent *a = s->agent;

	return handover_give("asker", s->request ? control_fd(s->request) : -1) &&
	       handover_give("control", control_listener(a->control)) &&
	       handover_give("metrics", monitor_listener(a->monitor)) &&
	       handover_give("packets", net_packets_fd(a->net)) &&
	       handover_give("sharing", dataplane_sharing(a->dataplane)) && plugins_hand_over(a->plugins);
}

static void become(struct restart *s)
{
	char text[RESTART_ERROR_MAX];
	int r = give_all(s) ? handover_commit() : -ENOSPC;

	if (r == 0) {
		ready_reloading();
		r = privileges_pass_on();
		if (r == 0) {
			dataplane_beat(s->agent->dataplane, AGENT_RESTART_LEAVE_MS);
			execv(executable, arguments);
			r = -errno;
			privileges_keep();
		}
	}
	handover_abandon();
	ready_started(NULL);
	snprintf(text, sizeof(text), "%.200s can't be executed: %s; nothing has changed", executable, strerror(-r));
	refuse(s, CONTROL_FAILED, text);
}

static void on_quiet(evutil_socket_t fd, short what, void *ctx)
{
	const struct timeval again = { .tv_usec = ASK_AGAIN_MS * 1000 };
	struct restart *s = ctx;
	struct agent *a = s->agent;
	const bool quiet = control_is_quiet(a->control) && monitor_is_quiet(a->monitor) && log_is_written(a->log) &&
			   (!a->state || state_is_saved(a->state));

	const bool over = agent_monotonic_ms() >= s->quiet_until_ms;

	if (dataplane_is_asking(a->dataplane) && over)
		refuse(s, CONTROL_FAILED, "libxdp is being asked, and its answer must be heard first; nothing has changed: try again");
	else if ((quiet && !dataplane_is_asking(a->dataplane)) || over)
		become(s);
	else
		evtimer_add(s->timer, &again);
}

/* ---- the check ---- */

static void on_output(evutil_socket_t fd, short what, void *ctx)
{
	struct restart *s = ctx;
	char rest[4096];
	ssize_t n;

	while ((n = read(fd, rest, sizeof(rest))) > 0)
		for (ssize_t i = 0; i < n && s->length < sizeof(s->text) - 1; i++)
			s->text[s->length++] = rest[i];
	s->text[s->length] = '\0';
	if (n == 0)
		event_del(s->output);
}

/* One line of it, for a message. */
static void flatten(char *text)
{
	size_t length = strlen(text);

	while (length && text[length - 1] == '\n')
		text[--length] = '\0';
	for (; *text; text++)
		if (*text == '\n')
			*text = ';';
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
	struct restart *s = ctx;
	char text[RESTART_ERROR_MAX + 128];
	int status = 0;

	on_output(s->pipe_fd, 0, s);
	waitpid(s->pid, &status, 0);
	s->pid = 0;
	event_del(s->end);
	event_del(s->output);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		flatten(s->text);
		snprintf(text, sizeof(text), "%.100s does not accept the configuration; nothing has changed: %s", executable,
			 s->text[0] ? s->text : WIFEXITED(status) ? "it does not say why" : "it was ended by a signal");
		refuse(s, CONTROL_BAD_CONFIG, text);
		return;
	}
	log_event(s->agent->log, LOG_NOTICE, "restarting", "program=%s", log_quoted(executable));
	agent_save_state(s->agent);
	control_pause(s->agent->control, true);
	monitor_pause(s->agent->monitor, true);
	s->quiet_until_ms = agent_monotonic_ms() + RESTART_QUIET_MS;
	on_quiet(-1, 0, s);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct restart *s = ctx;

	if (s->pid)
		refuse(s, CONTROL_FAILED, "the installed program does not end its check of the configuration");
	else
		on_quiet(fd, what, ctx);
}

static int spawn_check(struct restart *s)
{
	const struct agent_options *o = s->agent->options;
	_cleanup_free_ char **argv = calloc(2 * o->file_count + 3, sizeof(*argv));
	char asked[64];
	posix_spawn_file_actions_t files;
	int pair[2], r;
	size_t n = 0;

	if (!argv)
		return -ENOMEM;
	argv[n++] = (char *)"alwaysond";
	argv[n++] = (char *)"-c";
	for (size_t i = 0; i < o->file_count; i++) {
		argv[n++] = (char *)"-f";
		argv[n++] = (char *)o->files[i];
	}
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	question(asked, sizeof(asked));
	setenv(QUESTION, asked, 1);
	posix_spawn_file_actions_init(&files);
	r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, pair[1], STDOUT_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, pair[1], STDERR_FILENO);
	if (!r)
		r = posix_spawn(&s->pid, executable, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	unsetenv(QUESTION);
	close(pair[1]);
	s->pipe_fd = pair[0];
	if (r) {
		s->pid = 0;
		return -r;
	}
	fcntl(s->pipe_fd, F_SETFL, O_NONBLOCK);
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	return s->pidfd < 0 ? -errno : 0;
}

static int start(struct restart *s)
{
	const struct timeval late = { .tv_sec = RESTART_CHECK_MS / 1000 };
	struct event_base *base = s->agent->base;
	int r = spawn_check(s);

	if (r < 0)
		return r;
	s->output = event_new(base, s->pipe_fd, EV_READ | EV_PERSIST, on_output, s);
	s->end = event_new(base, s->pidfd, EV_READ, on_end, s);
	s->timer = evtimer_new(base, on_timer, s);
	if (!s->output || !s->end || !s->timer || event_add(s->output, NULL) || event_add(s->end, NULL) ||
	    evtimer_add(s->timer, &late))
		return -ENOMEM;
	return 0;
}

/*
 * What the next program can't do with the rights that are left. Plugins read their words themselves, and only an agent has
 * processes for that: this one.
 */
static int check_rights(struct agent *a, char error[AGENT_ERROR_MAX])
{
	struct config_report report = {};
	struct model *m = NULL;
	int r = config_load(a->options->files, a->options->file_count, &m, &report);

	/* What this version does not understand the next one may. */
	if (r == 0) {
		r = shared_check(a, m, error, AGENT_ERROR_MAX);
		if (r == 0)
			r = plugins_validate(a->plugins, m, a->model, error);
	} else {
		r = 0;
	}
	model_free(m);
	config_report_done(&report);
	return r;
}

void restart_begin(struct agent *a, struct control_request *r)
{
	char error[AGENT_ERROR_MAX] = "";
	struct restart *s;
	int e;

	if (a->restart || a->reload || !a->running) {
		control_fail(r, CONTROL_FAILED, a->restart ? "a restart is under way" : a->reload ? "a reload is under way" :
									      "the agent is not ready yet");
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	*s = (struct restart){ .agent = a, .request = r, .pipe_fd = -1, .pidfd = -1 };
	a->restart = s;
	control_on_gone(r, on_gone, s);
	if (check_rights(a, error) < 0) {
		refuse(s, CONTROL_BAD_CONFIG, error);
		return;
	}
	e = start(s);
	if (e < 0) {
		snprintf(error, sizeof(error), "%.200s can't be started: %s; nothing has changed", executable, strerror(-e));
		refuse(s, CONTROL_FAILED, error);
	}
}

void restart_answer(struct agent *a)
{
	char text[ANSWER_BYTES];
	int length;

	handover_finish();
	if (asker < 0)
		return;
	length = snprintf(text, sizeof(text), "{\"ok\":true,\"now_ms\":%llu,\"version\":\"%s\",\"pid\":%d,\"took_ms\":%llu}\n",
			  (unsigned long long)agent_wall_ms(), alwayson_version, (int)getpid(),
			  (unsigned long long)(agent_monotonic_ms() - a->started_ms));
	/* Its buffer is empty: a whole answer or somebody who has gone. */
	if (send(asker, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_event(a->log, LOG_INFO, "restarted", "text=%s", log_quoted("who asked for it has gone"));
	cleanup_close(&asker);
	asker = -1;
}

void restart_done(struct agent *a)
{
	struct restart *s = a->restart;

	if (!s)
		return;
	if (s->request)
		control_fail(s->request, CONTROL_FAILED, "the agent is stopping");
	forget(s);
}
