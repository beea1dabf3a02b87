/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server is: does it take writes, whom does it replicate from and does that run, how late is it, is it a whole
 * member of a cluster. MySQL 5.7, 8.0, 8.4, MariaDB 10 and 11, Galera, group replication. Called by mysql.c.
 * Variables, states and columns are looked up by name. States facts only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

enum { ERROR_SYNTAX = 1064, ERROR_NEEDS_RIGHT = 1227, ERROR_TABLE_DENIED = 1142, ERROR_NO_TABLE = 1146 };

struct variables {
	bool read_only, galera, mariadb, group;
	uint64_t server_id, group_hash;
	char server_uuid[40];
};

struct channels {
	const char *wanted;     /* NULL = all */
	unsigned count, all;    /* those that are looked at; all of them */
	bool stopped, lag_unknown, source_unknown;
	uint64_t lag_ms;
	uint64_t ids[PLUGIN_SOURCES_MAX];
	unsigned id_count;
	char why[PLUGIN_TEXT_MAX - 16]; /* it does not run, or the lag isn't known */
};

/* FNV-1a: a cluster's name as a number that is equal in all of its members. Never 0. */
static uint64_t hash_text(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h ? h : 1;
}

/* "OFF", "0" and "NO" are off; MariaDB 12 has several words for on. */
static bool is_on(const char *value)
{
	return value && *value && strcasecmp(value, "OFF") && strcmp(value, "0") && strcasecmp(value, "NO");
}

static void take_variable(const struct row *r, void *ctx)
{
	struct variables *v = ctx;
	const char *name = row_get(r, "Variable_name", NULL), *value = row_get(r, "Value", NULL);

	if (!name || !value)
		return;
	if (!strcasecmp(name, "server_id"))
		v->server_id = strtoull(value, NULL, 10);
	else if (!strcasecmp(name, "read_only") || !strcasecmp(name, "super_read_only") ||
		 !strcasecmp(name, "innodb_read_only"))
		v->read_only |= is_on(value);
	else if (!strcasecmp(name, "server_uuid"))
		snprintf(v->server_uuid, sizeof(v->server_uuid), "%s", value);
	else if (!strcasecmp(name, "version"))
		v->mariadb = strstr(value, "MariaDB") != NULL;
	else if (!strcasecmp(name, "wsrep_provider"))
		v->galera |= *value && strcasecmp(value, "none");
	else if (!strcasecmp(name, "group_replication_group_name") && *value)
		v->group_hash = hash_text(value), v->group = true;
}

static bool find_variables(struct session *s, struct variables *v)
{
	static const char sql[] = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_id', 'read_only', "
				  "'super_read_only', 'innodb_read_only', 'server_uuid', 'version', 'wsrep_provider', "
				  "'group_replication_group_name')";

	if (!session_query(s, sql, 0, take_variable, v))
		return false;
	s->result->figures |= PLUGIN_HAS_ROLE;
	s->result->role |= v->read_only ? 0 : PLUGIN_WRITABLE;
	if (v->server_id) {
		s->result->figures |= PLUGIN_HAS_SERVER_ID;
		s->result->server_id = v->server_id;
	}
	return true;
}

/* ---- Galera ---- */

struct galera {
	bool primary, ready;
	unsigned state;
	char comment[32];
	uint64_t cluster_id;
};

static void take_galera(const struct row *r, void *ctx)
{
	struct galera *g = ctx;
	const char *name = row_get(r, "Variable_name", NULL), *value = row_get(r, "Value", NULL);

	if (!name || !value)
		return;
	if (!strcasecmp(name, "wsrep_cluster_status"))
		g->primary = !strcasecmp(value, "Primary");
	else if (!strcasecmp(name, "wsrep_local_state"))
		g->state = (unsigned)strtoul(value, NULL, 10);
	else if (!strcasecmp(name, "wsrep_ready"))
		g->ready = is_on(value);
	else if (!strcasecmp(name, "wsrep_local_state_comment"))
		snprintf(g->comment, sizeof(g->comment), "%s", value);
	else if (!strcasecmp(name, "wsrep_cluster_state_uuid"))
		g->cluster_id = hash_text(value);
}

static bool find_galera(struct session *s)
{
	enum { SYNCED = 4 };
	struct galera g = {};

	if (!session_query(s, "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_status', 'wsrep_local_state', "
			      "'wsrep_ready', 'wsrep_local_state_comment', 'wsrep_cluster_state_uuid')",
			   0, take_galera, &g))
		return false;
	s->result->cluster_id = g.cluster_id;
	if (g.primary && g.ready && g.state == SYNCED) {
		s->result->role |= PLUGIN_CLUSTERED;
		/* It applies what the others commit before it answers for itself (wsrep_sync_wait aside). */
		s->result->figures |= PLUGIN_HAS_LAG;
		return true;
	}
	s->result->role |= PLUGIN_CLUSTER_BROKEN;
	s->result->role &= ~(uint32_t)PLUGIN_WRITABLE;
	snprintf(s->result->text, sizeof(s->result->text), "%s",
		 !g.primary ? "Galera: cut off from the cluster's majority (wsrep_cluster_status)" : "Galera: not synced");
	if (g.primary && g.comment[0])
		snprintf(s->result->text, sizeof(s->result->text), "Galera: not synced but %s", g.comment);
	return true;
}

