/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/dataplane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.skel.h"
#include "lb.skel.h"

#include "base/cleanup.h"
#include "dataplane/internal.h"
#include "dataplane/spare.h"

uint64_t dataplane_layout(void)
{
	static const struct hash_key key = { { 0x6c61796f7574ULL, 1 } };
	static const uint32_t sizes[] = {
		ABI_VERSION, sizeof(struct control), sizeof(struct service_entry4), sizeof(struct service_entry6),
		SERVICE_TABLE_MAX, sizeof(struct service), MAX_SERVICES, sizeof(struct server), MAX_SERVERS,
		sizeof(struct server_use), sizeof(struct cursor), MAX_BACKENDS, sizeof(struct own_port),
		sizeof(struct address), MAX_ADDRESSES, sizeof(struct hop), MAX_HOPS, sizeof(struct bucket4),
		sizeof(struct bucket6), sizeof(struct counter), sizeof(struct traffic), LOCK_COUNT,
		sizeof(struct dataplane_identity), sizeof(struct instance),
	};
	uint64_t h = 0;

	for (size_t i = 0; i < array_size(sizes); i++)
		h = hash_2(&key, h, sizes[i]);
	return h;
}

enum { PROGRAM_LOG_MAX = 1 << 16 };

int dataplane_fail(int r, char error[DATAPLANE_ERROR_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, DATAPLANE_ERROR_MAX, format, args);
	va_end(args);
	return r;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* Jiffies by a test run; their low 32 bits. */
static int read_jiffies(const struct dataplane *d, uint32_t *ret)
{
	uint8_t packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));
	int r = bpf_prog_test_run_opts(bpf_program__fd(d->clock->progs.clock_jiffies), &opts);

	if (r < 0)
		return r;
	*ret = opts.retval;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* The kernel's HZ is one of these; 60 ms of jiffies tell which (250 and 300 give the same tick, were they confused). */
static int measure_hz(const struct dataplane *d, unsigned *ret)
{
	static const unsigned known[] = { 100, 250, 300, 1000 };
	uint32_t first, last;
	uint64_t begin, end, rate;
	unsigned best = 0;
	int r = read_jiffies(d, &first);

	if (r < 0)
		return r;
	do { /* start on the edge of a jiffy */
		r = read_jiffies(d, &last);
	} while (r == 0 && last == first);
	begin = now_ns();
	usleep(60000);
	if (r < 0 || (r = read_jiffies(d, &first)) < 0)
		return r;
	end = now_ns();
	rate = (uint64_t)(first - last) * 1000000000ULL / (end - begin);
	for (unsigned i = 1; i < array_size(known); i++)
		if (llabs((long long)known[i] - (long long)rate) < llabs((long long)known[best] - (long long)rate))
			best = i;
	*ret = known[best];
	return 0;
}

/* A tick is a power of two of jiffies: the largest below 5.2 s, so that every HZ gets 3.4 to 5.1 s. */
static unsigned shift_for(unsigned hz)
{
	unsigned shift = 0;

	while ((2U << shift) <= 5 * hz + hz / 5)
		shift++;
	return shift;
}

/*
 * The clock program gives the low 32 bits. The others follow from the time since boot: jiffies begin 5 minutes before the
 * low 32 bits first overflow (INITIAL_JIFFIES of include/linux/jiffies.h).
 */
uint64_t dataplane_jiffies(const struct dataplane *d)
{
	const uint64_t about = (1ULL << 32) - 300ULL * d->maps.hz + now_ns() / (1000000000ULL / d->maps.hz);
	uint32_t low = (uint32_t)about;

	read_jiffies(d, &low);
	return about + (uint64_t)(int64_t)(int32_t)(low - (uint32_t)about);
}

uint16_t dataplane_tick(const struct dataplane *d)
{
	uint32_t jiffies = 0;

	read_jiffies(d, &jiffies);
	return jiffies >> d->maps.tick_shift;
}

uint32_t dataplane_ticks_from_ms(const struct dataplane *d, uint64_t ms)
{
	uint64_t tick_ms = (1000ULL << d->maps.tick_shift) / d->maps.hz;

	return (ms + tick_ms - 1) / tick_ms;
}

uint64_t dataplane_ms_from_ticks(const struct dataplane *d, uint32_t ticks)
{
	return ((uint64_t)ticks * 1000 << d->maps.tick_shift) / d->maps.hz;
}

