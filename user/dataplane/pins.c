/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dataplane/dispatcher.h"
#include "dataplane/internal.h"
#include "dataplane/sharing.h"
#include "dataplane/spare.h"

#include "lb.skel.h"

static enum pins alien(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static enum pins alien(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, DATAPLANE_ERROR_MAX, format, args);
	va_end(args);
	return PINS_ALIEN;
}

static int open_pin(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return bpf_obj_get(path);
}

/* What kind of thing a descriptor is: the kernel's info of a map, a program and a link have nothing in common. */
static bool is_kind(int fd, const char *kind)
{
	char path[64], text[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, text, sizeof(text) - 1) > 0 && strstr(text, kind);
}

/* A pinned XDP link: of which NIC? 0: it is severed, its NIC is gone. False: it is something else. */
static bool link_of(int fd, unsigned *ret_ifindex)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	if (fd < 0 || !is_kind(fd, "link") || bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ||
	    info.type != BPF_LINK_TYPE_XDP)
		return false;
	*ret_ifindex = info.xdp.ifindex;
	return true;
}

/* `WHAT-N`, but nothing else behind it. */
static bool is_name(const char *name, const char *what, unsigned *ret)
{
	const size_t length = strlen(what);
	char canonical[32];

	if (strncmp(name, what, length) != 0 || sscanf(name + length, "-%u", ret) != 1)
		return false;
	snprintf(canonical, sizeof(canonical), "%s-%u", what, *ret);
	return strcmp(name, canonical) == 0;
}

static bool is_link_name(const char *name, unsigned *ret)
{
	return is_name(name, "link", ret);
}

static bool is_shared_name(const char *name, unsigned *ret)
{
	return is_name(name, "shared", ret);
}

/* Is this pin an attachment that steers, and of which NIC? */
static bool steers(const char *dir, const char *name, unsigned *ret_ifindex)
{
	_cleanup_close_ int fd = -1;
	unsigned number;
	bool native;

	if (is_shared_name(name, ret_ifindex))
		return dispatcher_holds(dir, *ret_ifindex, &native);
	if (!is_link_name(name, &number))
		return false;
	fd = open_pin(dir, name);
	return link_of(fd, ret_ifindex) && *ret_ifindex;
}

unsigned pins_attached(const char *dir, char *text, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned count = 0;

	text[0] = '\0';
	while (d && (e = readdir(d))) {
		char name[IF_NAMESIZE];
		size_t used = strlen(text);
		unsigned ifindex;

		if (!steers(dir, e->d_name, &ifindex))
			continue;
		if (!if_indextoname(ifindex, name))
			snprintf(name, sizeof(name), "NIC %u", ifindex);
		snprintf(text + used, size - used, "%s%s", count ? ", " : "", name);
		count++;
	}
	if (d)
		closedir(d);
	return count;
}

/* An entry of libxdp's dispatcher that steers must be what we made of it, or nobody can give it another program. */
static enum pins look_at_entry(const char *dir, unsigned ifindex, char *why)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	_cleanup_close_ int fd = -1;
	bool native;

	if (!dispatcher_holds(dir, ifindex, &native))
		return PINS_FIT;
	fd = dispatcher_open(dir, ifindex);
	if (fd < 0 || !is_kind(fd, "bpf-map") || bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ||
	    info.type != BPF_MAP_TYPE_PROG_ARRAY || info.max_entries != 1)
		return alien(why, "%s/program-%u is not what %s/shared-%u goes on to", dir, ifindex, dir, ifindex);
	return PINS_FIT;
}

/* Each `link-N` must be the XDP link of NIC N, or a severed one. */
static enum pins look_at_links(const char *dir, char *why)
{
	DIR *d = opendir(dir);
	enum pins pins = PINS_FIT;
	struct dirent *e;

	while (d && pins == PINS_FIT && (e = readdir(d))) {
		unsigned number, ifindex;
		int fd;

		if (is_shared_name(e->d_name, &number))
			pins = look_at_entry(dir, number, why);
		if (!is_link_name(e->d_name, &number))
			continue;
		fd = open_pin(dir, e->d_name);
		if (!link_of(fd, &ifindex))
			pins = alien(why, "%s/%s is no attachment of ours", dir, e->d_name);
		else if (ifindex && ifindex != number)
			pins = alien(why, "%s/%s is the attachment of NIC %u", dir, e->d_name, ifindex);
		cleanup_close(&fd);
	}
	if (d)
		closedir(d);
	return pins;
}

