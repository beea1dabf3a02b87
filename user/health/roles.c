/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may serve. Called by server_role.c after every check. The rules that keep data safe:
 *
 *   A server that is set up to replicate from a member of the pool is no primary, running or not, whatever it says;
 *   nor is one whose source is not known while it may be a member whose id is not known yet.
 *   No writer is admitted before every server of the pool has been heard of.
 *   With more writers than max-writers, those in service stay (keep) or none does (none); none is ever added.
 *   Members of one cluster agree on every write: among them there is no conflict, only a choice.
 */
#include "health/roles.h"

#include <stdio.h>
#include <string.h>

/* Restored from before a restart, and not heard of yet: it goes on as it was. */
static bool is_pending(const struct role_member *m)
{
	return m->counts && !m->heard;
}

static bool is_candidate_for_anything(const struct role_member *m)
{
	return m->counts && m->up && m->knows && (m->facts.figures & PLUGIN_HAS_ROLE) &&
	       !(m->facts.role & PLUGIN_CLUSTER_BROKEN);
}

/* The member with that id, other than m; NULL. */
static const struct role_member *member_of_id(struct role_member *const *members, size_t count,
					      const struct role_member *m, uint64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (members[i] != m && members[i]->id == id)
			return members[i];
	return NULL;
}

/* Is there a server that could have any id, since it has never told its own? */
static bool has_stranger(struct role_member *const *members, size_t count, const struct role_member *m)
{
	for (size_t i = 0; i < count; i++)
		if (members[i] != m && members[i]->counts && !members[i]->id)
			return true;
	return false;
}

/* Does it, or may it, replicate from a member? Then text says so. */
static bool follows_member(struct role_member *const *members, size_t count, const struct role_member *m, char *text,
			   size_t size)
{
	if (!(m->facts.role & PLUGIN_REPLICA))
		return false;
	for (uint32_t i = 0; i < m->facts.source_count && i < PLUGIN_SOURCES_MAX; i++) {
		uint64_t id = m->facts.source_ids[i];

		if (member_of_id(members, count, m, id)) {
			snprintf(text, size, "replica of server id %llu", (unsigned long long)id);
			return true;
		}
		if (has_stranger(members, count, m)) {
			snprintf(text, size, "replica of server id %llu, which may be one of this backend",
				 (unsigned long long)id);
			return true;
		}
	}
	if (m->facts.role & PLUGIN_SOURCE_UNKNOWN) {
		snprintf(text, size, "replica of a source it has never reached");
		return true;
	}
	return false;
}

/* Takes writes, and follows nobody here: the pool's own writer, or one of several. */
static bool is_writer(struct role_member *const *members, size_t count, struct role_member *m)
{
	char text[ROLE_TEXT_MAX] = "";
	bool follows;

	if (!is_candidate_for_anything(m))
		return false;
	follows = follows_member(members, count, m, text, sizeof(text));
	if (m->facts.role & PLUGIN_WRITABLE && !follows)
		return true;
	if (follows)
		snprintf(m->text, sizeof(m->text), "%s%s", text,
			 m->facts.role & PLUGIN_WRITABLE ? " (though it takes writes)" : "");
	else
		snprintf(m->text, sizeof(m->text), "read only");
	return false;
}

static bool same_cluster(const struct role_member *a, const struct role_member *b)
{
	return (a->facts.role & PLUGIN_CLUSTERED) && (b->facts.role & PLUGIN_CLUSTERED) &&
	       a->facts.cluster_id == b->facts.cluster_id;
}

/* ---- the writers ---- */

enum mark { MARK_NONE, MARK_WRITER, MARK_ADMITTED };

/* More of them than there may be, and not all of one cluster. */
static bool is_conflict(const struct model_roles *policy, struct role_member *const *members, const uint8_t *marks,
			size_t count, size_t writers)
{
	const struct role_member *first = NULL;

	if (writers <= policy->max_writers)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (marks[i] != MARK_WRITER)
			continue;
		if (first && !same_cluster(first, members[i]))
			return true;
		first = members[i];
	}
	return false;
}

