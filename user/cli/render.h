/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's replies as text for people: calm, aligned, the same every time. Called through the verb table with a good
 * reply of docs/control.md; a member that is missing (an older agent) shows as "-". 0 or -ENOMEM.
 */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include <jansson.h>

#include "cli/verbs.h"

int render_status(const json_t *reply, const struct render *to);
int render_services(const json_t *reply, const struct render *to);
int render_servers(const json_t *reply, const struct render *to);
int render_flows(const json_t *reply, const struct render *to);
int render_config(const json_t *reply, const struct render *to);
int render_verdicts(const json_t *reply, const struct render *to);
int render_log(const json_t *reply, const struct render *to);
int render_log_level(const json_t *reply, const struct render *to);
int render_interfaces(const json_t *reply, const struct render *to);
int render_table(const json_t *reply, const struct render *to);
int render_acls(const json_t *reply, const struct render *to);
int render_acl_match(const json_t *reply, const struct render *to);
int render_acl_change(const json_t *reply, const struct render *to);
int render_announce(const json_t *reply, const struct render *to);
int render_peers(const json_t *reply, const struct render *to);
int render_withdraw(const json_t *reply, const struct render *to);
int render_ready(const json_t *reply, const struct render *to);
int render_explain_server(const json_t *reply, const struct render *to);
int render_explain_packet(const json_t *reply, const struct render *to);
int render_trace(const json_t *event, const struct render *to); /* trace.c; of one event */
int render_server(const json_t *reply, const struct render *to);
int render_drained(const json_t *reply, const struct render *to);
int render_top(const json_t *sample, const struct render *to); /* cli/sample.h */
int render_watch(const json_t *reply, const struct render *to);
int render_reload(const json_t *reply, const struct render *to);
int render_restart(const json_t *reply, const struct render *to);
int render_load(const json_t *reply, const struct render *to);
int render_unload(const json_t *reply, const struct render *to);
int render_decap(const json_t *reply, const struct render *to);
int render_decap_unload(const json_t *reply, const struct render *to);
int render_version(const json_t *reply, const struct render *to);

/* A server's transitions as a table, for the renderers. */
int render_history(const json_t *list, json_int_t now_ms, const struct render *to);

/* The configuration's messages of a reload, good or bad: "FILE:LINE:COLUMN: error: TEXT". */
void render_messages(const json_t *reply, FILE *to);

#endif