static int make_directories(const char *path)
{
	if (mkdir(DATAPLANE_PIN_ROOT, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* A map of the agent's own (the program does not use it): found by its pin, or made and pinned. */
static int own_map(struct dataplane *d, const char *name, uint32_t value_size, uint32_t entries, int *ret_fd)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", d->pin_dir, name);
	fd = bpf_obj_get(path);
	if (fd < 0) {
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_size, entries, &opts);
		if (fd < 0)
			return -errno;
		if (bpf_obj_pin(fd, path) < 0) {
			int r = -errno;

			close(fd);
			return r;
		}
	}
	*ret_fd = fd;
	return 0;
}

static int write_instance(struct dataplane *d)
{
	int r = own_map(d, "instance", sizeof(d->instance), 1, &d->instance_fd);

	return r < 0 ? r : instance_write(d);
}

static int set_sizes(struct lb_bpf *lb, const struct instance *i)
{
	const struct {
		struct bpf_map *map;
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
	struct bpf_map *map;

	for (size_t n = 0; n < array_size(sizes); n++) {
		int r = bpf_map__set_max_entries(sizes[n].map, sizes[n].entries);

		if (r < 0)
			return r;
	}
	bpf_object__for_each_map(map, lb->obj) {
		const uint32_t entries = spare_entries(bpf_map__name(map), i, bpf_map__max_entries(map));
		int r = bpf_map__is_internal(map) ? 0 : bpf_map__set_max_entries(map, entries);

		if (r < 0)
			return r;
	}
	return 0;
}

static int pin_maps(struct dataplane *d)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, d->lb->obj) {
		char path[256];
		int r;

		/* The kernel adds a flag to a devmap, so its pin can't be taken over; links_take_over() fills a new one. */
		if (bpf_map__is_internal(map) || map == d->lb->maps.devices || bpf_map__fd(map) >= 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", d->pin_dir, bpf_map__name(map));
		r = bpf_map__set_pin_path(map, path);
		if (r < 0)
			return r;
	}
	return 0;
}

int mapping_remember(struct dataplane *d, void *memory, size_t size)
{
	struct mapping *m = vec_push(&d->mappings);

	if (!m) {
		munmap(memory, size);
		return -ENOMEM;
	}
	m->memory = memory;
	m->size = size;
	return 0;
}

static size_t map_bytes(const struct bpf_map *map)
{
	size_t value = (bpf_map__value_size(map) + 7) / 8 * 8;

	return value * bpf_map__max_entries(map);
}

int mapping_add(struct dataplane *d, int fd, size_t size, void **ret)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	void *memory;
	int r;

	size = (size + page - 1) / page * page;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	r = mapping_remember(d, memory, size);
	if (r == 0)
		*ret = memory;
	return r;
}

void mapping_drop(struct dataplane *d, void *memory)
{
	for (size_t i = 0; i < d->mappings.count; i++)
		if (d->mappings.items[i].memory == memory) {
			munmap(memory, d->mappings.items[i].size);
			d->mappings.items[i] = d->mappings.items[--d->mappings.count];
			return;
		}
}

static int map_all(struct dataplane *d)
{
	struct dataplane_maps *m = &d->maps;
	struct {
		const struct bpf_map *map;
		void *memory;
	} all[] = {
		{ d->lb->maps.control, &m->control },
		{ d->lb->maps.services4, &m->services4 },
		{ d->lb->maps.services6, &m->services6 },
		{ d->lb->maps.services, &m->services },
		{ d->lb->maps.slots, &m->slots },
		{ d->lb->maps.servers, &m->servers },
		{ d->lb->maps.addresses, &m->addresses },
		{ d->lb->maps.ports, &m->ports },
		{ d->lb->maps.rates, &m->rates },
		{ d->lb->maps.access4, &m->access4 },
		{ d->lb->maps.access6, &m->access6 },
		{ d->lb->maps.hops, &m->hops },
		{ d->lb->maps.use, &m->use },
		{ d->lb->maps.flows4, &m->flows4 },
		{ d->lb->maps.flows6, &m->flows6 },
		{ d->lb->maps.verdict_counters, &m->verdict_counters },
		{ d->lb->maps.event_counters, &m->event_counters },
		{ d->lb->maps.trace_filters, &m->trace_filter },
		{ d->lb->maps.trace_states, &m->trace_state },
		{ d->lb->maps.service_counters, &m->service_counters },
		{ d->lb->maps.server_counters, &m->server_counters },
	};
	void *ids;
	int r;

	for (size_t i = 0; i < array_size(all); i++) {
		r = mapping_add(d, bpf_map__fd(all[i].map), map_bytes(all[i].map), all[i].memory);

		if (r < 0)
			return r;
	}
	r = spares_pretend(d);
	if (r < 0)
		return r;
	r = mapping_add(d, d->ids_fd, DATAPLANE_IDS * sizeof(*m->server_ids), &ids);
	if (r < 0)
		return r;
	m->server_ids = ids;
	m->service_ids = m->server_ids + MAX_SERVERS;
	m->backend_ids = m->service_ids + MAX_SERVICES;
	return 0;
}

