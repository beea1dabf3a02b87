/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's counters, summed over the CPUs by reading memory. Used by control/ and metrics/ through the agent.
 */
#ifndef DATAPLANE_COUNTERS_H
#define DATAPLANE_COUNTERS_H

#include "dataplane/dataplane.h"

struct counter counters_verdict(const struct dataplane_maps *m, enum verdict verdict);
uint64_t counters_event(const struct dataplane_maps *m, enum lb_event event);
struct traffic counters_service(const struct dataplane_maps *m, uint32_t id);
struct traffic counters_server(const struct dataplane_maps *m, uint32_t id);
/* An id begins a new life. Only while the program counts nothing for it. */
void counters_clear_service(const struct dataplane_maps *m, uint32_t id);
void counters_clear_server(const struct dataplane_maps *m, uint32_t id);

/* Label and meaning of a verdict, and the XDP action it leads to: "pass", "drop", "tx" or "tx/redirect". */
const char *verdict_label(enum verdict verdict);
const char *verdict_text(enum verdict verdict);
const char *verdict_action(enum verdict verdict);

#endif
