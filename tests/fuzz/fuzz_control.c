/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket as a client sees it: whatever is sent, one JSON document comes back, or nothing, and it closes. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/control.h"
#include "fuzz/fuzz.h"

static struct event_base *base;
static struct control *control;
static struct sockaddr_un at = { .sun_family = AF_UNIX };

static void answer(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	json_t *words = json_array();

	for (unsigned i = 0; i < argc; i++)
		json_array_append_new(words, control_string(argv[i]));
	control_reply(r, json_pack("{s:o}", "words", words));
}

static void refuse(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	control_fail(r, CONTROL_FAILED, "%s: no", argc ? argv[0] : "-");
}

static const struct control_verb verbs[] = {
	{ "status", "[WORD ...]", 0, 8, MODEL_LEVEL_USER, answer },
	{ "server drain", "BACKEND/SERVER", 1, 1, MODEL_LEVEL_ADMIN, refuse },
};

static void begin(void)
{
	char folder[sizeof(at.sun_path) - 2];

	fuzz_folder(folder, sizeof(folder));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", folder);
	base = event_base_new();
	demand(base && control_new(base, &(struct model_stats_socket){ .mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1 },
				   at.sun_path, verbs, array_size(verbs), NULL, &control) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char reply[1 << 20];
	size_t length = 0;
	ssize_t n = -1;
	int fd;

	if (!control)
		begin();
	if (size > 2 * CONTROL_REQUEST_MAX)
		return 0;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	demand(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	if (size && send(fd, data, size, MSG_NOSIGNAL) < 0)
		size = 0;
	shutdown(fd, SHUT_WR);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (unsigned turns = 0; n != 0; turns++) {
		demand(turns < 1000); /* it never closes */
		event_base_loop(base, EVLOOP_NONBLOCK);
		while (length < sizeof(reply) && (n = recv(fd, reply + length, sizeof(reply) - length, 0)) > 0)
			length += (size_t)n;
		if (n < 0 && errno == ECONNRESET)
			break;
	}
	close(fd);
	if (length) {
		json_t *j = json_loadb(reply, length, JSON_REJECT_DUPLICATES, NULL);

		demand(json_is_boolean(json_object_get(j, "ok")) && reply[length - 1] == '\n');
		json_decref(j);
	}
	return 0;
}
