/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

enum { SECOND = 1, MINUTE = 60, HOUR = 3600, DAY = 86400 };

const char *units_duration(uint64_t ms, char buf[static UNITS_TEXT_MAX])
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "ms", ms);
	else if (s < MINUTE)
		snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "s", s);
	else if (s < HOUR)
		snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "m%" PRIu64 "s", s / MINUTE, s % MINUTE);
	else if (s < DAY)
		snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "h%" PRIu64 "m", s / HOUR, s % HOUR / MINUTE);
	else
		snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "d%" PRIu64 "h", s / DAY, s % DAY / HOUR);
	return buf;
}

const char *units_time_word(uint64_t ms, char buf[static UNITS_TEXT_MAX])
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = { { DAY * 1000ULL, "d" }, { HOUR * 1000ULL, "h" }, { MINUTE * 1000ULL, "m" }, { 1000, "s" } };

	for (size_t i = 0; i < array_size(units) && ms; i++)
		if (ms % units[i].ms == 0) {
			snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "%s", ms / units[i].ms, units[i].name);
			return buf;
		}
	snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 "ms", ms);
	return buf;
}

const char *units_bytes(uint64_t bytes, char buf[static UNITS_TEXT_MAX])
{
	static const char *const names[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t size = 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 " B", bytes);
		return buf;
	}
	while (bytes / size >= 1024) {
		size *= 1024;
		unit++;
	}
	/* Rounded down: 1023.99 KiB is never shown as 1024.0. The remainder is below 2^60: times ten it fits. */
	snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64 ".%u %s", bytes / size,
		 (unsigned)(bytes % size * 10 / size), names[unit]);
	return buf;
}

int units_parse_time(const char *text, uint32_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = {
		{ "", 1000 }, { "us", 1 }, { "ms", 1000 }, { "s", 1000000 },
		{ "m", MINUTE * 1000000ULL }, { "h", HOUR * 1000000ULL }, { "d", DAY * 1000000ULL },
	};
	size_t digits = strspn(text, "0123456789");
	uint64_t value = 0, ms;

	if (!digits)
		return -EINVAL;
	for (size_t i = 0; i < array_size(units); i++) {
		if (strcmp(text + digits, units[i].name) != 0)
			continue;
		for (size_t d = 0; d < digits; d++) {
			value = value * 10 + (text[d] - '0');
			if (value > (uint64_t)INT32_MAX * 1000)
				return -ERANGE;
		}
		ms = (value * units[i].us + 999) / 1000;
		if (ms > INT32_MAX)
			return -ERANGE;
		*ret_ms = ms;
		return 0;
	}
	return -EINVAL;
}
