/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/inspect.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "dataplane/dataplane.h"
#include "dataplane/dispatcher.h"

int inspect_program_name(uint32_t id, char ret[static INSPECT_NAME_MAX])
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	snprintf(ret, INSPECT_NAME_MAX, "%.15s", info.name);
	return 0;
}

static bool holds(const char *instance, unsigned ifindex, uint32_t program)
{
	struct bpf_link_info info = {};
	uint32_t size = sizeof(info);
	_cleanup_close_ int fd = -1;
	char path[512];
	bool native;

	snprintf(path, sizeof(path), "%s/%s", DATAPLANE_PIN_ROOT, instance);
	if (dispatcher_holds(path, ifindex, &native))
		return true;
	snprintf(path, sizeof(path), "%s/%s/link-%u", DATAPLANE_PIN_ROOT, instance, ifindex);
	fd = bpf_obj_get(path);
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == BPF_LINK_TYPE_XDP &&
	       info.xdp.ifindex == ifindex && info.prog_id == program;
}

int inspect_instance(unsigned ifindex, uint32_t program, char ret[static INSPECT_INSTANCE_MAX])
{
	DIR *dir = opendir(DATAPLANE_PIN_ROOT);
	struct dirent *e;
	int r = -ENOENT;

	while (dir && r < 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.' && strlen(e->d_name) < INSPECT_INSTANCE_MAX && holds(e->d_name, ifindex, program)) {
			strcpy(ret, e->d_name);
			r = 0;
		}
	if (dir)
		closedir(dir);
	return r;
}

bool inspect_has_bpffs(void)
{
	struct statfs fs;

	return statfs("/sys/fs/bpf", &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}
