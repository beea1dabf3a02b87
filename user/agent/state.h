/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What outlives the agent, and the lock that makes it the only one of its name: STATE_DIR/NAME.json and NAME.lock.
 * Owned by the agent. Does not know what the state means. The file is written and synced by a thread, never on the
 * loop; all functions are called from the loop's thread alone.
 */
#ifndef AGENT_STATE_H
#define AGENT_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define STATE_DIR_DEFAULT "/var/lib/alwayson"

enum state_limit {
	STATE_ERROR_MAX = 512,
	STATE_FILE_MAX = 64 << 20, /* bytes; a longer file is a damaged one */
	STATE_CLOSE_MS = 10000,    /* how long state_close() waits for a disk */
	STATE_RETRY_S = 2,         /* how often what could not be saved is tried again */
};

struct event_base;
struct state;

struct state_ops {
	/*
	 * Saving began to fail (error: -errno; text says it with the path) or works again (error 0). Told at the change
	 * only, from the loop; may call anything but state_close().
	 */
	void (*on_save)(int error, const char *text, void *ctx);
	void *ctx;
};

/*
 * Opens the state directory (NULL = STATE_DIR_DEFAULT; created 0700 when missing, one level) and takes the lock of the
 * instance, which lasts until state_close() or the process's end or exec, and is not inherited by children.
 * 0; -EBUSY: a process has the lock, error names it; -EROFS, -EACCES, -ENOENT and so on: the directory can't be used,
 * and the caller may go on without. -EACCES too when it belongs to another user or others may write to it.
 * One state of a name a process.
 */
int state_open(const char *dir, const char *name, struct state **ret, char error[static STATE_ERROR_MAX]);
/* Takes NULL. Waits for a save under way, STATE_CLOSE_MS at most. 0, or -errno of the last save, -ETIMEDOUT. */
int state_close(struct state *s);

/*
 * Reads what was saved: an object. Blocks: for the start. 0 and a new reference; -ENOENT: none yet; -EINVAL: damaged,
 * moved aside to NAME.json.bad as error says; or -errno with error.
 */
int state_load(struct state *s, json_t **ret, char error[static STATE_ERROR_MAX]);

/* Starts the thread that saves; before the first state_save(). ops is copied. 0 or -errno. */
int state_start(struct state *s, struct event_base *base, const struct state_ops *ops);
/*
 * Has the file replaced by this, atomically (temporary file, fsync, rename). Takes over the reference, which must be
 * the only one to the tree and to all its parts: another thread writes it out. NULL (out of memory while it was built)
 * counts as a failure. A save that has not begun when the next one comes is skipped: the latest wins.
 */
void state_save(struct state *s, json_t *j);
/* Is what was given last on the disk, or has failed to get there? */
bool state_is_saved(struct state *s);
/* Since state_start(). */
uint64_t state_saves(struct state *s);
uint64_t state_save_failures(struct state *s);

/* The directory's path and a descriptor of it, for what else lives there (secret.c). Both end with the state. */
const char *state_dir(const struct state *s);
int state_dir_fd(const struct state *s);

#endif
