/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of XDP is there already, for the doctor: other people's programs, and what an instance of ours left pinned.
 * Changes nothing. Called by doctor/.
 */
#ifndef DATAPLANE_INSPECT_H
#define DATAPLANE_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

enum { INSPECT_NAME_MAX = 16, INSPECT_INSTANCE_MAX = 64 };

/* The name of a program by its id. 0, or -errno: -EPERM without CAP_SYS_ADMIN. */
int inspect_program_name(uint32_t id, char ret[static INSPECT_NAME_MAX]);
/* The instance of ours whose pinned attachment keeps this program on the NIC. 0; -ENOENT: none, or not allowed to look. */
int inspect_instance(unsigned ifindex, uint32_t program, char ret[static INSPECT_INSTANCE_MAX]);
/* Is a BPF file system at /sys/fs/bpf? */
bool inspect_has_bpffs(void);

#endif
