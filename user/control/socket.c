/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/handover.h"

enum { BACKLOG = 128 };

static int address_of(const char *path, struct sockaddr_un *ret)
{
	if (!*path)
		return -EINVAL;
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	strcpy(ret->sun_path, path);
	return 0;
}

/* One level only: a missing grandparent is more likely a typing error than a wish. */
static int make_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (!slash || slash == path)
		return 0;
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	if (mkdir(folder, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	/* Against a narrow umask. The folder is ours and new: nobody else can have replaced it but its owner. */
	return chmod(folder, 0755) < 0 ? -errno : 0;
}

/*
 * Whoever listens at the other end has been killed: its threads are still giving its memory back, and its socket is not
 * closed before they have. pid: of who called listen(); 0 when it is of another PID namespace.
 */
static bool is_killed(int fd)
{
	_cleanup_fclose_ FILE *f = NULL;
	struct ucred peer = {};
	socklen_t size = sizeof(peer);
	char path[32], state = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)peer.pid);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT && kill(peer.pid, 0) < 0 && errno == ESRCH;
	return fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && (state == 'Z' || state == 'X');
}

/* 0 when the path is free or was freed; -EADDRINUSE when somebody listens there. */
static int remove_stale(const struct sockaddr_un *at)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(at->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: the listener's backlog is full, so there is one. */
	if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0) {
		if (!is_killed(fd))
			return -EADDRINUSE;
		return unlink(at->sun_path) < 0 && errno != ENOENT ? -errno : 0;
	}
	if (errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED && errno != ENOENT)
		return -errno;
	return unlink(at->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* A socket that the former program has left us, if it is the one that path leads to. False: there is none. */
static bool take_inherited(struct control_socket *s, const char *path)
{
	_cleanup_close_ int fd = handover_take("control");
	struct sockaddr_un at = {};
	socklen_t length = sizeof(at);
	int listens = 0;
	socklen_t size = sizeof(listens);
	struct stat st;

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &length) < 0 || at.sun_family != AF_UNIX ||
	    strncmp(at.sun_path, path, sizeof(at.sun_path)) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens || lstat(path, &st) < 0 ||
	    !S_ISSOCK(st.st_mode))
		return false;
	*s = (struct control_socket){ .fd = fd, .mode = st.st_mode & 07777, .uid = st.st_uid, .gid = st.st_gid,
				      .device = st.st_dev, .inode = st.st_ino };
	strcpy(s->path, path);
	fd = -1;
	return true;
}

int control_socket_open(struct control_socket *ret, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	struct control_socket s = { .fd = -1, .mode = mode, .uid = uid, .gid = gid };
	struct sockaddr_un at;
	struct stat st;
	int r;

	r = address_of(path, &at);
	if (r < 0)
		return r;
	if (take_inherited(&s, path)) {
		r = control_socket_permit(&s, mode, uid, gid);
		if (r < 0)
			control_socket_close(&s);
		else
			*ret = s;
		return r;
	}
	r = make_folder_of(path);
	if (r < 0)
		return r;
	r = remove_stale(&at);
	if (r < 0)
		return r;
	s.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s.fd < 0)
		return -errno;
	strcpy(s.path, path);
	/*
	 * The kernel gives the file the socket's own mode less the umask, so the file is born narrow whatever the umask
	 * is (which belongs to the whole process and is not ours to change). chmod before chown: once the file is
	 * another user's, he may put something else in its place. Nobody can connect before listen().
	 */
	if (fchmod(s.fd, 0600) < 0 || bind(s.fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		r = -errno;
		close(s.fd);
		return r;
	}
	if (lstat(path, &st) < 0) {
		r = -errno;
		close(s.fd);
		return r;
	}
	s.device = st.st_dev;
	s.inode = st.st_ino;
	if (fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) < 0 ||
	    ((st.st_uid != uid || st.st_gid != gid) && lchown(path, uid, gid) < 0) || listen(s.fd, BACKLOG) < 0) {
		r = -errno;
		control_socket_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int control_socket_permit(struct control_socket *s, mode_t mode, uid_t uid, gid_t gid)
{
	bool moves = uid != s->uid || gid != s->gid;
	int r;

	if (!moves && mode == s->mode)
		return 0;
	/* Through what both allow: neither the old owner gets the new mode nor the new one the old mode. */
	if (moves && fchmodat(AT_FDCWD, s->path, mode & s->mode, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (moves && lchown(s->path, uid, gid) < 0) {
		r = -errno;
		goto restore_mode;
	}
	if (fchmodat(AT_FDCWD, s->path, mode, AT_SYMLINK_NOFOLLOW) < 0) {
		r = -errno;
		goto restore_owner;
	}
	s->mode = mode;
	s->uid = uid;
	s->gid = gid;
	return 0;

restore_owner:
	if (moves && lchown(s->path, s->uid, s->gid) < 0)
		return r;
restore_mode:
	if (fchmodat(AT_FDCWD, s->path, s->mode, AT_SYMLINK_NOFOLLOW) < 0)
		return r;
	return r;
}

bool control_socket_is_ours(const struct control_socket *s)
{
	struct stat st;

	return lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode;
}

void control_socket_close(struct control_socket *s)
{
	if (s->fd < 0)
		return;
	if (control_socket_is_ours(s))
		unlink(s->path);
	close(s->fd);
	s->fd = -1;
}
