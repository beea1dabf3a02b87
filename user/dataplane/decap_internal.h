/* SPDX-License-Identifier: BSD-2-Clause */
/* What decap.c and decap_status.c share. Not for others. */
#ifndef DATAPLANE_DECAP_INTERNAL_H
#define DATAPLANE_DECAP_INTERNAL_H

#include <linux/bpf.h>

#include "dataplane/decap.h"

enum { DECAP_PATH_MAX = 128 };

/* The folder of this network namespace's pins, and the pin of an interface. 0 or -errno. */
int decap_pin_root(char path[DECAP_PATH_MAX]);
int decap_pin_path(const char *interface, char path[DECAP_PATH_MAX]);
/* The pinned link and what the kernel says of it. The caller closes *ret_fd. 0, -ENOENT, -errno. */
int decap_open_link(const char *path, struct bpf_link_info *ret_info, int *ret_fd);
/* A map of a loaded program, by its name there. By id, which takes CAP_SYS_ADMIN. The caller closes *ret_fd. */
int decap_program_map(uint32_t program_id, const char *name, int *ret_fd);
int decap_read_counters(int fd, struct decap_counter ret[DECAP_VERDICT_MAX]);
/* Removes what NICs that are gone have left, in all namespaces: their maps would stay until the host's reboot. */
void decap_drop_severed(void);
struct decap_address decap_to_key(const struct addr *a);

/* A line for people about -errno; return it. */
int decap_fail_root(int r, char error[DATAPLANE_ERROR_MAX]);
int decap_fail_absent(const char *interface, char error[DATAPLANE_ERROR_MAX]);

#endif
