/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions about the host as such. Called by the tables of doctor.c. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/control.h"
#include "dataplane/inspect.h"
#include "doctor/internal.h"

/* The oldest kernel that does all the program asks of it: XDP with fragments on veth. */
enum { KERNEL_MAJOR = 5, KERNEL_MINOR = 18 };
/* From here on maps no longer count as locked memory. */
enum { MEMLOCK_MAJOR = 5, MEMLOCK_MINOR = 11, MEMLOCK_WANTED_MB = 128 };
/* Sockets besides those of the checks: control, metrics, netlink, logs, maps. */
enum { FILES_BESIDES = 512, FILES_RAISED = 65536 };

void doctor_kernel(struct doctor *d)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	if (doctor_kernel_is_at_least(KERNEL_MAJOR, KERNEL_MINOR))
		doctor_say(d, DOCTOR_OK, "host", "", "Linux %.60s on %.30s", u.release, u.machine);
	else
		doctor_say(d, DOCTOR_FAIL, "host", "boot a newer kernel; Debian 12 has 6.1 and, in backports, newer ones",
			   "Linux %.60s is too old: the program needs %d.%d", u.release, KERNEL_MAJOR, KERNEL_MINOR);
}

void doctor_btf(struct doctor *d)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
		doctor_say(d, DOCTOR_OK, "host", "", "the kernel tells its types (/sys/kernel/btf/vmlinux)");
	else
		doctor_say(d, DOCTOR_NOTE, "host", "take a kernel with CONFIG_DEBUG_INFO_BTF=y where you want them",
			   "no /sys/kernel/btf/vmlinux: steering does without, but libxdp's dispatcher and tracing tools do "
			   "not");
}

void doctor_bpffs(struct doctor *d)
{
	if (inspect_has_bpffs())
		doctor_say(d, DOCTOR_OK, "host", "", "/sys/fs/bpf is a BPF file system");
	else
		doctor_say(d, DOCTOR_FAIL, "host",
			   "mount -t bpf bpf /sys/fs/bpf (after `ip netns exec`, which hides it: use nsenter --net)",
			   "/sys/fs/bpf is no BPF file system: maps and links can't be pinned, alwaysond does not start");
}

void doctor_capabilities(struct doctor *d)
{
	static const struct { unsigned number; const char *name, *why; } needed[] = {
		{ CAP_BPF, "CAP_BPF", "load the program" },
		{ CAP_PERFMON, "CAP_PERFMON", "pass the verifier as a trusted program" },
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "attach, and ask for neighbours" },
		{ CAP_NET_RAW, "CAP_NET_RAW", "reset connections that it ends" },
	};
	const int pid = doctor_agent_pid(d);
	const char *who = pid ? "the agent" : "this process";
	bool all = true;

	for (size_t i = 0; i < array_size(needed); i++) {
		if (doctor_has_capability(pid, needed[i].number))
			continue;
		all = false;
		doctor_say(d, DOCTOR_FAIL, pid ? "agent" : "host",
			   pid ? "start it as root, or give the unit AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_NET_ADMIN "
				 "CAP_NET_RAW" :
				 "run this as root; in a container give it CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW",
			   "%s lacks %s: it can't %s; an alwaysond started like this does not run", who, needed[i].name,
			   needed[i].why);
	}
	if (all)
		doctor_say(d, DOCTOR_OK, pid ? "agent" : "host", "", "%s has CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW",
			   who);
	if (!pid && all && !doctor_has_capability(0, CAP_SYS_ADMIN))
		doctor_say(d, DOCTOR_NOTE, "host", "run this as root with all of its rights to have it all looked at",
			   "without CAP_SYS_ADMIN other people's programs and the peers of veths can't be looked at");
}

static size_t sockets_wanted(const struct model *m)
{
	size_t count = FILES_BESIDES + CONTROL_CLIENTS_MAX;

	for (size_t b = 0; m && b < m->backends.count; b++)
		for (size_t s = 0; s < m->backends.items[b].servers.count; s++) {
			count += m->backends.items[b].servers.items[s].check;
			count += m->backends.items[b].servers.items[s].agent;
		}
	return count;
}