/* Admits up to max-writers: those in service first, then in the order of the file. */
static void admit_writers(const struct model_roles *policy, struct role_member *const *members, uint8_t *marks,
			  size_t count, bool only_serving)
{
	size_t admitted = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < count && admitted < policy->max_writers; i++) {
			if (marks[i] != MARK_WRITER || (members[i]->serves != (pass == 0)) ||
			    (pass == 1 && only_serving))
				continue;
			marks[i] = MARK_ADMITTED;
			admitted++;
		}
}

/* Marks who writes, and who of them is admitted. */
static void find_writers(const struct model_roles *policy, struct role_member *const *members, size_t count,
			 uint8_t *marks, struct roles_outcome *ret)
{
	bool all_heard = true;

	for (size_t i = 0; i < count; i++) {
		marks[i] = is_writer(members, count, members[i]) ? MARK_WRITER : MARK_NONE;
		ret->writers += marks[i] == MARK_WRITER;
		all_heard &= !members[i]->counts || members[i]->heard;
	}
	ret->conflict = is_conflict(policy, members, marks, count, ret->writers);
	if (ret->conflict && !policy->keep)
		return;
	/* A second writer may be among those that have not been heard of: whoever serves goes on, nobody is added. */
	admit_writers(policy, members, marks, count, ret->conflict || !all_heard);
}

static void decide_primary(const struct model_roles *policy, struct role_member *m, enum mark mark,
			   const struct roles_outcome *o)
{
	bool clustered = m->facts.role & PLUGIN_CLUSTERED;

	if (is_pending(m))
		return;
	m->serves = mark == MARK_ADMITTED;
	if (m->serves)
		snprintf(m->text, sizeof(m->text), "%s", clustered ? "primary, by choice among the cluster's" : "primary");
	else if (mark == MARK_WRITER && o->conflict)
		snprintf(m->text, sizeof(m->text), "conflict: %zu servers take writes%s", o->writers,
			 policy->keep ? ", and this one was not in service" : "");
	else if (mark == MARK_WRITER && clustered)
		snprintf(m->text, sizeof(m->text), "not the cluster's chosen writer");
	else if (mark == MARK_WRITER)
		snprintf(m->text, sizeof(m->text), "takes writes; waits until all servers have been heard of");
}

/* ---- the readers ---- */

static void format_lag(uint32_t lag_ms, char *text, size_t size)
{
	snprintf(text, size, "%u.%u s", lag_ms / 1000, lag_ms % 1000 / 100);
}

/* Is the lag within bounds? Once beyond max-lag it has to come back to recover-lag. */
static bool lag_is_good(const struct model_roles *policy, struct role_member *m)
{
	uint32_t bound = policy->max_lag_ms;

	if (!bound)
		return true;
	if (m->lags && policy->recover_lag_ms)
		bound = policy->recover_lag_ms;
	m->lags = m->facts.lag_ms > bound;
	return !m->lags;
}

/* Full weight without lag, a quarter of it near max-lag: in quarters, so that tables are not rebuilt all the time. */
static unsigned percent_of_lag(const struct model_roles *policy, uint32_t lag_ms)
{
	uint64_t quarters = (uint64_t)lag_ms * 4 / policy->max_lag_ms;

	return quarters >= 3 ? 25 : (unsigned)(100 - 25 * quarters);
}

static bool is_good_replica(const struct model_roles *policy, struct role_member *m, bool follows_in_cluster)
{
	const struct role_facts *f = &m->facts;
	char lag[24];

	if (!follows_in_cluster && !(f->role & PLUGIN_REPLICATING)) {
		m->lags = false;
		snprintf(m->text, sizeof(m->text), "replica: %.80s", f->text[0] ? f->text : "replication does not run");
		return false;
	}
	if (!(f->figures & PLUGIN_HAS_LAG)) {
		snprintf(m->text, sizeof(m->text), "replica: %.80s", f->text[0] ? f->text : "lag not known");
		return false;
	}
	format_lag(f->lag_ms, lag, sizeof(lag));
	if (!lag_is_good(policy, m)) {
		char bound[24];

		format_lag(policy->recover_lag_ms && f->lag_ms <= policy->max_lag_ms ? policy->recover_lag_ms :
										       policy->max_lag_ms,
			   bound, sizeof(bound));
		snprintf(m->text, sizeof(m->text), "replica, lag %s, above %s", lag, bound);
		return false;
	}
	snprintf(m->text, sizeof(m->text), "replica, lag %s", lag);
	if (policy->weight_by_lag)
		m->weight_percent = percent_of_lag(policy, f->lag_ms);
	return true;
}

