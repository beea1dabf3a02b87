/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verb `doctor`: finds out which configuration and which agent there are, has doctor/ ask its questions, and shows
 * what was found. Named by the verb table.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/options.h"
#include "cli/verbs.h"

/* CONTROL_DONE, CONTROL_WARNINGS or CONTROL_FAILED and the reply (docs/doctor.md); else why it can't look, in error. */
int doctor_run(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX]);
int render_doctor(const json_t *reply, const struct render *to);
/* The value of --file. */
bool doctor_is_file(const char *text);

#endif