static int load_clock(struct dataplane *d, char error[DATAPLANE_ERROR_MAX])
{
	d->clock = clock_bpf__open_and_load();
	if (d->clock)
		return 0;
	if (errno == EPERM || errno == EACCES)
		return dataplane_fail(-errno, error, "not allowed to load BPF programs: run as root "
						     "(or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)");
	return dataplane_fail(-errno, error, "cannot load a BPF program: %s; the kernel must be 6.1 or newer "
					     "with CONFIG_BPF_SYSCALL and BTF", strerror(errno));
}

int program_prepare(struct lb_bpf *lb, const struct instance *i, const struct dataplane_switches *s)
{
	int r;

	lb->rodata->tick_shift = i->tick_shift;
	lb->rodata->flow_mask4 = i->buckets4 - 1;
	lb->rodata->flow_mask6 = i->buckets6 - 1;
	lb->rodata->flow_key.k[0] = i->flow_key.k[0];
	lb->rodata->flow_key.k[1] = i->flow_key.k[1];
	lb->rodata->resets_per_jiffy = RESETS_PER_SECOND / i->hz;
	lb->rodata->with_ipv6 = !s->without_ipv6;
	lb->rodata->with_nat = !s->without_nat;
	lb->rodata->with_dsr = !s->without_dsr;
	lb->rodata->with_transparent = !s->without_transparent;
	lb->rodata->with_quic = !s->without_quic;
	lb->rodata->death_jiffies = s->heartbeat ? DATAPLANE_DEATH_MS * i->hz / 1000 : 0;
	/* An extension has no attach type, and newer kernels let it go on only to a program that has none either. */
	if (s->shared && (r = bpf_program__set_expected_attach_type(lb->progs.lb, 0)) < 0)
		return r;
	return set_sizes(lb, i);
}

int program_load(struct lb_bpf *lb, unsigned *ret_verified, char error[DATAPLANE_ERROR_MAX])
{
	_cleanup_free_ char *log = calloc(1, PROGRAM_LOG_MAX);
	const char *processed;
	int r;

	if (!log)
		return dataplane_fail(-ENOMEM, error, "out of memory");
	bpf_program__set_log_buf(lb->progs.lb, log, PROGRAM_LOG_MAX);
	bpf_program__set_log_level(lb->progs.lb, 4); /* the verifier's statistics */
	r = lb_bpf__load(lb);
	bpf_program__set_log_buf(lb->progs.lb, NULL, 0);
	if (r == -EPERM || r == -EACCES)
		return dataplane_fail(r, error, "the kernel refused the program (%s): %.200s", strerror(-r),
				      strrchr(log, '\n') ? log : "not allowed to load BPF programs");
	if (r < 0)
		return dataplane_fail(r, error, "cannot load the program: %s: %.300s", strerror(-r), log);
	processed = strstr(log, "processed ");
	*ret_verified = processed ? strtoul(processed + strlen("processed "), NULL, 10) : 0;
	return 0;
}

