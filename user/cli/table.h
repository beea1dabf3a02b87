/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of text whose columns are as wide as what they hold. Filled cell by cell, row by row, and printed once.
 * Used by the renderers. Cells are made safe for a terminal: what a backend or a file says can't steer it.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

enum table_align { TABLE_LEFT, TABLE_RIGHT };
enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD };

struct table_column {
	const char *title; /* NULL in all of them: no header line */
	enum table_align align;
};

/* columns must outlive the table. NULL when out of memory; all functions take NULL. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *t);
void table_cell(struct table *t, enum tone tone, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A member of a JSON object: text or number as it is, as bytes, as a duration; "-" where it is missing or null. */
void table_member(struct table *t, enum tone tone, const json_t *object, const char *key);
void table_bytes(struct table *t, const json_t *object, const char *key);
void table_duration(struct table *t, const json_t *object, const char *key);
/* How long ago a wall-clock member was, as seen at now_ms; "-" when it is 0. */
void table_age(struct table *t, const json_t *object, const char *key, json_int_t now_ms);
/* Prints the rows; indent blanks in front. 0 or -ENOMEM when a cell was lost on the way. */
int table_print(const struct table *t, unsigned indent, bool colour, FILE *to);

/* Writes text without what a terminal would act on. */
void print_safe(FILE *to, const char *text);
/* The same in a tone. */
void print_toned(FILE *to, bool colour, enum tone tone, const char *text);

#endif
