/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attachments that are entries in libxdp's dispatcher. Adding and removing one takes libxdp as long as it takes (it builds a
 * dispatcher anew, and waits for other tools' locks), so that a process of its own does it (sharing.h); what came of it is
 * heard by the loop. A NIC that libxdp is being asked for is left alone until then.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dataplane/dispatcher.h"
#include "dataplane/internal.h"
#include "dataplane/sharing.h"

bool shared_is_asked(const struct dataplane *d, unsigned ifindex)
{
	for (size_t i = 0; i < d->asked.count; i++)
		if (!ifindex || d->asked.items[i].ifindex == ifindex)
			return true;
	return false;
}

bool dataplane_is_asking(const struct dataplane *d)
{
	return shared_is_asked(d, 0);
}

static int ask(struct dataplane *d, bool add, unsigned ifindex, const char *name, unsigned priority)
{
	struct asked *q = d->sharing_fd < 0 ? NULL : vec_push(&d->asked);
	int r = q ? 0 : d->sharing_fd < 0 ? -EPIPE : -ENOMEM;

	if (r < 0)
		return r;
	*q = (struct asked){ .add = add, .ifindex = ifindex, .priority = priority };
	snprintf(q->name, sizeof(q->name), "%s", name);
	r = sharing_ask(d->sharing_fd, add ? SHARING_ADD : SHARING_REMOVE, ifindex, priority, &q->number);
	if (r < 0)
		d->asked.count--;
	return r;
}

/* An entry that was taken over does not say with which priority it was added; libxdp does. */
void dataplane_set_sharing(struct dataplane *d, int fd, const char *refused)
{
	d->sharing_fd = fd;
	snprintf(d->sharing_refused, sizeof(d->sharing_refused), "%s", refused);
	for (size_t i = 0; i < d->links.count; i++) {
		struct dataplane_attachment *at = &d->links.items[i].shown;

		if (at->shared && !at->priority_known)
			at->priority_known = sharing_priority(fd, at->ifindex, &at->priority) == 0;
	}
}

const char *dataplane_sharing_refused(const struct dataplane *d)
{
	if (d->sharing_fd < 0)
		return "the process that asks libxdp (alwaysond-xdp) does not run";
	return d->sharing_refused[0] ? d->sharing_refused : NULL;
}

int dataplane_share(struct dataplane *d, unsigned ifindex, const char *name, unsigned priority,
		    char error[DATAPLANE_ERROR_MAX])
{
	int r;

	if (links_find(d, ifindex))
		return dataplane_fail(-EALREADY, error, "%s: already attached", name);
	if (shared_is_asked(d, ifindex))
		return 0;
	/* Nothing is let go for it: who was refused may ask again, and hears why. */
	if (!d->switches.shared && !d->sharing_refused[0])
		return dataplane_fail(-EINVAL, error, "%s: the program is not loaded for libxdp's dispatcher: write "
						      "`xdp shared` in the configuration", name);
	r = ask(d, true, ifindex, name, priority);
	return r < 0 ? dataplane_fail(r, error, "%s: libxdp can't be asked: %s", name,
				      r == -EPIPE ? "the process that does so (alwaysond-xdp) has ended: start the agent anew" :
						    strerror(-r)) : 0;
}

/* The entry was added empty, and steers from now on. */
static int begin_to_steer(struct dataplane *d, const struct asked *q, char error[DATAPLANE_ERROR_MAX])
{
	struct link *l = NULL;
	int fd = dispatcher_open(d->pin_dir, q->ifindex);
	int r = fd < 0 ? fd : links_remember(d, q->ifindex, q->name, fd, &l);

	if (l) {
		l->shown.shared = l->shown.priority_known = true;
		l->shown.priority = q->priority;
	}
	if (r == 0)
		r = dispatcher_set(fd, dataplane_program_fd(d));
	if (r == 0)
		return 0;
	if (l) {
		dataplane_detach(d, q->ifindex);
	} else {
		cleanup_close(&fd);
		ask(d, false, q->ifindex, q->name, 0);
	}
	return dataplane_fail(r, error, "%s: the entry in libxdp's dispatcher can't go on to the program: %s", q->name,
			      strerror(-r));
}

static int hear(struct dataplane *d, const struct asked *q, const struct sharing_answer *a, struct dataplane_heard *ret)
{
	int r = a->r;

	*ret = (struct dataplane_heard){ .ifindex = q->ifindex, .add = q->add };
	snprintf(ret->name, sizeof(ret->name), "%s", q->name);
	if (q->add && r == 0)
		r = begin_to_steer(d, q, ret->error);
	else if (q->add)
		dataplane_fail(r, ret->error, "%s: %.400s", q->name, a->error);
	else if (r < 0 && r != -ENOENT)
		dataplane_fail(r, ret->error, "%s: libxdp can't take our entry out of its dispatcher (%s): it passes all packets on",
			       q->name, strerror(-r));
	ret->r = q->add || r != -ENOENT ? r : 0;
	return 1;
}

int dataplane_hear(struct dataplane *d, struct dataplane_heard *ret)
{
	struct sharing_answer a;
	int r;

	while ((r = d->sharing_fd < 0 ? 0 : sharing_next(d->sharing_fd, &a)) > 0)
		for (size_t i = 0; i < d->asked.count; i++) {
			const struct asked q = d->asked.items[i];

			if (q.number != a.number)
				continue;
			d->asked.items[i] = d->asked.items[--d->asked.count];
			return hear(d, &q, &a, ret);
		}
	if (r < 0) {
		cleanup_close(&d->sharing_fd);
		d->sharing_fd = -1;
		d->asked.count = 0;
	}
	return r;
}

void shared_leave(struct dataplane *d, const struct link *l)
{
	const unsigned ifindex = l->shown.ifindex;
	const bool held = dataplane_holds(d, &l->shown);

	dispatcher_set(l->fd, -1);
	if (held && !d->closing && ask(d, false, ifindex, l->shown.name, 0) == 0)
		return;
	if (held)
		sharing_remove(d->sharing_fd, d->pin_dir, ifindex);
	dispatcher_forget(d->pin_dir, ifindex);
}

/* Where another tool has taken it out, the agent adds one anew. */
void shared_take_over(struct dataplane *d, unsigned ifindex)
{
	int fd = dispatcher_open(d->pin_dir, ifindex);
	char name[IF_NAMESIZE];
	struct link *l;
	bool native;

	if (fd >= 0 && if_indextoname(ifindex, name) && dispatcher_holds(d->pin_dir, ifindex, &native) &&
	    links_remember(d, ifindex, name, fd, &l) == 0) {
		l->shown.shared = true;
		return;
	}
	cleanup_close(&fd);
	dispatcher_forget(d->pin_dir, ifindex);
}

void shared_close(struct dataplane *d)
{
	for (size_t i = 0; i < d->asked.count; i++)
		if (d->asked.items[i].add)
			sharing_remove(d->sharing_fd, d->pin_dir, d->asked.items[i].ifindex);
	d->asked.count = 0;
}
