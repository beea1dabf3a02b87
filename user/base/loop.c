/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/loop.h"

struct event_base *loop_new(void)
{
	struct event_config *c = event_config_new();
	struct event_base *base = NULL;

	/* A clock is read for each timer that is set: some ns, without a system call. */
	if (c && event_config_set_flag(c, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
		base = event_base_new_with_config(c);
	if (c)
		event_config_free(c);
	return base;
}
