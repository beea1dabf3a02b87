/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/ask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"

int ask_give_up(const struct cli_options *o, const struct cli_output *to, enum control_code code,
		const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	json_t *reply = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (o->json && text)
		reply = json_pack("{s:b, s:i, s:o}", "ok", 0, "code", (int)code, "error", control_string(text));
	if (reply) {
		json_dumpf(reply, to->out, JSON_COMPACT);
		fputc('\n', to->out);
	} else {
		fputs("alwayson: ", to->err);
		print_safe(to->err, text ? text : "out of memory");
		fputc('\n', to->err);
	}
	json_decref(reply);
	return code;
}

int ask(const struct cli_options *o, const char *line, uint64_t timeout_ms, struct ask_reply *ret)
{
	_cleanup_free_ char *text = NULL;
	json_t *json;
	size_t length;
	int r = client_request(o->socket, line, timeout_ms, &text, &length);

	if (r < 0)
		return r;
	json = json_loadb(text, length, 0, NULL);
	if (!json_is_boolean(json_object_get(json, "ok"))) {
		json_decref(json);
		return -EBADMSG;
	}
	*ret = (struct ask_reply){ .json = json, .text = take_ptr(text), .length = length };
	return 0;
}

void ask_reply_done(struct ask_reply *r)
{
	json_decref(r->json);
	free(r->text);
	*r = (struct ask_reply){};
}

int ask_code(const json_t *reply)
{
	json_int_t code = field_number(reply, "code");

	if (field_true(reply, "ok"))
		return CONTROL_DONE;
	return code > CONTROL_DONE && code <= CONTROL_TIMED_OUT ? (int)code : CONTROL_FAILED;
}

int ask_explain(const struct cli_options *o, const struct cli_output *to, int error, uint64_t timeout_ms)
{
	const char *path = o->socket;

	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		return ask_give_up(o, to, CONTROL_NO_AGENT,
			       "no agent at %s: %s. Start it with `systemctl start alwaysond` or `alwaysond -f FILE -i "
			       "INTERFACE`; if it runs elsewhere, give --name N or -s SOCKET", path,
			       error == -ENOENT ? "there is no such socket" : "nobody listens there");
	case -ENOTSOCK:
		return ask_give_up(o, to, CONTROL_NO_AGENT,
			       "no agent at %s: it is not a socket; see -s SOCKET and --name N", path);
	case -ENAMETOOLONG:
		return ask_give_up(o, to, CONTROL_USAGE, "%s: a socket's path has at most 107 bytes", path);
	case -EACCES:
	case -EPERM:
		return ask_give_up(o, to, CONTROL_FAILED,
			       "permission denied at %s: run this as root, or as a member of the group that the "
			       "configuration's `stats socket` line names", path);
	case -ETIMEDOUT:
		return ask_give_up(o, to, CONTROL_TIMED_OUT,
			       "the agent at %s did not answer within %" PRIu64 " s; it may be stopped or overloaded",
			       path, timeout_ms / 1000);
	case -EFBIG:
		return ask_give_up(o, to, CONTROL_FAILED, "the answer is larger than 64 MiB; ask for less (--limit N)");
	case -EPROTO:
		return ask_give_up(o, to, CONTROL_FAILED,
			       "the agent at %s closed the connection before its answer was complete; see its log",
			       path);
	case -EBADMSG:
		return ask_give_up(o, to, CONTROL_FAILED,
			       "what came from %s is not an agent's answer: does alwaysond listen there?", path);
	default:
		return ask_give_up(o, to, CONTROL_FAILED, "%s: %s", path, strerror(-error));
	}
}

int ask_refused(const struct cli_options *o, const struct cli_output *to, const json_t *reply)
{
	render_messages(reply, to->err);
	return ask_give_up(o, to, ask_code(reply), "%s", field_text(reply, "error"));
}
