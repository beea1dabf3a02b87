/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text that grows while it is written: what the metrics and the JSON documents are made with, a piece at a time. Called
 * by metrics/ and web/. Pure. Running out of memory is remembered, not returned: look at `failed` at the end.
 */
#ifndef METRICS_TEXT_H
#define METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	char *data;
	size_t length, capacity;
	bool failed; /* out of memory: the rest was left out */
};

void text_done(struct text *t);
/* Room for `more` bytes behind what is there; NULL when out of memory. */
char *text_reserve(struct text *t, size_t more);

/* In here, as a scrape of thousands of servers calls it millions of times, mostly with a length the compiler knows. */
static inline void text_add(struct text *t, const char *data, size_t length)
{
	char *to = length <= t->capacity - t->length ? t->data + t->length : text_reserve(t, length);

	if (!to || !length)
		return;
	memcpy(to, data, length);
	t->length += length;
}

void text_puts(struct text *t, const char *string);
/* A literal. */
#define text_lit(t, literal) text_add((t), "" literal, sizeof(literal) - 1)
void text_u64(struct text *t, uint64_t value);
void text_i64(struct text *t, int64_t value);
/* A count of 10^-digits units as a decimal number without trailing zeros: (1500, 3) is 1.5. digits <= 9. */
void text_decimal(struct text *t, uint64_t value, unsigned digits);
/* part / whole with six digits behind the point; whole > 0. */
void text_ratio(struct text *t, uint64_t part, uint64_t whole);

/* The value of a Prometheus label: `\`, `"` and newline escaped; bytes that are not UTF-8 become '?'. */
void text_label(struct text *t, const char *value);
/* A JSON string with its quotes; bytes that are not UTF-8 become '?'. */
void text_json(struct text *t, const char *value);

#endif
