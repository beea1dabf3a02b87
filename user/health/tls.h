/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS for checks: contexts made of the words of a server's line, and a connection's handshake and bytes, never
 * blocking. The only part that knows OpenSSL. Called by target.c (contexts, at start and on reload) and attempt.c
 * (connections). Sessions are never resumed: a check is to see the whole handshake. What a server can make us hold is
 * bounded by TLS_CERTIFICATES_MAX and by OpenSSL's own record size.
 */
#ifndef HEALTH_TLS_H
#define HEALTH_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "health/result.h"
#include "model/model.h"

struct ssl_st;
struct tls_context;

enum tls_limit {
	TLS_CERTIFICATES_MAX = 65536, /* bytes of the certificates that a server presents */
	TLS_ALPN_MAX = 255,
};

/* Whom a connection speaks to. The strings are owned. */
struct tls_peer {
	struct tls_context *context;
	char *sni, *alpn, *verify_host; /* NULL = none */
};

/* 0, -ENOMEM, or -EINVAL with what is wrong with which file. The context holds one reference. */
int tls_context_new(const struct model_tls *m, struct tls_context **ret, char *error, size_t size);
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* takes NULL */
/* Would a context of these words be the same one? */
bool tls_context_is_for(const struct tls_context *c, const struct model_tls *m);

/* Were both made of the same words? */
bool tls_context_equal(const struct tls_context *a, const struct tls_context *b);

/* A client's connection over a connected socket; sni and alpn override the peer's. NULL when out of memory. */
struct ssl_st *tls_open(const struct tls_peer *p, int fd, const char *sni, const char *alpn);
void tls_close(struct ssl_st *s); /* takes NULL; leaves the socket alone */

enum tls_outcome {
	TLS_DONE,
	TLS_WANTS_READ,
	TLS_WANTS_WRITE,
	TLS_CLOSED, /* by the peer */
	TLS_FAILED, /* struct tls_failure says why */
};

struct tls_failure {
	int error;             /* errno of the socket; 0 = the protocol's: */
	char text[CHECK_DETAIL_MAX];
};

enum tls_outcome tls_handshake(struct ssl_st *s, struct tls_failure *ret);
enum tls_outcome tls_read(struct ssl_st *s, void *to, size_t size, size_t *ret_count, struct tls_failure *ret);
enum tls_outcome tls_write(struct ssl_st *s, const void *from, size_t size, size_t *ret_count, struct tls_failure *ret);

#endif
