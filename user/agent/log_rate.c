/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/log_rate.h"

#include <stdio.h>
#include <string.h>

bool log_rate_expired(const struct log_rate *l, uint64_t now_ms)
{
	return now_ms - l->started_ms >= LOG_WINDOW_MS;
}

void log_rate_start(struct log_rate *l, uint64_t now_ms)
{
	l->started_ms = now_ms;
	for (size_t i = 0; i <= LOG_KINDS_MAX; i++)
		l->kinds[i].admitted = 0;
}

uint64_t log_rate_rest(const struct log_rate *l, uint64_t now_ms)
{
	return log_rate_expired(l, now_ms) ? 1 : LOG_WINDOW_MS - (now_ms - l->started_ms);
}

static struct log_kind *find(struct log_rate *l, const char *kind)
{
	struct log_kind *k;

	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->kinds[i].name, kind) == 0)
			return &l->kinds[i];
	if (l->count == LOG_KINDS_MAX) {
		strcpy(l->kinds[LOG_KINDS_MAX].name, "other");
		return &l->kinds[LOG_KINDS_MAX];
	}
	k = &l->kinds[l->count++];
	snprintf(k->name, sizeof(k->name), "%s", kind);
	return k;
}

bool log_rate_admit(struct log_rate *l, const char *kind, int level)
{
	struct log_kind *k = find(l, kind);

	if (k->admitted < LOG_RATE_MAX) {
		k->admitted++;
		return true;
	}
	if (!k->held || level < k->level)
		k->level = level;
	k->held++;
	l->suppressed++;
	return false;
}

bool log_rate_held(struct log_rate *l, struct log_held *ret)
{
	for (; l->next_held <= LOG_KINDS_MAX; l->next_held++) {
		struct log_kind *k = &l->kinds[l->next_held];

		if (!k->held)
			continue;
		*ret = (struct log_held){ .kind = k->name, .count = k->held, .level = k->level };
		k->held = 0;
		return true;
	}
	l->next_held = 0;
	return false;
}
