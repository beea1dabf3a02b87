/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

int control_text_add(struct control_text *t, const char *data, size_t length)
{
	if (length > t->limit - t->length)
		return -EFBIG;
	if (t->length + length > t->capacity) {
		size_t wanted = t->capacity ? t->capacity : 1024;
		char *grown;

		while (wanted < t->length + length)
			wanted *= 2;
		grown = realloc(t->data, wanted);
		if (!grown)
			return -ENOMEM;
		t->data = grown;
		t->capacity = wanted;
	}
	memcpy(t->data + t->length, data, length);
	t->length += length;
	return 0;
}

struct sink {
	struct control_text *text;
	int error;
};

static int take(const char *data, size_t length, void *ctx)
{
	struct sink *s = ctx;

	s->error = control_text_add(s->text, data, length);
	return s->error < 0 ? -1 : 0;
}

int control_text_add_json(struct control_text *t, const json_t *j)
{
	struct sink s = { .text = t };

	if (json_dump_callback(j, take, &s, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		return s.error < 0 ? s.error : -ENOMEM;
	return 0;
}

void control_text_done(struct control_text *t)
{
	free(t->data);
	t->data = NULL;
	t->length = t->capacity = 0;
}

json_t *control_string(const char *text)
{
	_cleanup_free_ char *safe = NULL;
	json_t *j = json_string(text);

	if (j)
		return j;
	safe = strdup(text);
	if (!safe)
		return NULL;
	for (char *c = safe; *c; c++)
		if (*c & 0x80)
			*c = '?';
	return json_string(safe);
}

static json_int_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Members in front, so that a reader sees at once what it is; the rest's own of the same names do not overrule them. */
static json_t *merge(json_t *front, json_t *rest)
{
	if (front && rest && json_object_update_missing(front, rest) < 0) {
		json_decref(front);
		front = NULL;
	}
	json_decref(rest);
	return front;
}

json_t *control_success(json_t *body)
{
	return merge(json_pack("{s:b, s:I}", "ok", 1, "now_ms", now_ms()), body);
}

json_t *control_failure(enum control_code code, const char *error, json_t *details)
{
	return merge(json_pack("{s:b, s:I, s:i, s:o}", "ok", 0, "now_ms", now_ms(), "code", (int)code, "error",
			       control_string(error)),
		     details);
}