static enum pins look_at_map(const char *dir, const char *name, int fd, unsigned type, uint32_t key, uint32_t value,
			     uint32_t entries, char *why)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	if (!is_kind(fd, "bpf-map") || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return alien(why, "%s/%s is no map", dir, name);
	if (info.type != type || info.key_size != key || info.value_size != value)
		return alien(why, "%s/%s is a map of another kind (type %u, %u bytes an entry; expected: type %u, %u bytes)",
			     dir, name, info.type, info.value_size, type, value);
	if (info.max_entries != entries)
		return alien(why, "%s/%s has %u entries; expected: %u", dir, name, info.max_entries, entries);
	return PINS_FIT;
}

/* What connections depend on. Others (counters, and what a newer version adds) are made anew when they are missing. */
static bool is_remembered(const struct lb_bpf *lb, const struct bpf_map *map)
{
	const struct bpf_map *all[] = { lb->maps.control, lb->maps.services4, lb->maps.services6, lb->maps.services,
					lb->maps.slots, lb->maps.servers, lb->maps.addresses, lb->maps.ports,
					lb->maps.hops, lb->maps.use, lb->maps.flows4, lb->maps.flows6 };

	for (size_t i = 0; i < array_size(all); i++)
		if (all[i] == map)
			return true;
	return false;
}

/* The sizes that the loader sets; those of a map with its own are as compiled. */
static uint32_t entries_of(const struct lb_bpf *lb, const struct bpf_map *map, const struct instance *i)
{
	const struct {
		const struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{ lb->maps.slots, i->slots },
		{ lb->maps.ports, i->ports },
		{ lb->maps.flows4, i->buckets4 },
		{ lb->maps.flows6, i->buckets6 },
		{ lb->maps.verdict_counters, i->cpu_count * VERDICT_MAX },
		{ lb->maps.event_counters, i->cpu_count * EVENT_MAX },
		{ lb->maps.service_counters, i->cpu_count * MAX_SERVICES },
		{ lb->maps.server_counters, i->cpu_count * MAX_SERVERS },
	};

	for (size_t n = 0; n < array_size(sizes); n++)
		if (sizes[n].map == map)
			return spare_entries(bpf_map__name(map), i, sizes[n].entries);
	return spare_entries(bpf_map__name(map), i, bpf_map__max_entries(map));
}

static enum pins look_at(const char *dir, const struct lb_bpf *lb, const struct bpf_map *map, int fd,
			 const struct instance *i, char *why)
{
	return look_at_map(dir, bpf_map__name(map), fd, bpf_map__type(map), bpf_map__key_size(map),
			   bpf_map__value_size(map), entries_of(lb, map, i), why);
}

static enum pins look_at_maps(const char *dir, const struct lb_bpf *lb, const struct instance *i, char *why)
{
	enum pins pins = PINS_FIT;
	struct bpf_map *map;

	bpf_object__for_each_map(map, lb->obj) {
		const char *name = bpf_map__name(map);
		int fd;

		if (pins != PINS_FIT)
			break;
		if (bpf_map__is_internal(map) || map == lb->maps.devices)
			continue;
		if (!is_remembered(lb, map))
			continue;
		fd = open_pin(dir, name);
		pins = fd < 0 ? alien(why, "%s/%s is missing", dir, name) : look_at(dir, lb, map, fd, i, why);
		cleanup_close(&fd);
	}
	return pins;
}

void pins_drop_unfit(const char *dir, const struct lb_bpf *lb, const struct instance *i)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, lb->obj) {
		char path[512], why[DATAPLANE_ERROR_MAX];
		int fd;

		if (bpf_map__is_internal(map) || is_remembered(lb, map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, bpf_map__name(map));
		fd = bpf_obj_get(path);
		if (fd >= 0 && look_at(dir, lb, map, fd, i, why) != PINS_FIT)
			unlink(path);
		cleanup_close(&fd);
	}
}

