/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of all metrics, and how a row is read: what it is called, what it counts, and where its value is in a
 * snapshot. Between families.c (the table) and prometheus.c (the formats). Not for others but the tests.
 */
#ifndef METRICS_FAMILIES_H
#define METRICS_FAMILIES_H

#include "metrics/snapshot.h"
#include "metrics/text.h"

enum family_type { FAMILY_COUNTER, FAMILY_GAUGE, FAMILY_HISTOGRAM, FAMILY_INFO };
/* What it has one line, or one group of lines, of. */
enum family_scope { FAMILY_AGENT, FAMILY_SERVICE, FAMILY_BACKEND, FAMILY_SERVER };
enum family_value { FAMILY_U64, FAMILY_U32, FAMILY_U16, FAMILY_BOOL, FAMILY_MS, FAMILY_US64, FAMILY_OWN };

struct family {
	const char *name;        /* without the _total, _info, _bucket that the type asks for */
	enum family_type type;
	const char *unit;        /* a base unit, which is the name's last part; "" = none */
	enum family_scope scope;
	enum family_value value;
	size_t offset;           /* of the value in the scope's struct */
	/* FAMILY_OWN: writes the lines of one item itself, none where there is nothing to say. */
	void (*write)(struct text *t, const struct family *f, const struct snapshot *s, size_t item);
	const char *help;
};

extern const struct family families[];
extern const size_t family_count;

/* Writes name and suffix, `{labels` and an opening for further ones: followed by a family_end_*(). */
void family_begin(struct text *t, const struct family *f, const char *suffix, const struct named *of);

#endif
