/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `alwayson top`: rates, shares and states, drawn anew each second on the terminal, or once for scripts. Called through
 * the verb table. Owns the terminal while it runs and gives it back as it was, however it ends; must not scroll it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/ask.h"
#include "cli/fields.h"
#include "cli/follow.h"
#include "cli/render.h"
#include "cli/sample.h"

enum { INTERVAL_MS = 1000 };

/* The other screen, no cursor; and back. */
#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_END "\033[?25h\033[?1049l"

static volatile sig_atomic_t ended, resized;

static void on_end(int number)
{
	ended = number;
}

static void on_resize(int number)
{
	resized = 1;
}

/* ---- one frame, cut to the terminal ---- */

/* Bytes of a line that fill at most `width` columns; colours take none, a UTF-8 character takes one. */
static size_t fitting(const char *line, size_t length, size_t width)
{
	size_t i = 0, columns = 0;

	while (i < length) {
		if (line[i] == '\033') {
			while (i < length && line[i] != 'm')
				i++;
			i += i < length;
			continue;
		}
		if ((line[i] & 0xc0) != 0x80 && ++columns > width)
			break;
		i++;
	}
	return i;
}

void top_cut(const char *text, unsigned rows, unsigned columns, FILE *to)
{
	unsigned row = 0, lines = 0;

	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	fputs("\033[H", to);
	for (const char *line = text; *line && row < rows; row++) {
		const size_t length = strcspn(line, "\n");

		if (row + 1 == rows && lines > rows) {
			char more[64];

			snprintf(more, sizeof(more), "... %u more lines; `alwayson top --once` has them all",
				 lines - row);
			fprintf(to, "%.*s\033[K", (int)fitting(more, strlen(more), columns), more);
			return;
		}
		fprintf(to, "%.*s\033[0m\033[K%s", (int)fitting(line, length, columns), line,
			row + 1 < rows ? "\r\n" : "");
		line += length + (line[length] == '\n');
	}
	if (row < rows)
		fputs("\033[J", to);
}

static void draw(const char *text, FILE *to)
{
	struct winsize size = {};

	if (ioctl(fileno(to), TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	top_cut(text, size.ws_row, size.ws_col, to);
	fflush(to);
}

/* ---- the terminal ---- */

static void set_signals(void (*end)(int), void (*resize)(int))
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = end }; /* no SA_RESTART: poll() is to end */

	for (size_t i = 0; i < array_size(numbers); i++)
		sigaction(numbers[i], &action, NULL);
	action.sa_handler = resize;
	sigaction(SIGWINCH, &action, NULL);
}

static void screen_begin(FILE *to, struct termios *ret_before)
{
	struct termios raw;

	set_signals(on_end, on_resize);
	if (tcgetattr(STDIN_FILENO, ret_before) == 0) {
		raw = *ret_before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	fputs(SCREEN_BEGIN, to);
}

static void screen_end(FILE *to, const struct termios *before)
{
	fputs(SCREEN_END, to);
	fflush(to);
	tcsetattr(STDIN_FILENO, TCSANOW, before);
	set_signals(SIG_DFL, SIG_DFL);
}

/* Waits for the next sample's time. True when the user has had enough. */
static bool wait_for_key(const char *text, FILE *to)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	while (!ended) {
		struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
		long left;
		char key;

		clock_gettime(CLOCK_MONOTONIC, &now);
		left = INTERVAL_MS - (now.tv_sec - end.tv_sec) * 1000 - (now.tv_nsec - end.tv_nsec) / 1000000;
		if (left <= 0)
			return false;
		if (poll(&p, 1, (int)left) > 0 && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q'))
			return true;
		if (resized) {
			resized = 0;
			draw(text, to);
		}
	}
	return true;
}

/* ---- samples ---- */

static int frame(const json_t *sample, bool colour, char **ret)
{
	size_t length;
	struct render to = { .colour = colour };
	int r;

	*ret = NULL;
	to.out = open_memstream(ret, &length);
	if (!to.out)
		return -ENOMEM;
	r = render_top(sample, &to);
	return fclose(to.out) ? -ENOMEM : r;
}

static int failed(const struct cli_options *o, const struct cli_output *to, int r, json_t *reply)
{
	int code = r > 0 ? ask_refused(o, to, reply) : ask_explain(o, to, r, CLI_ANSWER_MS);

	json_decref(r > 0 ? reply : NULL);
	return code;
}

static int put(const struct cli_options *o, const struct cli_output *to, const json_t *sample)
{
	const struct render render = { .out = to->out, .colour = to->colour };

	if (!o->json)
		return render_top(sample, &render);
	json_dumpf(sample, to->out, JSON_COMPACT);
	fputc('\n', to->out);
	return 0;
}

/* For scripts: once, or with -j one document after the other. */
static int top_plain(const struct cli_options *o, const struct cli_output *to, json_t *before)
{
	const struct timespec pause = { .tv_sec = INTERVAL_MS / 1000 };
	json_t *now = NULL;
	bool written;
	int r;

	do {
		nanosleep(&pause, NULL);
		r = sample_take(o, &now);
		if (r) {
			json_decref(before);
			return failed(o, to, r, now);
		}
		sample_rates(before, now);
		r = put(o, to, now);
		json_decref(before);
		before = now;
		written = fflush(to->out) == 0;
	} while (!*o->value && written && r == 0);
	json_decref(before);
	if (r < 0)
		return ask_give_up(o, to, CONTROL_FAILED, "out of memory");
	return written ? CONTROL_DONE : CONTROL_FAILED;
}

/* An agent that has gone is waited for: the last picture stays, and says so. */
static void draw_next(const struct cli_options *o, const struct cli_output *to, json_t **before, char **text)
{
	json_t *now = NULL;
	char *next = NULL;
	int r = sample_take(o, &now);

	if (r) {
		json_decref(r > 0 ? now : NULL);
		if (asprintf(&next, "the agent at %s does not answer; waiting for it\n", o->socket) < 0)
			next = NULL;
	} else {
		sample_rates(*before, now);
		json_decref(*before);
		*before = now;
		if (frame(now, to->colour, &next) < 0) {
			free(next);
			next = NULL;
		}
	}
	if (next) {
		free(*text);
		*text = next;
	}
	draw(*text ? *text : "out of memory\n", to->out);
}

static int top_live(const struct cli_options *o, const struct cli_output *to, json_t *before)
{
	struct termios terminal = {};
	char *text = NULL;

	if (frame(before, to->colour, &text) < 0)
		return ask_give_up(o, to, CONTROL_FAILED, "out of memory");
	screen_begin(to->out, &terminal);
	draw(text, to->out);
	while (!wait_for_key(text, to->out))
		draw_next(o, to, &before, &text);
	screen_end(to->out, &terminal);
	free(text);
	json_decref(before);
	/* As who was killed, for the shell's sake; q and Ctrl-C are how it is meant to end. */
	if (ended && ended != SIGINT)
		raise(ended);
	return CONTROL_DONE;
}

int follow_top(const struct cli_options *o, const struct cli_output *to)
{
	json_t *first = NULL;
	int r;

	if (!o->json && !*o->value && (fileno(to->out) != STDOUT_FILENO || !isatty(STDOUT_FILENO) ||
				       !isatty(STDIN_FILENO)))
		return ask_give_up(o, to, CONTROL_USAGE, "top needs a terminal; `top --once` prints the tables once");
	r = sample_take(o, &first);
	if (r)
		return failed(o, to, r, first);
	return o->json || *o->value ? top_plain(o, to, first) : top_live(o, to, first);
}
