/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replies as text: JSON documents into a growing buffer, whole or in pieces. Pure: called by peer.c; sends nothing.
 */
#ifndef CONTROL_REPLY_H
#define CONTROL_REPLY_H

#include "control/control.h"

struct control_text {
	char *data;
	size_t length, capacity, limit;
};

/* Appends. 0, -EFBIG above the limit, -ENOMEM; what was appended before stays. */
int control_text_add(struct control_text *t, const char *data, size_t length);
int control_text_add_json(struct control_text *t, const json_t *j);
void control_text_done(struct control_text *t);

/* {"ok":true,"now_ms":...} and body's members after it; takes body, which may be NULL. NULL when out of memory. */
json_t *control_success(json_t *body);
json_t *control_failure(enum control_code code, const char *error, json_t *details);

#endif
