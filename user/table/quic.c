/* SPDX-License-Identifier: BSD-2-Clause */
#include "table/quic.h"

#include <string.h>

enum { ROTATION_SHIFT = 5 };

void quic_first_bytes(unsigned config, const uint8_t *id, unsigned length, uint8_t ret[16])
{
	memset(ret, 0, 16);
	ret[0] = (uint8_t)(config << ROTATION_SHIFT);
	memcpy(ret + 1, id, length);
}

void quic_mask(unsigned length, uint64_t ret[2])
{
	uint8_t bytes[16] = { 7 << ROTATION_SHIFT };

	memset(bytes + 1, 0xff, length);
	memcpy(ret, bytes, 16);
}
