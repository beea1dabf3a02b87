/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this room share. Not for others. */
#ifndef DATAPLANE_INTERNAL_H
#define DATAPLANE_INTERNAL_H

#include "base/vec.h"
#include "dataplane/dataplane.h"
#include "dataplane/pins.h"

struct lb_bpf;
struct clock_bpf;

enum { DATAPLANE_IDS = MAX_SERVERS + MAX_SERVICES + MAX_BACKENDS };

struct link {
	struct dataplane_attachment shown;
	int fd; /* a bpf_link; shared: the array of the entry (dispatcher.h) */
};

/* What libxdp has been asked for a NIC and has not answered: one thing at a time. */
struct asked {
	uint32_t number;
	bool add;                 /* else: to take the entry out */
	unsigned ifindex, priority;
	char name[16];
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
	int sharing_fd;           /* sharing.h; -1: that process does not run */
	char sharing_refused[DATAPLANE_ERROR_MAX]; /* why it could add no entry; "" = it can */
	bool closing;             /* no loop any more: what libxdp is to do is waited for */
	unsigned verified;
	struct instance instance;
	struct dataplane_switches switches;
	struct vec(struct mapping) mappings;
	struct vec(struct link) links;
	struct vec(struct asked) asked;
	struct vec(struct dataplane_port) ports; /* of bonds; those that are in `devices` */
	struct vec(struct dataplane_attachment) shown;
};

/* Formats into error and returns r. */
int dataplane_fail(int r, char error[DATAPLANE_ERROR_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What the object's switches and sizes are to be; before it is loaded. 0 or -errno. */
int program_prepare(struct lb_bpf *lb, const struct instance *i, const struct dataplane_switches *s);
/* Loads it. *ret_verified: what the verifier looked at. 0 or -errno with error. */
int program_load(struct lb_bpf *lb, unsigned *ret_verified, char error[DATAPLANE_ERROR_MAX]);
/* replace.c: a slot map of so many entries that begins with what the one of `from` holds. Its descriptor or -errno. */
int slots_enlarge(int from, uint32_t old, uint32_t entries);
/* Pins a map in the place of the one that is pinned. 0 or -errno. */
int map_pin_anew(const struct dataplane *d, const char *name, int fd);
/* Memory of a map. 0 or -errno; it is unmapped at the dataplane's end. */
int mapping_add(struct dataplane *d, int fd, size_t size, void **ret);
int mapping_remember(struct dataplane *d, void *memory, size_t size); /* on failure it is unmapped */
void mapping_drop(struct dataplane *d, void *memory);
int instance_write(struct dataplane *d);

/* Attaches a program, as dataplane_attach() does; also of decap.c. *ret_fd is the link's. */
int links_create(int program, unsigned ifindex, const char *name, enum model_xdp_mode mode, int *ret_fd,
		 char error[DATAPLANE_ERROR_MAX]);
bool links_is_native(unsigned ifindex);
struct link *links_find(struct dataplane *d, unsigned ifindex);
/* An attachment that there is, fd is its. 0 or -errno; then fd is the caller's still. */
int links_remember(struct dataplane *d, unsigned ifindex, const char *name, int fd, struct link **ret);
/* Takes over the links pinned by an earlier agent: gives them this program, or drops what is severed. */
void links_take_over(struct dataplane *d, const struct dataplane_options *o);
/* Gives all links another program, or none of them: 0 or -errno. */
int links_swap(struct dataplane *d, int from, int to);
void links_close(struct dataplane *d, bool leave);

/* shared.c: entries in libxdp's dispatcher. */
/* Is libxdp being asked for this NIC? 0: for any. */
bool shared_is_asked(const struct dataplane *d, unsigned ifindex);
/* Steers no more at once; the entry goes when libxdp has taken it out. */
void shared_leave(struct dataplane *d, const struct link *l);
/* One that an earlier agent left, if it is in the dispatcher still. */
void shared_take_over(struct dataplane *d, unsigned ifindex);
/* What is still to be added is not. */
void shared_close(struct dataplane *d);

#endif
