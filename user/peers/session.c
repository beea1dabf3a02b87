/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/session.h"

enum session_answer session_hear(struct session *s, uint64_t own, const struct wire_header *h, bool *ret_new,
				 int64_t *ret_missing)
{
	*ret_new = false;
	*ret_missing = 0;
	if (h->epoch < s->epoch)
		return SESSION_STALE;
	if (h->epoch > s->epoch) {
		*s = (struct session){ .epoch = h->epoch };
		*ret_new = true;
	}
	if (h->echo != own)
		return SESSION_GREETING;
	if (!s->top) {
		/* What went before was for nobody: nothing of it is missed. */
		s->top = h->number;
		s->seen = ~0ULL;
		return SESSION_TAKE;
	}
	if (h->number > s->top) {
		const uint64_t n = h->number - s->top;

		*ret_missing = n - 1 > INT32_MAX ? INT32_MAX : (int64_t)(n - 1);
		s->seen = (n < SESSION_WINDOW ? s->seen << n : 0) | 1;
		s->top = h->number;
		return SESSION_TAKE;
	}
	if (s->top - h->number >= SESSION_WINDOW || s->seen >> (s->top - h->number) & 1)
		return SESSION_REPLAYED;
	s->seen |= 1ULL << (s->top - h->number);
	*ret_missing = -1;
	return SESSION_TAKE;
}
