/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is this host fit to balance, and if not, what mends it? One function a question, in three tables (doctor.c); each says
 * at least one finding, with a remedy where something is wrong. Called by cli/doctor.c, as root, with an agent or before
 * there is one; blocks. Changes nothing but that it has neighbours asked for and sends probes (vip.c).
 */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include <jansson.h>
#include <stddef.h>

#include "base/vec.h"
#include "model/model.h"

enum doctor_limit {
	DOCTOR_TEXT_MAX = 512,
	DOCTOR_WHERE_MAX = 160,
	DOCTOR_PROBES_MAX = 1024,     /* service addresses looked for on servers; further ones are not */
	DOCTOR_PROBE_WAIT_MS = 300,   /* for the answers ... */
	DOCTOR_PROBE_LATER_MS = 50,   /* ... and, once all have come, for what nobody ought to send */
	DOCTOR_NEIGHBOURS_MS = 1500,  /* for the servers' neighbours to answer */
};

enum doctor_level { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_finding {
	enum doctor_level level;
	const char *check;             /* the question's name */
	char where[DOCTOR_WHERE_MAX];  /* "host", an interface, BACKEND/SERVER, a service ... */
	char text[DOCTOR_TEXT_MAX];    /* what was found */
	char remedy[DOCTOR_TEXT_MAX];  /* "" where there is nothing to mend */
};

struct doctor_report {
	struct vec(struct doctor_finding) findings; /* in the order of the tables */
	enum doctor_level worst;
};

/* What is known beforehand; all may be NULL. */
struct doctor_subject {
	const char *interface;         /* the only one to look at */
	const struct model *model;     /* the configuration */
	/* A running agent's replies (docs/control.md), or NULL. */
	const json_t *status, *interfaces, *verdicts;
};

/* 0 and the report, whatever was found; -ENODEV: there is no such interface; -ENOMEM, or -errno of netlink. */
int doctor_examine(const struct doctor_subject *s, struct doctor_report *ret);
void doctor_report_done(struct doctor_report *r);

/* "ok", "note", "warn", "fail". */
const char *doctor_level_name(enum doctor_level l);
/* The questions' names one after the other, NULL behind the last: for the manual's test. */
const char *doctor_check_name(size_t i);

#endif
