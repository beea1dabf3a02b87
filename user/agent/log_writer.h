/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines to a stream that may block for ever (a pipe nobody reads, a stopped terminal, a frozen file system), by a
 * thread behind a bounded queue. Called by log.c for stdout and stderr. The flags of the descriptor are left alone:
 * other processes share it.
 */
#ifndef AGENT_LOG_WRITER_H
#define AGENT_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_writer;

/*
 * fd: stays the caller's and must outlive it. journal: lines have <N> in front. queue_max: bytes that may wait.
 * 0 or -errno.
 */
int log_writer_new(int fd, bool journal, size_t queue_max, struct log_writer **ret);
/* Takes NULL. Waits flush_ms at most for what is queued to be taken; the rest is dropped. */
void log_writer_free(struct log_writer *w, unsigned flush_ms);
/* Queues one line, without its newline; false when it was dropped. Never waits. */
bool log_writer_put(struct log_writer *w, int level, const char *line, size_t length);
/* Has everything been taken, or dropped? */
bool log_writer_is_idle(struct log_writer *w);
/* Lines dropped so far, by a full queue or a failed write. */
uint64_t log_writer_dropped(struct log_writer *w);

#endif
