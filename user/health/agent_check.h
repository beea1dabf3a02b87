/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HAProxy's agent-check: a program on the server that is asked, beside the health check, what the balancer should do
 * with it. One a server that has the word. Called by server.c and configure.c. What the agent ordered last holds until
 * it orders otherwise; that it does not answer orders nothing.
 */
#ifndef HEALTH_AGENT_CHECK_H
#define HEALTH_AGENT_CHECK_H

#include "health/attempt.h"
#include "health/health.h"
#include "health/result.h"

struct health_server;

struct agent_check {
	struct health_server *server;
	struct attempt_target target;
	struct schedule schedule;
	struct attempt *attempt; /* NULL = none is under way */
	struct event timer;
	uint64_t started_ms, next_ms;
	/* What was ordered. */
	unsigned percent;
	enum health_admin_state admin;
	bool down;
	char last_result[CHECK_TEXT_MAX];
};

/* 0 or -ENOMEM. Belongs to no server yet, and does nothing. */
int agent_check_new(const struct model_backend *b, const struct model_server *s, struct agent_check **ret);
void agent_check_free(struct agent_check *a); /* takes NULL */
/* Asks from now on, the first time within delay_ms. */
void agent_check_start(struct agent_check *a, struct health_server *s, uint32_t delay_ms);
/* A new configuration of the same server: takes over what was ordered if the same agent is asked. old may be NULL. */
void agent_check_inherit(struct agent_check *a, const struct agent_check *old);

#endif