/* Does it share its writes with members that take none: the one primary of a replication group? */
static bool is_single_primary(struct role_member *const *members, const uint8_t *marks, size_t count, size_t which)
{
	for (size_t i = 0; i < count; i++)
		if (i != which && marks[i] == MARK_NONE && is_candidate_for_anything(members[i]) &&
		    same_cluster(members[i], members[which]))
			return true;
	return false;
}

/* A reader: a replica that runs and is close, or a whole member of a cluster where all take writes. */
static bool is_reader(const struct model_roles *policy, struct role_member *const *members, const uint8_t *marks,
		      size_t count, size_t which)
{
	struct role_member *m = members[which];
	bool writer = marks[which] != MARK_NONE, clustered = m->facts.role & PLUGIN_CLUSTERED;

	if ((m->facts.role & PLUGIN_REPLICA) && !writer)
		return is_good_replica(policy, m, false);
	if (clustered && !writer)
		return is_good_replica(policy, m, true);
	if (clustered && !is_single_primary(members, marks, count, which)) {
		snprintf(m->text, sizeof(m->text), "whole member of the cluster");
		return true;
	}
	if (!writer)
		snprintf(m->text, sizeof(m->text), "read only, but it replicates from nobody");
	return false;
}

static void decide_readers(const struct model_roles *policy, struct role_member *const *members, const uint8_t *marks,
			   size_t count)
{
	size_t readers = 0;

	for (size_t i = 0; i < count; i++) {
		struct role_member *m = members[i];

		if (is_pending(m)) {
			readers += m->serves;
			continue;
		}
		m->serves = is_candidate_for_anything(m) && is_reader(policy, members, marks, count, i);
		readers += m->serves;
	}
	for (size_t i = 0; i < count; i++) {
		struct role_member *m = members[i];

		if (marks[i] == MARK_NONE || m->serves || is_pending(m))
			continue;
		m->serves = policy->or_primary && !readers && marks[i] == MARK_ADMITTED;
		snprintf(m->text, sizeof(m->text), "%s", m->serves ? "primary, for want of a replica" :
							 policy->or_primary ? "primary; there are replicas" : "primary");
	}
}

/* ---- all of it ---- */

static void begin(struct role_member *m)
{
	m->weight_percent = 100;
	m->text[0] = '\0';
	if (!m->counts || !m->up) {
		m->lags = false;
		return;
	}
	if (!m->knows)
		return;
	if (m->facts.figures & PLUGIN_HAS_WEIGHT && m->facts.weight_percent < 100)
		m->weight_percent = m->facts.weight_percent ? m->facts.weight_percent : 1;
	snprintf(m->text, sizeof(m->text), "%s", m->facts.text);
}

void roles_decide(const struct model_roles *policy, struct role_member *const *members, size_t count,
		  struct roles_outcome *ret)
{
	uint8_t marks[MODEL_ROLE_SERVERS_MAX];

	*ret = (struct roles_outcome){};
	for (size_t i = 0; i < count; i++)
		begin(members[i]);
	if (policy->role == MODEL_ROLE_ANY) {
		for (size_t i = 0; i < count; i++)
			members[i]->serves = members[i]->counts && members[i]->up;
		return;
	}
	find_writers(policy, members, count, marks, ret);
	if (policy->role == MODEL_ROLE_REPLICA) {
		/* For its readers a conflict of writers is somebody else's. */
		ret->conflict = false;
		decide_readers(policy, members, marks, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		decide_primary(policy, members[i], marks[i], ret);
}
