/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end of `forward ipip`, on a server: loads decap.bpf.c on a NIC, replaces it without a gap, takes it away,
 * and reads what it did. All there is of it lives in the kernel: the link, pinned under DECAP_PIN_ROOT/IFACE, holds the
 * program, and that its maps. Called by cli/decap.c and the tests; knows no agent and never logs.
 *
 * In a network namespace other than the first one pins are under DECAP_PIN_ROOT-COOKIE/IFACE (SO_NETNS_COOKIE), as
 * namespaces share bpffs and the names of NICs. A dot of a NIC's name is a colon there: bpffs takes no dots.
 */
#ifndef DATAPLANE_DECAP_H
#define DATAPLANE_DECAP_H

#include <net/if.h>

#include <alwayson/decap.h>

#include "base/vec.h"
#include "dataplane/dataplane.h"

#define DECAP_PIN_ROOT "/sys/fs/bpf/alwayson-decap"

struct decap_prefix {
	struct addr addr;
	unsigned length;
};

struct decap_options {
	const char *interface;
	enum model_xdp_mode mode;       /* auto, native or generic */
	const struct decap_prefix *from; /* senders; at least one */
	size_t from_count;
	const struct addr *addresses;   /* besides the interface's own as they are now, link-local ones excepted */
	size_t address_count;
};

struct decap_status {
	char interface[IF_NAMESIZE];    /* as it was loaded */
	char now[IF_NAMESIZE];          /* as it is called now; "" = it is gone */
	unsigned ifindex;
	bool native;
	struct vec(struct decap_prefix) from;    /* sorted */
	struct vec(struct addr) addresses;       /* sorted */
	struct decap_counter counters[DECAP_VERDICT_MAX];
};

/*
 * Loads and attaches; where it is loaded already, the new senders and addresses replace the old ones at once, and the
 * counters go on. 0; -ENODEV: no such interface; -EBUSY: another program is there; -EEXIST: loaded in another mode, or
 * by this name on another NIC; -EADDRNOTAVAIL: no address; -E2BIG: more than DECAP_SOURCES_MAX, DECAP_ADDRESSES_MAX;
 * -EPERM; others as the kernel says. error has a line for people.
 */
int decap_load(const struct decap_options *o, char error[DATAPLANE_ERROR_MAX]);
/* 0; -ENOENT: it is not loaded there. */
int decap_unload(const char *interface, char error[DATAPLANE_ERROR_MAX]);
/* Fills *ret, to be released with decap_status_done(). 0; -ENOENT. */
int decap_read(const char *interface, struct decap_status *ret, char error[DATAPLANE_ERROR_MAX]);
void decap_status_done(struct decap_status *s);
/* Names of the interfaces it is loaded on, sorted; each and the list are to be freed. Their number, or -errno. */
int decap_list(char ***ret, char error[DATAPLANE_ERROR_MAX]);

const char *decap_verdict_label(enum decap_verdict v);
const char *decap_verdict_text(enum decap_verdict v);
const char *decap_verdict_action(enum decap_verdict v); /* "pass", "drop" */

/* In two steps, for the tests: loaded, with maps filled, but attached to nothing. */
struct decap;
int decap_open(const struct decap_options *o, struct decap **ret, char error[DATAPLANE_ERROR_MAX]);
void decap_close(struct decap *d); /* takes NULL */
int decap_program_fd(const struct decap *d);
int decap_counters(const struct decap *d, struct decap_counter ret[DECAP_VERDICT_MAX]);

#endif