/* How large the slots really are: an agent may have died between enlarging them and writing that down. */
static uint32_t slots_of(const char *dir, uint32_t otherwise)
{
	_cleanup_close_ int fd = open_pin(dir, "slots");
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	if (fd < 0 || !is_kind(fd, "bpf-map") || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return otherwise;
	return info.max_entries;
}

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

static enum pins look_at_instance(const char *dir, const struct instance *wanted, struct instance *found, char *why)
{
	_cleanup_close_ int fd = open_pin(dir, "instance");
	uint32_t zero = 0, abi = 0;
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	uint8_t value[4096];

	if (fd < 0)
		return alien(why, "%s/instance is missing: nobody can tell what the other tables are", dir);
	if (!is_kind(fd, "bpf-map") || bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ||
	    info.type != BPF_MAP_TYPE_ARRAY || info.value_size < sizeof(abi) || info.value_size > sizeof(value) ||
	    bpf_map_lookup_elem(fd, &zero, value) < 0)
		return alien(why, "%s/instance is no table of ours", dir);
	memcpy(&abi, value, sizeof(abi)); /* stands first in every version */
	if (abi != wanted->abi)
		return alien(why, "it is of ABI %u, this is ABI %u", abi, wanted->abi);
	if (info.value_size != sizeof(*found))
		return alien(why, "%s/instance has %u bytes; expected: %zu", dir, info.value_size, sizeof(*found));
	memcpy(found, value, sizeof(*found));
	found->slots = slots_of(dir, found->slots);
	found->small = spares_found(dir);
	if (found->cpu_count != wanted->cpu_count)
		return alien(why, "it is for %u CPUs, this machine has %u now", found->cpu_count, wanted->cpu_count);
	if (found->ports != wanted->ports)
		return alien(why, "it has room for %u own ports; expected: %u", found->ports, wanted->ports);
	if (!is_power_of_two(found->buckets4) || !is_power_of_two(found->buckets6) || !found->slots || !found->hz ||
	    found->hz > 1000 || found->tick_shift > 15)
		return alien(why, "%s/instance is damaged", dir);
	return PINS_FIT;
}

static enum pins look_at_ids(const char *dir, char *why)
{
	_cleanup_close_ int fd = open_pin(dir, "ids");

	if (fd < 0)
		return alien(why, "%s/ids is missing", dir);
	return look_at_map(dir, "ids", fd, BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(struct dataplane_identity),
			   DATAPLANE_IDS, why);
}

enum pins pins_look(const char *dir, const struct lb_bpf *lb, const struct instance *wanted, struct instance *ret,
		    char *why)
{
	char names[DATAPLANE_ERROR_MAX];
	enum pins pins;

	why[0] = '\0';
	pins = look_at_instance(dir, wanted, ret, why);
	if (pins == PINS_FIT)
		pins = look_at_maps(dir, lb, ret, why);
	if (pins == PINS_FIT)
		pins = look_at_ids(dir, why);
	if (pins == PINS_FIT)
		pins = look_at_links(dir, why);
	if (pins != PINS_FIT && !pins_attached(dir, names, sizeof(names)))
		return PINS_NONE;
	return pins;
}

/* Detached by hand: another process may hold the link's last reference. */
static void detach(const char *dir, const char *name)
{
	_cleanup_close_ int fd = open_pin(dir, name);
	unsigned ifindex;

	if (link_of(fd, &ifindex))
		bpf_link_detach(fd);
}

bool pins_are_shared(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned number;
	bool shared = false;

	while (d && (e = readdir(d)))
		shared |= is_shared_name(e->d_name, &number);
	if (d)
		closedir(d);
	return shared;
}

/* Its array first: then nothing is steered any more, whatever becomes of the entry. */
static void leave_dispatcher(const char *dir, unsigned ifindex, int sharing_fd)
{
	_cleanup_close_ int array = dispatcher_open(dir, ifindex);
	bool native;

	if (array >= 0)
		dispatcher_set(array, -1);
	if (dispatcher_holds(dir, ifindex, &native))
		sharing_remove(sharing_fd, dir, ifindex);
	dispatcher_forget(dir, ifindex);
}

void pins_remove(const char *dir, int sharing_fd)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned number;

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (is_link_name(e->d_name, &number))
			detach(dir, e->d_name);
		else if (is_shared_name(e->d_name, &number))
			leave_dispatcher(dir, number, sharing_fd);
		unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
	rmdir(dir);
	rmdir(DATAPLANE_PIN_ROOT); /* stays while other instances are there */
}
