/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files that write a model as JSON call of each other. Not for others.
 */
#ifndef MODEL_MODEL_INTERNAL_H
#define MODEL_MODEL_INTERNAL_H

#include <jansson.h>

#include "model/model.h"

/* model_json.c: bytes that may be no UTF-8; null for NULL. */
json_t *model_path_json(const char *path);
/* model_check_json.c: a backend's check; NULL when out of memory. */
json_t *model_check_json(const struct model_backend *b);
/* Adds what a server's line says of its checks beyond their times. 0 or -1. */
int model_server_check_json(const struct model_server *s, json_t *to);

#endif
