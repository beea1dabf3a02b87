/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenSSL behind tls.h. Every call starts with an empty error queue, since the queue is the thread's and another
 * connection may have left something in it. Must not block: sockets are non-blocking, and a key that wants a passphrase
 * is refused instead of asking a terminal for it.
 */
#include "health/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_context {
	unsigned references;
	SSL_CTX *ssl;
	bool verify_none;
	char *ca_file, *crt;
};

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* The first of the queue is the cause; those after it are where it passed by. */
static const char *queue_text(void)
{
	unsigned long e = ERR_peek_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	if (text)
		return text;
	return e && ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : "unknown error";
}

static int no_passphrase(char *buf, int size, int for_writing, void *arg)
{
	return -1;
}

static void set_manners(SSL_CTX *c)
{
	SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	/* Else one call would go through any number of records that carry no data. */
	SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_max_cert_list(c, TLS_CERTIFICATES_MAX);
	SSL_CTX_set_default_passwd_cb(c, no_passphrase);
}

static bool load_authorities(SSL_CTX *c, const struct model_tls *m, char *error, size_t size)
{
	if (!m->ca_file || m->verify_none)
		return true;
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	if (!strcmp(m->ca_file, "@system-ca") ? SSL_CTX_set_default_verify_paths(c) :
						SSL_CTX_load_verify_file(c, m->ca_file))
		return true;
	snprintf(error, size, "ca-file '%s': %s", m->ca_file, queue_text());
	return false;
}

static bool load_own(SSL_CTX *c, const struct model_tls *m, char *error, size_t size)
{
	const char *what;

	if (!m->crt)
		return true;
	if (SSL_CTX_use_certificate_chain_file(c, m->crt) != 1)
		what = "no certificate can be read";
	else if (SSL_CTX_use_PrivateKey_file(c, m->crt, SSL_FILETYPE_PEM) != 1)
		what = "no private key without a passphrase can be read";
	else if (SSL_CTX_check_private_key(c) != 1)
		what = "the key does not belong to the certificate";
	else
		return true;
	snprintf(error, size, "crt '%s': %s: %s", m->crt, what, queue_text());
	return false;
}

int tls_context_new(const struct model_tls *m, struct tls_context **ret, char *error, size_t size)
{
	struct tls_context *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->references = 1;
	c->verify_none = m->verify_none;
	c->ca_file = m->ca_file ? strdup(m->ca_file) : NULL;
	c->crt = m->crt ? strdup(m->crt) : NULL;
	ERR_clear_error();
	c->ssl = SSL_CTX_new(TLS_client_method());
	if (!c->ssl || !c->ca_file != !m->ca_file || !c->crt != !m->crt) {
		tls_context_unref(c);
		return -ENOMEM;
	}
	set_manners(c->ssl);
	if (!load_authorities(c->ssl, m, error, size) || !load_own(c->ssl, m, error, size)) {
		tls_context_unref(c);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
	c->references++;
	return c;
}

void tls_context_unref(struct tls_context *c)
{
	if (!c || --c->references)
		return;
	SSL_CTX_free(c->ssl);
	free(c->ca_file);
	free(c->crt);
	free(c);
}

bool tls_context_is_for(const struct tls_context *c, const struct model_tls *m)
{
	return c->verify_none == m->verify_none && same_text(c->ca_file, m->ca_file) && same_text(c->crt, m->crt);
}

bool tls_context_equal(const struct tls_context *a, const struct tls_context *b)
{
	return a->verify_none == b->verify_none && same_text(a->ca_file, b->ca_file) && same_text(a->crt, b->crt);
}

/* "h2,http/1.1" to RFC 7301's list of counted strings. Its length; 0: model_alpn_is_valid() says no. */
static size_t alpn_wire(const char *list, unsigned char wire[static TLS_ALPN_MAX + 1])
{
	size_t used = 0;

	if (!model_alpn_is_valid(list))
		return 0;
	for (;; list++) {
		size_t length = strcspn(list, ",");

		wire[used++] = (unsigned char)length;
		memcpy(wire + used, list, length);
		used += length;
		list += length;
		if (!*list)
			return used;
	}
}

struct ssl_st *tls_open(const struct tls_peer *p, int fd, const char *sni, const char *alpn)
{
	SSL *s = SSL_new(p->context->ssl);
	unsigned char wire[TLS_ALPN_MAX + 1];
	const char *name;

	if (!sni)
		sni = p->sni;
	if (!alpn)
		alpn = p->alpn;
	name = sni ? sni : p->verify_host;
	/* HAProxy: the certificate must be for the name that was sent, else for `verifyhost`, else for any. */
	if (!s || !SSL_set_fd(s, fd) || (sni && !SSL_set_tlsext_host_name(s, sni)) ||
	    (name && !SSL_set1_host(s, name)) ||
	    (alpn && SSL_set_alpn_protos(s, wire, (unsigned)alpn_wire(alpn, wire)))) {
		SSL_free(s);
		return NULL;
	}
	SSL_set_connect_state(s);
	return s;
}

void tls_close(struct ssl_st *s)
{
	if (!s)
		return;
	/* A courtesy: a server that hears of the end does not log it as a failure. */
	if (SSL_is_init_finished(s)) {
		ERR_clear_error();
		SSL_shutdown(s);
	}
	SSL_free(s);
}

static enum tls_outcome outcome(SSL *s, int r, struct tls_failure *ret)
{
	const int error = errno;
	long verified;

	switch (SSL_get_error(s, r)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANTS_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANTS_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_CLOSED;
	case SSL_ERROR_SYSCALL:
		if (!error)
			return TLS_CLOSED;
		ret->error = error;
		return TLS_FAILED;
	default:
		break;
	}
	ret->error = 0;
	verified = SSL_get_verify_result(s);
	if (verified != X509_V_OK && SSL_get_verify_mode(s) & SSL_VERIFY_PEER)
		snprintf(ret->text, sizeof(ret->text), "certificate: %s", X509_verify_cert_error_string(verified));
	else
		snprintf(ret->text, sizeof(ret->text), "TLS: %s", queue_text());
	return TLS_FAILED;
}

enum tls_outcome tls_handshake(struct ssl_st *s, struct tls_failure *ret)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(s);
	return r == 1 ? TLS_DONE : outcome(s, r, ret);
}

enum tls_outcome tls_read(struct ssl_st *s, void *to, size_t size, size_t *ret_count, struct tls_failure *ret)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_read_ex(s, to, size, ret_count);
	return r == 1 ? TLS_DONE : outcome(s, r, ret);
}

enum tls_outcome tls_write(struct ssl_st *s, const void *from, size_t size, size_t *ret_count, struct tls_failure *ret)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_write_ex(s, from, size, ret_count);
	return r == 1 ? TLS_DONE : outcome(s, r, ret);
}
