/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decap verbs: they work on a server, where no agent is, with dataplane/decap.h. Named by the verb table. Each
 * returns CONTROL_DONE and the reply (docs/decap.md), or CONTROL_FAILED and why in error.
 */
#ifndef CLI_DECAP_H
#define CLI_DECAP_H

#include "cli/options.h"

int decap_run_load(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX]);
int decap_run_unload(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX]);
int decap_run_show(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX]);

/* Values of their options: "192.0.2.0/24" without bits behind the prefix, or an address; an address. */
bool decap_is_prefix(const char *text);
bool decap_is_address(const char *text);

#endif
