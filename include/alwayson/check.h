/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plugin ABI: how a check of a kind we do not have is added without touching the agent. A plugin is a shared object
 * in the plugin folder that exports one symbol, `alwayson_plugin`. It is loaded by alwayson-checker only, an
 * unprivileged process that runs one check at a time; it may block until the deadline, and is killed after it.
 * A plugin says what it found. It never decides whether a server is up: only the agent's health room does.
 * docs/plugins.md is the manual; user/plugins/ssh.c is the example.
 */
#ifndef ALWAYSON_CHECK_H
#define ALWAYSON_CHECK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Raised when anything below changes its meaning or its place. A plugin of another number is refused. What grows at the
 * end of plugin_request or plugin_result without a new number is guarded by their `size`.
 */
#define PLUGIN_ABI 1

enum plugin_limit {
	PLUGIN_NAME_MAX = 32,     /* a-z 0-9 - _ ; the file is NAME.so */
	PLUGIN_ARGS_MAX = 32,     /* words of an `option plugin-check` line after the name */
	PLUGIN_ARG_MAX = 255,     /* bytes of a word */
	PLUGIN_SECRET_MAX = 255,  /* bytes of a password */
	PLUGIN_TEXT_MAX = 96,     /* bytes of a result's text, with the NUL */
	PLUGIN_ERROR_MAX = 256,   /* bytes of configure()'s error, with the NUL */
	PLUGIN_SOURCES_MAX = 8,
};

enum plugin_code {
	PLUGIN_PASSED,          /* the server answered as it should: L7OK */
	PLUGIN_CONNECT_TIMEOUT, /* no connection in time: L4TOUT */
	PLUGIN_CONNECT_FAILED,  /* refused, unreachable: L4CON */
	PLUGIN_TIMEOUT,         /* connected, but no complete answer in time: L7TOUT */
	PLUGIN_BAD_ANSWER,      /* an answer that is none, or a broken connection: L7RSP */
	PLUGIN_REFUSED,         /* understood, and it says no: login refused, shutting down: L7STS */
	PLUGIN_TROUBLE,         /* the checker's own: out of memory, no local port. Says nothing about the server */
	PLUGIN_CODE_COUNT,
};

/* Which figures of a result are filled in. */
enum plugin_figure {
	PLUGIN_HAS_LAG = 1 << 0,
	PLUGIN_HAS_ROLE = 1 << 1,
	PLUGIN_HAS_SERVER_ID = 1 << 2,
	PLUGIN_HAS_WEIGHT = 1 << 3,
};

/* What the server says of itself; valid with PLUGIN_HAS_ROLE. */
enum plugin_role {
	PLUGIN_WRITABLE = 1 << 0,          /* takes writes */
	PLUGIN_REPLICA = 1 << 1,           /* is set up to replicate from somebody, running or not */
	PLUGIN_REPLICATING = 1 << 2,       /* ... and all of it runs */
	PLUGIN_SOURCE_UNKNOWN = 1 << 3,    /* ... from at least one whose id is not known */
	PLUGIN_CLUSTERED = 1 << 4,         /* a whole member of a cluster with quorum that agrees on every write */
	PLUGIN_CLUSTER_BROKEN = 1 << 5,    /* a member of such a cluster, but not whole: no traffic */
};

/* One check of one server. Strings live until check() returns. */
struct plugin_request {
	uint32_t size;
	uint16_t port;
	uint16_t family;              /* AF_INET or AF_INET6 */
	const char *address;          /* numeric */
	uint64_t connect_deadline_ms; /* CLOCK_MONOTONIC: by when the connection must be there */
	uint64_t deadline_ms;         /* ... and by when check() must have returned; the process is killed after it */
};

struct plugin_result {
	uint32_t size;
	uint32_t code;                /* enum plugin_code */
	uint32_t figures;             /* enum plugin_figure */
	uint32_t role;                /* enum plugin_role */
	uint64_t server_id;
	uint64_t cluster_id;          /* equal in all members of one cluster; 0 = none */
	uint64_t source_ids[PLUGIN_SOURCES_MAX]; /* server ids of those it replicates from */
	uint32_t source_count;
	uint32_t lag_ms;
	uint32_t weight_percent;      /* a hint, 0..100 */
	uint32_t latency_us;          /* of the answer; 0 = not measured, the agent's own measure is taken */
	char text[PLUGIN_TEXT_MAX];   /* in words; shown to people */
};

struct plugin {
	uint32_t abi;                 /* PLUGIN_ABI */
	uint32_t zero;
	const char *name;             /* as the file is called, without .so */
	const char *summary;          /* what it checks, one line */
	/*
	 * Reads the words behind the plugin's name. Called once for each distinct line, in each process that runs its
	 * checks, and by `alwaysond -c`; must not connect anywhere. secret: the password, "" when none is configured.
	 * 0 and *ret_state (handed to check() and release()); or -1 with a line for people in error. The words and the
	 * secret are gone when it returns.
	 */
	int (*configure)(size_t argc, const char *const *argv, const char *secret, void **ret_state,
			 char error[PLUGIN_ERROR_MAX]);
	/* Runs one check. *ret is zeroed but for size. May block until the request's deadlines. */
	void (*check)(void *state, const struct plugin_request *request, struct plugin_result *ret);
	void (*release)(void *state);
};

extern const struct plugin alwayson_plugin __attribute__((visibility("default")));

#endif
