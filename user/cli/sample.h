/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `alwayson top` shows: the agent's counters at one moment, and what they grew by since the moment before. Asked
 * for and compared here, drawn by render_top.c. Prints nothing.
 */
#ifndef CLI_SAMPLE_H
#define CLI_SAMPLE_H

#include <jansson.h>

#include "cli/options.h"

/*
 * One document: "now_ms", "status", "services", "servers", "verdicts". *ret is a new reference. 0; an error of ask();
 * 1 when the agent refuses: *ret is its reply then.
 */
int sample_take(const struct cli_options *o, json_t **ret);
/*
 * Adds to now's services, servers and verdicts what they did per second since `before`: "..._per_s". A counter that
 * went back, or was not there, has none.
 */
void sample_rates(const json_t *before, json_t *now);

#endif
