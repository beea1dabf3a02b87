/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/log_datagram.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/log_text.h"

#define TAG "alwaysond"

enum { HEADER_MAX = 160 };

void log_datagram_init(struct log_datagram *d, const struct model_log *from)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&d->to;

	*d = (struct log_datagram){
		.fd = -1,
		.udp = from->kind == MODEL_LOG_UDP,
		.facility = from->facility,
		.length_max = from->length_max,
	};
	if (d->udp) {
		d->to_length = endpoint_to_sockaddr(&from->at, &d->to);
		/* RFC 3164, 4.1.2: the name without its domain. */
		if (gethostname(d->host, sizeof(d->host) - 1) < 0 || !d->host[0])
			strcpy(d->host, "-");
		d->host[strcspn(d->host, ".")] = '\0';
		return;
	}
	un->sun_family = AF_UNIX;
	snprintf(un->sun_path, sizeof(un->sun_path), "%s", from->path);
	d->to_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(un->sun_path) + 1);
}

void log_datagram_done(struct log_datagram *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static int open_socket(struct log_datagram *d)
{
	d->fd = socket(d->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		return -errno;
	if (connect(d->fd, (const struct sockaddr *)&d->to, d->to_length) < 0) {
		int r = -errno;

		log_datagram_done(d);
		return r;
	}
	return 0;
}

/* RFC 3164: <PRI>Mmm dd hh:mm:ss [HOST ]TAG[PID]: ; local time, English months whatever the locale. */
static size_t header(const struct log_datagram *d, int level, char buf[static HEADER_MAX])
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL);
	struct tm t = {};

	localtime_r(&now, &t);
	return (size_t)snprintf(buf, HEADER_MAX, "<%u>%s %2d %02d:%02d:%02d %s%s" TAG "[%d]: ",
				d->facility << 3 | (unsigned)level, months[t.tm_mon % 12], t.tm_mday, t.tm_hour, t.tm_min,
				t.tm_sec, d->host, d->host[0] ? " " : "", (int)getpid());
}

static int send_once(struct log_datagram *d, int level, const char *line, size_t length)
{
	char datagram[HEADER_MAX + LOG_LINE_MAX];
	size_t n = header(d, level, datagram);

	if (length > LOG_LINE_MAX)
		length = LOG_LINE_MAX;
	memcpy(datagram + n, line, length);
	n += length;
	if (n > d->length_max)
		n = log_text_mark_cut(datagram, d->length_max);
	return send(d->fd, datagram, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The receiver's queue is full: connecting anew would not help. */
static bool is_full(int r)
{
	return r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM;
}

int log_datagram_send(struct log_datagram *d, int level, const char *line, size_t length)
{
	int r, again;

	r = d->fd < 0 ? open_socket(d) : 0;
	if (r < 0)
		return r;
	r = send_once(d, level, line, length);
	if (r == 0)
		return 0;
	if (is_full(r))
		return -EAGAIN;
	if (d->udp && r == -ECONNREFUSED) {
		/* The answer to an earlier datagram; reading it has cleared it. */
		again = send_once(d, level, line, length);
		return again < 0 && !is_full(again) ? again : r;
	}
	/* A restarted daemon has a new socket behind the same path; an interface may have got a new address. */
	log_datagram_done(d);
	again = open_socket(d);
	if (again == 0)
		again = send_once(d, level, line, length);
	if (again < 0 && !is_full(again))
		log_datagram_done(d);
	return is_full(again) ? -EAGAIN : again;
}
