/* SPDX-License-Identifier: BSD-2-Clause */
/* A state file, damaged or not: as JSON, and as what health/ remembers. */
#include <event2/event.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/state_file.h"
#include "config/config.h"
#include "fuzz/fuzz.h"
#include "health/health.h"

static const char text[] = "defaults\n\tmode tcp\n\ttimeout connect 1s\n"
			   "listen nodes\n\tbind 192.0.2.10:80\n\tserver node1 192.0.2.1:80 check\n\tserver node2 192.0.2.2:80\n";

static void on_change(const struct health_event *e, void *ctx)
{
}

static void on_first_round(void *ctx)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct health_ops ops = { .on_change = on_change, .on_first_round = on_first_round };
	static struct event_base *base;
	static struct model *m;
	static int dir = -1;
	char why[STATE_WHY_MAX] = "";
	json_t *j = NULL, *saved = NULL;
	struct health *h;
	int fd;

	if (!base) {
		struct config_report report = {};
		char folder[256];

		base = event_base_new();
		demand(base && config_load_text("fuzz.cfg", text, sizeof(text) - 1, &m, &report) == 0);
		fuzz_folder(folder, sizeof(folder));
		config_report_done(&report);
		dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	fd = openat(dir, "s", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	demand(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	if (state_file_read(dir, "s", 1 << 16, &j, why) < 0) {
		demand(*why);
		return 0;
	}
	demand(json_is_object(j));
	h = health_new(base, &ops);
	demand(h && health_configure(h, m) == 0);
	health_restore(h, json_object_get(j, "health"));
	for (size_t s = 0; s < 2; s++) {
		struct health_view v;

		health_view(h, 0, s, &v);
		demand(v.weight <= MODEL_WEIGHT_MAX && v.admin <= HEALTH_MAINT);
	}
	/* What was restored can be saved, and restored again. */
	health_save(h, &saved);
	demand(saved && health_restore(h, saved) == 0);
	json_decref(saved);
	health_free(h);
	json_decref(j);
	return 0;
}
