/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Did you mean": the nearest of several words to one that was mistyped. For the words of a configuration, of options and
 * of commands. Pure.
 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

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
