/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/ready.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

int ready_notify(const char *state)
{
	int r = sd_notify(0, state);

	return r < 0 ? r : 0;
}

/* A newline would begin another variable of the protocol. */
static void one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
}

static int notify_with_status(const char *state, const char *status)
{
	char text[READY_STATUS_MAX], message[READY_STATUS_MAX + 64];

	if (!status)
		return ready_notify(state);
	snprintf(text, sizeof(text), "%s", status);
	one_line(text);
	snprintf(message, sizeof(message), "%s%sSTATUS=%s", state, *state ? "\n" : "", text);
	return ready_notify(message);
}

int ready_started(const char *status)
{
	return notify_with_status("READY=1", status);
}

int ready_reloading(void)
{
	char message[64];
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000);
	return ready_notify(message);
}

int ready_stopping(const char *status)
{
	return notify_with_status("STOPPING=1", status);
}

int ready_status(const char *format, ...)
{
	char text[READY_STATUS_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return notify_with_status("", text);
}
