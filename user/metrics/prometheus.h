/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot as Prometheus reads it: text format 0.0.4, or OpenMetrics 1.0. Called by web/ for /metrics, a piece at a
 * time. Pure. Every metric is one row of the table in families.c; docs/metrics.md lists them, a test holds both
 * together.
 */
#ifndef METRICS_PROMETHEUS_H
#define METRICS_PROMETHEUS_H

#include "metrics/snapshot.h"
#include "metrics/text.h"

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS };

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct prometheus {
	const struct snapshot *snapshot;
	enum metrics_format format;
	size_t family, item; /* what comes next; zero at the beginning */
};

/* Appends at least one line and about `length` bytes at most. 1: there is more; 0: that was all; -ENOMEM. */
int prometheus_next(struct prometheus *p, struct text *t, size_t length);
/* Which format an Accept header asks for; NULL or one that names neither gets the text format. */
enum metrics_format prometheus_negotiate(const char *accept);

#endif
