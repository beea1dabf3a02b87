/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells the service manager how the agent is: sd_notify over $NOTIFY_SOCKET. Called by the agent. Without a service
 * manager every call does nothing and returns 0. A datagram to a local socket: it waits only if systemd itself hangs
 * with a full queue.
 */
#ifndef AGENT_READY_H
#define AGENT_READY_H

enum { READY_STATUS_MAX = 256 }; /* bytes of a status line */

/* Sends lines of sd_notify's protocol as they are ("READY=1"). 0 or -errno. */
int ready_notify(const char *state);

/* Started, or reloaded. status: a line for `systemctl status`, may be NULL; so below. 0 or -errno. */
int ready_started(const char *status);
/* A reload has begun: RELOADING=1 with the monotonic time; ends with ready_started(), whether it worked or not. */
int ready_reloading(void);
int ready_stopping(const char *status);
/* Cut at READY_STATUS_MAX; a newline or control character in it becomes a blank. */
int ready_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
