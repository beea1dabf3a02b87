/* SPDX-License-Identifier: BSD-2-Clause */
/* Greatest common divisor; gcd(0, x) = x. */
#ifndef BASE_GCD_H
#define BASE_GCD_H

#include <stdint.h>

static inline uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

#endif