/* ---- group replication ---- */

struct group {
	const char *uuid;
	unsigned members, online;
	char state[24];
};

static void take_member(const struct row *r, void *ctx)
{
	struct group *g = ctx;
	const char *id = row_get(r, "MEMBER_ID", NULL), *state = row_get(r, "MEMBER_STATE", NULL);

	if (!id || !*id || !state)
		return;
	g->members++;
	g->online += !strcmp(state, "ONLINE") || !strcmp(state, "RECOVERING");
	if (!strcasecmp(id, g->uuid))
		snprintf(g->state, sizeof(g->state), "%s", state);
}

struct number {
	bool known;
	int64_t value;
};

static void take_number(const struct row *r, void *ctx)
{
	struct number *n = ctx;

	if (!r->count || !r->values[0])
		return;
	n->known = true;
	n->value = strtoll(r->values[0], NULL, 10);
}

/* How long ago what a secondary applies just now was committed on the primary; nothing to apply is no lag. */
static bool find_group_lag(struct session *s)
{
	struct number n = {};

	if (!session_query(s, "SELECT COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, "
			      "APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP, NOW(6))), 0) "
			      "FROM performance_schema.replication_applier_status_by_worker "
			      "WHERE CHANNEL_NAME = 'group_replication_applier' AND APPLYING_TRANSACTION <> ''",
			   1054 /* no such column: MySQL 5.7 */, take_number, &n))
		return !s->failed;
	if (n.known) {
		s->result->figures |= PLUGIN_HAS_LAG;
		s->result->lag_ms = n.value > 0 ? (uint32_t)(n.value / 1000) : 0;
	}
	return true;
}

static bool find_group(struct session *s, const struct variables *v, bool heartbeat)
{
	struct group g = { .uuid = v->server_uuid };

	if (!session_query(s, "SELECT * FROM performance_schema.replication_group_members", ERROR_TABLE_DENIED,
			   take_member, &g))
		return s->failed ? false :
				   session_fail(s, PLUGIN_REFUSED, "GRANT SELECT ON performance_schema.* is missing");
	if (!g.members || (g.members == 1 && !strcmp(g.state, "OFFLINE")))
		return true; /* set up, but not started: a server like any other */
	s->result->cluster_id = v->group_hash;
	if (!strcmp(g.state, "ONLINE") && 2 * g.online > g.members) {
		s->result->role |= PLUGIN_CLUSTERED;
		if ((s->result->role & PLUGIN_WRITABLE) || heartbeat)
			return true;
		return find_group_lag(s);
	}
	s->result->role |= PLUGIN_CLUSTER_BROKEN;
	s->result->role &= ~(uint32_t)PLUGIN_WRITABLE;
	if (2 * g.online > g.members)
		snprintf(s->result->text, sizeof(s->result->text), "group replication: this member is %s",
			 g.state[0] ? g.state : "not in the group");
	else
		snprintf(s->result->text, sizeof(s->result->text), "group replication: %u of %u members, no quorum",
			 g.online, g.members);
	return true;
}

/* ---- replication ---- */

static void say(struct channels *c, const char *name, const char *what, const char *error)
{
	if (c->why[0])
		return;
	snprintf(c->why, sizeof(c->why), "%s%s%s%s%s%s", *name ? "channel " : "", name, *name ? ": " : "", what,
		 error && *error ? ": " : "", error ? error : "");
}

static void take_source(struct channels *c, const char *id)
{
	uint64_t value = id ? strtoull(id, NULL, 10) : 0;

	/* 0: it has never been connected. More sources than there is room for count as unknown, which is the safe side. */
	if (!value || c->id_count == PLUGIN_SOURCES_MAX)
		c->source_unknown = true;
	else
		c->ids[c->id_count++] = value;
}

