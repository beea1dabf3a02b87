/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "ALWAYSON_HANDOVER" /* PID NAME=FD NAME=FD ... */

enum { FIRST_FD = 3, TEXT_MAX = HANDOVER_MAX * (HANDOVER_NAME_MAX + 16) + 32 };

static struct handed {
	char name[HANDOVER_NAME_MAX + 1];
	int fd;
} list[HANDOVER_MAX];
static unsigned count;

void handover_receive(void)
{
	const char *value = getenv(VARIABLE);
	char text[TEXT_MAX], *word, *rest;

	count = 0;
	if (!value)
		return;
	snprintf(text, sizeof(text), "%s", value);
	unsetenv(VARIABLE);
	word = strtok_r(text, " ", &rest);
	if (!word || strtol(word, NULL, 10) != getpid())
		return;
	while (count < HANDOVER_MAX && (word = strtok_r(NULL, " ", &rest))) {
		struct handed *h = &list[count];

		if (sscanf(word, "%31[^=]=%d", h->name, &h->fd) == 2 && h->fd >= FIRST_FD &&
		    fcntl(h->fd, F_SETFD, FD_CLOEXEC) == 0)
			count++;
	}
}

int handover_take(const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		int fd = list[i].fd;

		if (strcmp(list[i].name, name) != 0)
			continue;
		list[i] = list[--count];
		return fd;
	}
	return -1;
}

void handover_finish(void)
{
	while (count)
		close(list[--count].fd);
}

bool handover_give(const char *name, int fd)
{
	if (fd < 0)
		return true;
	if (count == HANDOVER_MAX || strlen(name) > HANDOVER_NAME_MAX)
		return false;
	snprintf(list[count].name, sizeof(list[count].name), "%s", name);
	list[count++].fd = fd;
	return true;
}

int handover_commit(void)
{
	char text[TEXT_MAX];
	size_t used = snprintf(text, sizeof(text), "%d", (int)getpid());

	if (close_range(FIRST_FD, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
		int r = -errno;

		handover_abandon();
		return r;
	}
	for (unsigned i = 0; i < count; i++) {
		used += snprintf(text + used, sizeof(text) - used, " %s=%d", list[i].name, list[i].fd);
		fcntl(list[i].fd, F_SETFD, 0);
	}
	if (setenv(VARIABLE, text, 1) < 0) {
		handover_abandon();
		return -ENOMEM;
	}
	return 0;
}

void handover_abandon(void)
{
	while (count)
		fcntl(list[--count].fd, F_SETFD, FD_CLOEXEC);
	unsetenv(VARIABLE);
}
