/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagrams of other balancers, behind the code that a stranger could not make: a peer's bytes are not trusted either. */
#include "fuzz/fuzz.h"
#include "peers/session.h"
#include "peers/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = (uint8_t *)fuzz_copy(data, size, false);
	const uint8_t *at = copy + WIRE_HEADER;
	struct session s = { .epoch = 5, .top = 100, .seen = ~0ULL };
	size_t left = size > WIRE_HEADER + WIRE_MAC ? size - WIRE_HEADER - WIRE_MAC : 0;
	struct wire_header h;
	struct wire_record r;
	int64_t missing;
	bool new;

	if (wire_read_header(copy, size, &h) == 0) {
		demand(size <= WIRE_DATAGRAM_MAX);
		session_hear(&s, 7, &h, &new, &missing);
		while (wire_read_record(&at, &left, &r) > 0) {
			uint8_t again[WIRE_RECORD_MAX];

			/* What was understood is written as it was read. */
			demand(wire_write_record(again, sizeof(again), &r) > 0);
			demand(r.client.addr.family == r.service.addr.family);
		}
		demand(at + left == copy + size - WIRE_MAC);
	}
	free(copy);
	return 0;
}