/* What the agent has, or would get: it raises the limit where it may. */
static unsigned long long file_limit(int pid)
{
	unsigned long long files = 0;
	_cleanup_fclose_ FILE *f = NULL;
	struct rlimit own;
	char text[256];

	if (!pid) {
		if (getrlimit(RLIMIT_NOFILE, &own) < 0)
			return 0;
		return own.rlim_max < FILES_RAISED && doctor_has_capability(0, CAP_SYS_RESOURCE) ? FILES_RAISED :
												 own.rlim_max;
	}
	snprintf(text, sizeof(text), "/proc/%d/limits", pid);
	f = fopen(text, "re");
	while (f && fgets(text, sizeof(text), f))
		if (sscanf(text, "Max open files %llu", &files) == 1)
			break;
	return files;
}

void doctor_limits(struct doctor *d)
{
	const int pid = doctor_agent_pid(d);
	const unsigned long long files = file_limit(pid);
	const size_t wanted = sockets_wanted(d->subject->model);
	struct rlimit lock;
	bool well = true;

	if (files && files < wanted) {
		doctor_say(d, DOCTOR_WARN, pid ? "agent" : "host",
			   doctor_remedy("LimitNOFILE=%zu in the unit, or `ulimit -n %zu` before the start", wanted, wanted),
			   "%llu open files are allowed, and %zu may be wanted at a time: checks fail for want of sockets",
			   files, wanted);
		well = false;
	}
	if (!pid && !doctor_kernel_is_at_least(MEMLOCK_MAJOR, MEMLOCK_MINOR) && getrlimit(RLIMIT_MEMLOCK, &lock) == 0 &&
	    lock.rlim_max < (rlim_t)MEMLOCK_WANTED_MB << 20 && !doctor_has_capability(0, CAP_SYS_RESOURCE)) {
		doctor_say(d, DOCTOR_WARN, "host", "LimitMEMLOCK=infinity in the unit, or `ulimit -l unlimited`",
			   "%llu KiB may be locked; this kernel counts the tables (%d MiB and more) as that",
			   (unsigned long long)lock.rlim_max >> 10, MEMLOCK_WANTED_MB);
		well = false;
	}
	if (well)
		doctor_say(d, DOCTOR_OK, pid ? "agent" : "host", "", "%llu open files allowed, %zu may be wanted", files,
			   wanted);
}

void doctor_ports(struct doctor *d)
{
	const struct model *m = d->subject->model;
	const struct model_backend *b;
	uint16_t low, high, own_low = 0, own_high = 0;
	bool nat = false;

	for (size_t i = 0; m && i < m->backends.count; i++)
		nat = nat || m->backends.items[i].forward == MODEL_NAT;
	if (!nat || net_port_range(&low, &high) < 0)
		return;
	b = model_find_port_clash(m, low, high, &own_low, &own_high);
	if (!b)
		doctor_say(d, DOCTOR_OK, "host", "", "own ports towards servers lie outside ip_local_port_range (%u-%u)", low,
			   high);
	else
		doctor_say(d, DOCTOR_FAIL, b->name,
			   doctor_remedy("sysctl -w net.ipv4.ip_local_port_range=\"%u %u\", or other ports by `source-pool "
					 "ADDR:LOW-HIGH`", own_high < 60000 ? own_high + 1u : 32768u, own_high < 60000 ?
					 60999u : own_low - 1u),
			   "own ports towards servers, %u-%u, overlap net.ipv4.ip_local_port_range, %u-%u: alwaysond refuses "
			   "to start", own_low, own_high, low, high);
}

void doctor_ip_forward(struct doctor *d)
{
	for (size_t i = 0; i < d->nics.count; i++) {
		const char *name = d->nics.items[i].device.name;
		char path[80];
		long value;

		snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", name);
		if (doctor_number(path, &value) < 0)
			continue;
		if (value)
			doctor_say(d, DOCTOR_OK, name, "", "forwards: replies find their way also past 4095 next hops to clients");
		else
			doctor_say(d, DOCTOR_NOTE, name,
				   doctor_remedy("sysctl -w net.ipv4.conf.%s.forwarding=1 where clients come by that many", name),
				   "does not forward, which steering does not need: only replies past 4095 next hops to clients "
				   "(verdict hops_full) would");
	}
}
