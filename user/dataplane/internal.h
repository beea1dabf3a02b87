/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this room share. Not for others. */
#ifndef DATAPLANE_INTERNAL_H
#define DATAPLANE_INTERNAL_H

#include "base/vec.h"
#include "dataplane/dataplane.h"

struct lb_bpf;
struct clock_bpf;

struct link {
	struct dataplane_attachment shown;
	int fd;
};

struct mapping {
	void *memory;
	size_t size;
};

struct dataplane {
	char pin_dir[192];
	struct lb_bpf *lb;
	struct clock_bpf *clock;
	struct dataplane_maps maps;
	int instance_fd, ids_fd;  /* maps of the agent's own */
	unsigned verified;
	struct vec(struct mapping) mappings;
	struct vec(struct link) links;
	struct vec(struct dataplane_attachment) shown;
};

/* Formats into error and returns r. */
int dataplane_fail(int r, char error[DATAPLANE_ERROR_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Attaches a program, as dataplane_attach() does; also of decap.c. *ret_fd is the link's. */
int links_create(int program, unsigned ifindex, const char *name, enum model_xdp_mode mode, int *ret_fd,
		 char error[DATAPLANE_ERROR_MAX]);
bool links_is_native(unsigned ifindex);
/* Takes over the links pinned by an earlier agent: gives them this program, or drops what is severed. */
void links_take_over(struct dataplane *d);
void links_close(struct dataplane *d, bool leave);

#endif
