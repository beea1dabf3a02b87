/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets of the checks. Called by attempt.c. Since the handshake's last ACK is held back until there is something
 * to send, a plain TCP check is never seen by the server's application, as with HAProxy.
 */
#include "health/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void wire_init(struct wire *w)
{
	*w = (struct wire){ .fd = -1 };
}

void wire_close(struct wire *w)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };

	tls_close(w->tls);
	if (w->fd >= 0) {
		if (!w->linger && !w->datagram)
			setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
		close(w->fd);
	}
	wire_init(w);
}

static enum wire_outcome failed_connect(struct check_result *ret, int error, bool came_late)
{
	check_result_from_connect(ret, error, came_late);
	return WIRE_FAILED;
}

static enum wire_outcome failed_io(const struct wire *w, struct check_result *ret, int error)
{
	/* What a connected UDP socket tells late is what connect() tells of TCP. */
	if (w->datagram)
		return failed_connect(ret, error, true);
	check_result_from_io(ret, error);
	return WIRE_FAILED;
}

bool wire_is_steered(const struct wire_steer *s)
{
	return s->mark || s->source.family;
}

/* The port is chosen by connect(). An address that no interface has can't be: then it is as if there were none. */
static int use_source(int fd, uint8_t family, const struct addr *source)
{
	const struct endpoint from = { .addr = *source };
	struct sockaddr_storage at;
	socklen_t length = endpoint_to_sockaddr(&from, &at);
	int on = 1;

	if (source->family != family)
		return 0;
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0)
		return -errno;
	return bind(fd, (struct sockaddr *)&at, length) < 0 && errno != EADDRNOTAVAIL ? -errno : 0;
}

/*
 * The local port is taken by bind(), so that no other check has it: connect() would share it between checks of different
 * servers, and the answers of both come from the one address of the service.
 */
static int steer_socket(int fd, uint8_t family, bool datagram, const struct wire_steer *s)
{
	const struct endpoint any = { .addr.family = family };
	const int mss = WIRE_TUNNEL_MSS;
	struct sockaddr_storage at;
	socklen_t length = endpoint_to_sockaddr(&any, &at);

	if (!s->mark)
		return use_source(fd, family, &s->source);
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &s->mark, sizeof(s->mark)) < 0)
		return -errno;
	if (s->tunnel && !datagram && setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) < 0)
		return -errno;
	return bind(fd, (struct sockaddr *)&at, length) < 0 ? -errno : 0;
}

int wire_steered_socket(uint8_t family, const struct wire_steer *steer)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	r = steer_socket(fd, family, false, steer);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

enum wire_outcome wire_open(struct wire *w, const struct talk_way *to, bool datagram, const struct wire_steer *steer,
			    struct check_result *ret)
{
	const int type = (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	struct sockaddr_storage at;
	socklen_t length = endpoint_to_sockaddr(&to->at, &at);
	int off = 0, r;

	w->datagram = datagram;
	w->linger = to->linger;
	w->fd = socket(to->at.addr.family, type, 0);
	if (w->fd < 0)
		return failed_connect(ret, errno, false);
	r = wire_is_steered(steer) ? steer_socket(w->fd, to->at.addr.family, datagram, steer) : 0;
	if (r < 0) {
		check_result_set(ret, CHECK_SOCKERR, strerror(-r));
		return WIRE_FAILED;
	}
	/* Holds the handshake's ACK back: it leaves with the request, or is replaced by the RST. */
	w->hushed = !datagram && !setsockopt(w->fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
	if (!connect(w->fd, (struct sockaddr *)&at, length))
		return WIRE_DONE;
	if (errno == EINPROGRESS || errno == EINTR)
		return WIRE_WANTS_WRITE;
	return failed_connect(ret, errno, false);
}

enum wire_outcome wire_opened(struct wire *w, struct check_result *ret)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	return error ? failed_connect(ret, error, true) : WIRE_DONE;
}

/* While `shaking`, what goes wrong is layer 6's. */
static enum wire_outcome from_tls(enum tls_outcome o, const struct tls_failure *f, bool shaking,
				  struct check_result *ret)
{
	switch (o) {
	case TLS_DONE:
		return WIRE_DONE;
	case TLS_WANTS_READ:
		return WIRE_WANTS_READ;
	case TLS_WANTS_WRITE:
		return WIRE_WANTS_WRITE;
	case TLS_CLOSED:
		return WIRE_CLOSED;
	case TLS_FAILED:
		break;
	}
	if (f->error)
		check_result_from_io(ret, f->error);
	else
		check_result_set(ret, CHECK_L6RSP, f->text);
	if (shaking && ret->code == CHECK_L7RSP)
		ret->code = CHECK_L6RSP;
	return WIRE_FAILED;
}

enum wire_outcome wire_handshake(struct wire *w, const struct tls_peer *p, const struct talk_way *to,
				 struct check_result *ret)
{
	struct tls_failure f = {};
	enum wire_outcome o;

	if (!w->tls)
		w->tls = tls_open(p, w->fd, to->sni, to->alpn);
	if (!w->tls) {
		check_result_set(ret, CHECK_SOCKERR, "out of memory");
		return WIRE_FAILED;
	}
	o = from_tls(tls_handshake(w->tls, &f), &f, true, ret);
	if (o != WIRE_CLOSED)
		return o;
	check_result_set(ret, CHECK_L6RSP, "closed within the TLS handshake");
	return WIRE_FAILED;
}

/* A server that is to speak first must know that somebody is there. */
static void show_up(struct wire *w)
{
	int on = 1;

	if (w->hushed)
		setsockopt(w->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
	w->hushed = false;
}

enum wire_outcome wire_read(struct wire *w, void *buf, size_t size, size_t *ret_count, struct check_result *ret)
{
	struct tls_failure f = {};
	ssize_t n;

	if (w->tls)
		return from_tls(tls_read(w->tls, buf, size, ret_count, &f), &f, false, ret);
	do
		n = recv(w->fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		show_up(w);
		return WIRE_WANTS_READ;
	}
	if (n < 0)
		return failed_io(w, ret, errno);
	if (!n && !w->datagram)
		return WIRE_CLOSED;
	*ret_count = (size_t)n;
	return WIRE_DONE;
}

enum wire_outcome wire_write(struct wire *w, const void *buf, size_t size, size_t *ret_count,
			     struct check_result *ret)
{
	struct tls_failure f = {};
	ssize_t n;

	if (w->tls)
		return from_tls(tls_write(w->tls, buf, size, ret_count, &f), &f, false, ret);
	do
		n = send(w->fd, buf, size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? WIRE_WANTS_WRITE : failed_io(w, ret, errno);
	w->hushed = false;
	*ret_count = (size_t)n;
	return WIRE_DONE;
}