/* Slots that were there, in a larger map: nothing refers to it until the program is loaded and attached. */
static int enlarge_found(struct dataplane *d, const struct instance *found, uint32_t wanted, int *ret_fd)
{
	_cleanup_close_ int from = -1;
	char path[256];
	int fd, r;

	snprintf(path, sizeof(path), "%s/slots", d->pin_dir);
	from = bpf_obj_get(path);
	fd = from < 0 ? -errno : slots_enlarge(from, found->slots, wanted);
	if (fd < 0)
		return fd;
	r = bpf_map__reuse_fd(d->lb->maps.slots, fd);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

static int load_program(struct dataplane *d, const struct instance *found, int *ret_slots, struct spare_fds *ret_spares,
			char error[DATAPLANE_ERROR_MAX])
{
	int r = program_prepare(d->lb, &d->instance, &d->switches);

	if (r == 0 && d->maps.taken_over && found->slots < d->instance.slots)
		r = enlarge_found(d, found, d->instance.slots, ret_slots);
	if (r == 0 && d->maps.taken_over)
		r = spares_create(d->lb, found->small & ~d->instance.small, &d->instance, ret_spares);
	if (r == 0)
		r = pin_maps(d);
	if (r < 0)
		return dataplane_fail(r, error, "cannot prepare the maps: %s", strerror(-r));
	return program_load(d->lb, &d->verified, error);
}

/* What of an earlier agent is to be taken over, or goes. */
static int meet_the_past(struct dataplane *d, const struct dataplane_options *o, struct instance *found,
			 char error[DATAPLANE_ERROR_MAX])
{
	char why[DATAPLANE_ERROR_MAX], names[128];

	switch (o->fresh ? PINS_NONE : pins_look(d->pin_dir, d->lb, &d->instance, found, why)) {
	case PINS_FIT:
		pins_drop_unfit(d->pin_dir, d->lb, found);
		d->maps.taken_over = true;
		/* Connections that were found may be of any kind that there were tables for, whatever is configured now. */
		spares_limit(&d->switches, found->small);
		d->switches.without_dsr = d->switches.without_transparent = false;
		d->switches.shared |= pins_are_shared(d->pin_dir);
		return 0;
	case PINS_ALIEN:
		pins_attached(d->pin_dir, names, sizeof(names));
		return dataplane_fail(-EEXIST, error,
				      "what an earlier agent left steers on %s and can't be taken over: %s. It goes on "
				      "steering. Start with --discard to begin anew in its place, or end it with `alwaysond "
				      "--unload --name %s`: its connections end then", names, why, o->name);
	default:
		pins_remove(d->pin_dir, d->sharing_fd);
		return 0;
	}
}

static int measure_machine(struct dataplane *d, char error[DATAPLANE_ERROR_MAX])
{
	struct instance *i = &d->instance;
	int r = make_directories(d->pin_dir);

	if (r == 0)
		r = measure_hz(d, &i->hz);
	if (r == 0 && getrandom(&i->flow_key, sizeof(i->flow_key), 0) != sizeof(i->flow_key))
		r = -EIO;
	if (r < 0)
		return dataplane_fail(r, error, "cannot measure the kernel's clock: %s", strerror(-r));
	i->tick_shift = shift_for(i->hz);
	return 0;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static struct dataplane *dataplane_new(const struct dataplane_options *options)
{
	struct dataplane *d = calloc(1, sizeof(*d));
	int cpus = libbpf_num_possible_cpus();

	if (!d)
		return NULL;
	d->instance_fd = d->ids_fd = d->sharing_fd = -1;
	snprintf(d->pin_dir, sizeof(d->pin_dir), "%s/%s", DATAPLANE_PIN_ROOT, options->name);
	d->switches = options->switches;
	d->instance = (struct instance){
		.abi = ABI_VERSION,
		.cpu_count = cpus > 0 ? cpus : 1,
		.slots = or_default(options->slots, DATAPLANE_SLOTS),
		.ports = or_default(options->ports, DATAPLANE_PORTS),
		.buckets4 = or_default(options->buckets4, dataplane_buckets(MODEL_FLOWS4)),
		.buckets6 = or_default(options->buckets6, dataplane_buckets(MODEL_FLOWS6)),
	};
	return d;
}

static void show_sizes(struct dataplane *d)
{
	d->maps.slot_count = d->instance.slots;
	d->maps.port_count = d->instance.ports;
	d->maps.bucket4_count = d->instance.buckets4;
	d->maps.bucket6_count = d->instance.buckets6;
	d->maps.cpu_count = d->instance.cpu_count;
	d->maps.flow_key = d->instance.flow_key;
	d->maps.tick_shift = d->instance.tick_shift;
	d->maps.hz = d->instance.hz;
}

/* Programs and maps, found or made. */
static int open_tables(struct dataplane *d, const struct dataplane_options *options, char error[DATAPLANE_ERROR_MAX])
{
	_cleanup_(spares_close) struct spare_fds spares = SPARE_FDS_NONE;
	struct instance found = {};
	_cleanup_close_ int slots = -1;
	int r = load_clock(d, error);

	if (r < 0)
		return r;
	d->lb = lb_bpf__open();
	if (!d->lb)
		return dataplane_fail(-errno, error, "cannot open the program: %s", strerror(errno));
	r = meet_the_past(d, options, &found, error);
	if (r < 0)
		return r;
	if (d->maps.taken_over) {
		const uint32_t wanted = d->instance.slots;

		d->instance = found;
		if (found.slots < wanted)
			d->instance.slots = wanted;
		d->instance.small &= spares_unused(&d->switches);
	} else {
		d->instance.small = spares_unused(&d->switches);
		r = measure_machine(d, error);
	}
	if (r == 0)
		r = load_program(d, &found, &slots, &spares, error);
	if (r < 0)
		return r;
	r = own_map(d, "ids", sizeof(struct dataplane_identity), DATAPLANE_IDS, &d->ids_fd);
	if (r == 0)
		r = map_all(d);
	if (r < 0)
		return dataplane_fail(r, error, "cannot map the tables: %s", strerror(-r));
	show_sizes(d);
	dataplane_beat(d, 0);
	if (d->maps.taken_over)
		links_take_over(d, options);
	/* After the links: who is killed in between leaves slots that are the same in both maps, and spares that nobody read. */
	r = slots < 0 ? 0 : map_pin_anew(d, "slots", slots);
	if (r == 0)
		r = spares_pin(d, &spares);
	if (r == 0)
		r = write_instance(d);
	return r < 0 ? dataplane_fail(r, error, "cannot pin the tables: %s", strerror(-r)) : 0;
}

int dataplane_open(const struct dataplane_options *options, struct dataplane **ret, char error[DATAPLANE_ERROR_MAX])
{
	struct dataplane *d = dataplane_new(options);
	int r;

	if (!d)
		return dataplane_fail(-ENOMEM, error, "out of memory");
	libbpf_set_print(silent);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	r = make_directories(d->pin_dir);
	if (r < 0)
		dataplane_fail(r, error, "%s: %s; is bpffs mounted? (mount -t bpf bpf /sys/fs/bpf)", d->pin_dir,
			       strerror(-r));
	else
		r = open_tables(d, options, error);
	if (r < 0) {
		/* What is not ours to take is not ours to remove. */
		dataplane_close(d, d->maps.taken_over || r == -EEXIST);
		return r;
	}
	d->maps.control->word &= ~CONTROL_TRACE; /* an agent that was killed left it on */
	*ret = d;
	return 0;
}

void dataplane_close(struct dataplane *d, bool leave)
{
	if (!d)
		return;
	d->closing = true;
	if (!leave)
		shared_close(d);
	links_close(d, leave);
	if (!leave)
		pins_remove(d->pin_dir, d->sharing_fd);
	if (d->instance_fd >= 0)
		close(d->instance_fd);
	if (d->ids_fd >= 0)
		close(d->ids_fd);
	cleanup_close(&d->sharing_fd);
	for (size_t i = 0; i < d->mappings.count; i++)
		munmap(d->mappings.items[i].memory, d->mappings.items[i].size);
	vec_done(&d->mappings);
	lb_bpf__destroy(d->lb);
	clock_bpf__destroy(d->clock);
	vec_done(&d->links);
	vec_done(&d->asked);
	vec_done(&d->ports);
	vec_done(&d->shown);
	free(d);
}

struct dataplane_maps *dataplane_maps(struct dataplane *d)
{
	return &d->maps;
}

int dataplane_program_fd(const struct dataplane *d)
{
	return bpf_program__fd(d->lb->progs.lb);
}

int dataplane_sharing(const struct dataplane *d)
{
	return d->sharing_fd;
}

int dataplane_devices_fd(const struct dataplane *d)
{
	return bpf_map__fd(d->lb->maps.devices);
}

unsigned dataplane_verified_instructions(const struct dataplane *d)
{
	return d->verified;
}

const struct dataplane_switches *dataplane_switches(const struct dataplane *d)
{
	return &d->switches;
}

unsigned dataplane_left_behind(const char *name, char *text, size_t size)
{
	char dir[256];

	snprintf(dir, sizeof(dir), "%s/%s", DATAPLANE_PIN_ROOT, name);
	return pins_attached(dir, text, size);
}

bool dataplane_is_shared(const char *name)
{
	char dir[256];

	snprintf(dir, sizeof(dir), "%s/%s", DATAPLANE_PIN_ROOT, name);
	return pins_are_shared(dir);
}

void dataplane_discard(const char *name)
{
	char dir[256];

	snprintf(dir, sizeof(dir), "%s/%s", DATAPLANE_PIN_ROOT, name);
	pins_remove(dir, -1);
}

void dataplane_beat(struct dataplane *d, uint32_t ms)
{
	uint32_t jiffies;

	if (read_jiffies(d, &jiffies) == 0)
		__atomic_store_n(&d->maps.control->heartbeat, jiffies + (uint32_t)((uint64_t)ms * d->maps.hz / 1000),
				 __ATOMIC_RELEASE);
}
