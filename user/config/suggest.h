/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Did you mean": the nearest of several words to one that was mistyped. Used by everything in config/ that looks a
 * word up. Pure.
 */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

/* The search so far. Zero-initialise with the word that was written; offer every candidate; read best (NULL = none). */
struct suggest {
	const char *word;
	const char *best;
	unsigned distance;
};

void suggest_offer(struct suggest *s, const char *candidate);
/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b. */
unsigned suggest_distance(const char *a, const char *b);

#endif
