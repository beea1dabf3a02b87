/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edit distance with transpositions (optimal string alignment), on words short enough to be names. A candidate counts
 * when at most a third of its letters differ: a wild guess would be worse than none.
 */
#include "base/suggest.h"

#include <string.h>

enum { SUGGEST_WORD_MAX = 64 };

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned suggest_distance(const char *a, const char *b)
{
	size_t la = strnlen(a, SUGGEST_WORD_MAX + 1), lb = strnlen(b, SUGGEST_WORD_MAX + 1), i, j;
	unsigned row[3][SUGGEST_WORD_MAX + 1];

	if (la > SUGGEST_WORD_MAX || lb > SUGGEST_WORD_MAX)
		return SUGGEST_WORD_MAX;
	for (j = 0; j <= lb; j++)
		row[0][j] = (unsigned)j;
	for (i = 1; i <= la; i++) {
		unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *older = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			now[j] = min(min(now[j - 1], before[j]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min(now[j], older[j - 2] + 1);
		}
	}
	return row[la % 3][lb];
}

void suggest_offer(struct suggest *s, const char *candidate)
{
	size_t written = strlen(s->word), length = strlen(candidate);
	unsigned limit = length < 4 ? 1 : (unsigned)(length / 3), distance;

	if (written < 2 || (written > length ? written - length : length - written) > limit)
		return;
	distance = suggest_distance(s->word, candidate);
	if (distance <= limit && (!s->best || distance < s->distance)) {
		s->best = candidate;
		s->distance = distance;
	}
}
