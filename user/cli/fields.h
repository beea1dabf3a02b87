/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members of a reply, with a harmless value where one is missing. Used by the renderers only.
 */
#ifndef CLI_FIELDS_H
#define CLI_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

/* The string, or "-" when it is missing, null or empty. */
static inline const char *field_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : "-";
}

static inline json_int_t field_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static inline bool field_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static inline bool field_is(const json_t *object, const char *key, const char *value)
{
	return strcmp(field_text(object, key), value) == 0;
}

#endif
