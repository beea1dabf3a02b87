/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `explain packet`: one packet of a name, or those of a capture one after the other, each asked about in a request of its
 * own. Called through the verb table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/ask.h"
#include "cli/capture.h"
#include "cli/fields.h"
#include "cli/follow.h"
#include "cli/render.h"
#include "control/control.h"

/* As many bytes as a request has room for; what is behind them is no header. The agent takes as many (EXPLAIN_BYTES_MAX). */
enum { BYTES_MAX = 1900 };

/* The requests of one command. */
struct asking {
	const struct cli_options *o;
	const struct cli_output *to;
	const char *interface;  /* "-": the agent chooses */
	json_int_t copy;        /* of the tables, by the last reply; 0 = none */
};

static int print_reply(struct asking *a, const struct ask_reply *reply)
{
	const struct render render = { .out = a->to->out, .colour = a->to->colour };

	if (a->o->json) {
		fwrite(reply->text, 1, reply->length, a->to->out);
		return ask_code(reply->json);
	}
	if (!field_true(reply->json, "ok"))
		return ask_refused(a->o, a->to, reply->json);
	if (render_explain_packet(reply->json, &render) < 0)
		return ask_give_up(a->o, a->to, CONTROL_FAILED, "out of memory");
	return CONTROL_DONE;
}

static int ask_one(struct asking *a, const char *line)
{
	struct ask_reply reply;
	json_int_t copy;
	int code, r = ask(a->o, line, a->o->verb->timeout_ms, &reply);

	if (r < 0)
		return ask_explain(a->o, a->to, r, a->o->verb->timeout_ms);
	copy = field_number(reply.json, "copy");
	if (a->copy && copy != a->copy && field_true(reply.json, "ok") && !a->o->json)
		fputs("(somebody else asked meanwhile: the packets before are forgotten)\n", a->to->out);
	a->copy = copy;
	code = print_reply(a, &reply);
	ask_reply_done(&reply);
	return code;
}

static int ask_frame(struct asking *a, const uint8_t *bytes, size_t kept, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	char line[CONTROL_REQUEST_MAX + 1], hex[2 * BYTES_MAX + 1];
	const size_t count = kept < BYTES_MAX ? kept : BYTES_MAX;

	for (size_t i = 0; i < count; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * count] = '\0';
	snprintf(line, sizeof(line), "v%d explain frame %s %zu %s %" JSON_INTEGER_FORMAT "\n", CONTROL_PROTOCOL,
		 a->interface, length, hex, a->copy);
	return ask_one(a, line);
}

/* A file's packets. Goes on behind one that is refused: it says so, and the code is the worst. */
static int ask_capture(struct asking *a, const char *path)
{
	char error[CAPTURE_ERROR_MAX];
	struct capture *c;
	size_t kept, length;
	const uint8_t *bytes;
	int r, worst = CONTROL_DONE;

	if (capture_open(path, &c, error) < 0)
		return ask_give_up(a->o, a->to, CONTROL_FAILED, "%s: %s", path, error);
	for (unsigned n = 1; (r = capture_next(c, &bytes, &kept, &length, error)) > 0; n++) {
		int code;

		if (!a->o->json)
			fprintf(a->to->out, "%s--- packet %u of %s\n", n > 1 ? "\n" : "", n, path);
		code = kept ? ask_frame(a, bytes, kept, length) :
			      ask_give_up(a->o, a->to, CONTROL_FAILED, "an empty frame");
		if (code > worst)
			worst = code;
		if (code == CONTROL_NO_AGENT || code == CONTROL_TIMED_OUT)
			break;
	}
	capture_close(c);
	if (r == -E2BIG)
		return ask_give_up(a->o, a->to, CONTROL_FAILED, "%s: only the first %d packets were explained", path,
				   CAPTURE_PACKETS_MAX);
	if (r < 0)
		return ask_give_up(a->o, a->to, CONTROL_FAILED, "%s: %s", path, error);
	return worst;
}

static int ask_named(struct asking *a)
{
	const char *const *word = a->o->words + a->o->verb_words;
	char line[CONTROL_REQUEST_MAX + 1];

	if ((size_t)snprintf(line, sizeof(line), "v%d explain packet %s %s%s%s\n", CONTROL_PROTOCOL, word[0], word[1],
			     a->o->word_count - a->o->verb_words > 2 ? " " : "",
			     a->o->word_count - a->o->verb_words > 2 ? word[2] : "") >= sizeof(line))
		return ask_give_up(a->o, a->to, CONTROL_USAGE, "the command is longer than %d bytes", CONTROL_REQUEST_MAX);
	return ask_one(a, line);
}

int follow_explain_packet(const struct cli_options *o, const struct cli_output *to)
{
	struct asking a = { .o = o, .to = to, .interface = "-" };
	const unsigned words = o->word_count - o->verb_words;
	int worst = CONTROL_DONE;
	unsigned files = 0;

	for (unsigned i = 0; i < o->given_count; i++)
		if (strcmp(o->given[i].name, "--interface") == 0)
			a.interface = o->given[i].value;
		else
			files++;
	if (files ? words != 0 : words < 2)
		return ask_give_up(o, to, CONTROL_USAGE, "explain packet: give SERVICE and SRC:PORT, or --pcap FILE");
	if (!files && o->given_count)
		return ask_give_up(o, to, CONTROL_USAGE, "explain packet: --interface belongs to --pcap");
	if (!files)
		return ask_named(&a);
	for (unsigned i = 0; i < o->given_count && worst != CONTROL_NO_AGENT; i++) {
		int code;

		if (strcmp(o->given[i].name, "--pcap"))
			continue;
		code = ask_capture(&a, o->given[i].value);
		worst = code > worst ? code : worst;
	}
	return worst;
}