static void take_channel(const struct row *r, void *ctx)
{
	struct channels *c = ctx;
	const char *name = row_get(r, "Connection_name", "Channel_Name");
	const char *io = row_get(r, "Slave_IO_Running", "Replica_IO_Running");
	const char *sql = row_get(r, "Slave_SQL_Running", "Replica_SQL_Running");
	const char *lag = row_get(r, "Seconds_Behind_Master", "Seconds_Behind_Source");
	bool connecting = io && !strcasecmp(io, "Connecting");

	name = name ? name : "";
	if (!strncmp(name, "group_replication_", 18))
		return; /* the group's own, which tells of itself elsewhere */
	c->all++;
	/* Every source counts for who may be the primary, whichever channel is looked at. */
	take_source(c, row_get(r, "Master_Server_Id", "Source_Server_Id"));
	if (c->wanted && strcasecmp(c->wanted, name))
		return;
	c->count++;
	if (!sql || strcasecmp(sql, "Yes")) {
		c->stopped = true;
		say(c, name, "the SQL thread does not run", row_get(r, "Last_SQL_Error", NULL));
	} else if (!io || (strcasecmp(io, "Yes") && !connecting)) {
		c->stopped = true;
		say(c, name, "the IO thread does not run", row_get(r, "Last_IO_Error", NULL));
	}
	if (!lag) {
		c->lag_unknown = true;
		say(c, name, connecting ? "no connection to the source, lag not known" : "lag not known",
		    connecting ? row_get(r, "Last_IO_Error", NULL) : NULL);
	} else if (strtoull(lag, NULL, 10) * 1000 > c->lag_ms) {
		c->lag_ms = strtoull(lag, NULL, 10) * 1000;
	}
}

static bool ask_channels(struct session *s, const struct variables *v, struct channels *c)
{
	/* The second is for MySQL before 8.0.22; MySQL 8.4 has only the first. */
	static const char *const mysql_words[] = { "SHOW REPLICA STATUS", "SHOW SLAVE STATUS" };
	static const char *const mariadb_words[] = { "SHOW ALL SLAVES STATUS", NULL };
	const char *const *words = v->mariadb ? mariadb_words : mysql_words;

	if (session_query(s, words[0], words[1] ? ERROR_SYNTAX : ERROR_NEEDS_RIGHT, take_channel, c))
		return true;
	if (!s->failed && words[1] && session_query(s, words[1], ERROR_NEEDS_RIGHT, take_channel, c))
		return true;
	if (s->failed && mysql_errno(s->mysql) != ERROR_NEEDS_RIGHT)
		return false;
	s->failed = false;
	return session_fail(s, PLUGIN_REFUSED, "a right is missing: GRANT %s ON *.* TO the check's user",
			    v->mariadb ? "SLAVE MONITOR" : "REPLICATION CLIENT");
}

static bool find_channels(struct session *s, const struct variables *v, const struct mysql_words *w)
{
	struct channels c = { .wanted = w->channel };
	struct plugin_result *r = s->result;

	if (!ask_channels(s, v, &c))
		return false;
	if (!c.all)
		return true;
	r->role |= PLUGIN_REPLICA | (c.source_unknown ? PLUGIN_SOURCE_UNKNOWN : 0);
	memcpy(r->source_ids, c.ids, sizeof(r->source_ids));
	r->source_count = c.id_count;
	if (!c.count)
		snprintf(c.why, sizeof(c.why), "there is no replication channel '%s'", w->channel);
	else if (!c.stopped)
		r->role |= PLUGIN_REPLICATING;
	if (c.count && !c.stopped && !c.lag_unknown && !w->heartbeat) {
		r->figures |= PLUGIN_HAS_LAG;
		r->lag_ms = c.lag_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)c.lag_ms;
	}
	if (!(r->role & PLUGIN_CLUSTER_BROKEN) && (!w->heartbeat || c.stopped || !c.count))
		snprintf(r->text, sizeof(r->text), "%s", c.why);
	return true;
}

static bool find_heartbeat(struct session *s, const struct mysql_words *w)
{
	struct number n = {};
	char sql[4 * MYSQL_IDENTIFIER_MAX + 128];

	snprintf(sql, sizeof(sql), "SELECT TIMESTAMPDIFF(MICROSECOND, MAX(ts), NOW(6)) FROM %s", w->heartbeat);
	if (!session_query(s, sql, 0, take_number, &n))
		return false;
	if (!n.known) {
		if (!s->result->text[0])
			snprintf(s->result->text, sizeof(s->result->text), "the heartbeat table is empty");
		return true;
	}
	s->result->figures |= PLUGIN_HAS_LAG;
	/* A heartbeat of the future is a clock that is wrong by that much, not a lag. */
	s->result->lag_ms = n.value <= 0 ? 0 : n.value / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(n.value / 1000);
	return true;
}

bool facts_find(struct session *s, const struct mysql_words *w)
{
	struct variables v = {};
	bool follows;

	if (!find_variables(s, &v))
		return false;
	if (v.galera && !find_galera(s))
		return false;
	if (v.group && !find_group(s, &v, w->heartbeat))
		return false;
	if (!find_channels(s, &v, w))
		return false;
	follows = s->result->role & PLUGIN_REPLICA ||
		  ((s->result->role & PLUGIN_CLUSTERED) && v.group && v.read_only);
	return !w->heartbeat || !follows || find_heartbeat(s, w);
}
