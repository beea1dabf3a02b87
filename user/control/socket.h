/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket as a file: made, permitted, recognised and removed. Called by control.c only; accepts nothing.
 */
#ifndef CONTROL_SOCKET_H
#define CONTROL_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

struct control_socket {
	int fd;                                                  /* listens, non-blocking */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device;                                            /* of the file that is ours */
	ino_t inode;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* Creates, permits, listens: in this order, so that nobody gets in under wider permissions. Errors: control_new(). */
int control_socket_open(struct control_socket *ret, const char *path, mode_t mode, uid_t uid, gid_t gid);
/* Changes permissions in place. 0; on -errno they are as before. */
int control_socket_permit(struct control_socket *s, mode_t mode, uid_t uid, gid_t gid);
/* Whether the file at the path is still the one that was opened. */
bool control_socket_is_ours(const struct control_socket *s);
/* Closes, and removes the file if it is still ours. */
void control_socket_close(struct control_socket *s);

#endif
