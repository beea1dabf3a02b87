/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks over TLS against a real server of the test's own, with certificates made on the spot: good ones, foreign ones,
 * expired ones, too long ones; servers that speak no TLS, or stop in the middle of it. The server is a thread.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>

#include "health_world.h"

#include "health/tls.h"

/* Key, certificate of its own authority, and a file with both. */
struct identity {
	EVP_PKEY *key;
	X509 *cert;
	char path[64];
};

/* What the server does beside TLS. */
struct tls_server {
	SSL_CTX *ctx;
	int fd;
	uint16_t port;
	pthread_t thread;
	const char *answer; /* after it has read something; NULL = closes after the handshake */
	char sni[64], alpn[32];
	unsigned handshakes, failures;
};

static struct identity server_id, client_id, other_id;

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
}

static void identity_save(struct identity *id)
{
	int fd;
	FILE *f;

	strcpy(id->path, "/tmp/alwayson-tls-XXXXXX");
	fd = mkstemp(id->path);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	PEM_write_X509(f, id->cert);
	PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
}

/* padding: bytes of a comment that makes the certificate so much longer. from_s, to_s: validity, from now. */
static void identity_new(struct identity *id, const char *name, size_t padding, long from_s, long to_s)
{
	char alt[80], *comment = calloc(1, padding + 1);
	X509_NAME *subject;

	id->key = EVP_EC_gen("P-256");
	id->cert = X509_new();
	assert_non_null(id->key);
	X509_set_version(id->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id->cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(id->cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(id->cert), to_s);
	X509_set_pubkey(id->cert, id->key);
	subject = X509_get_subject_name(id->cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id->cert, subject);
	snprintf(alt, sizeof(alt), "DNS:%s", name);
	add_extension(id->cert, NID_subject_alt_name, alt);
	add_extension(id->cert, NID_basic_constraints, "critical,CA:TRUE");
	memset(comment, 'x', padding);
	if (padding)
		add_extension(id->cert, NID_netscape_comment, comment);
	free(comment);
	assert_true(X509_sign(id->cert, id->key, EVP_sha256()) > 0);
	identity_save(id);
}

static void identity_done(struct identity *id)
{
	unlink(id->path);
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

static int choose_alpn(SSL *s, const unsigned char **out, unsigned char *length, const unsigned char *in,
		       unsigned in_length, void *arg)
{
	struct tls_server *t = arg;

	*out = in + 1;
	*length = in[0];
	snprintf(t->alpn, sizeof(t->alpn), "%.*s", in[0], in + 1);
	return SSL_TLSEXT_ERR_OK;
}

static void tls_serve(struct tls_server *t, int fd)
{
	SSL *s = SSL_new(t->ctx);
	const char *name;
	char buf[512];

	SSL_set_fd(s, fd);
	if (SSL_accept(s) == 1) {
		name = SSL_get_servername(s, TLSEXT_NAMETYPE_host_name);
		snprintf(t->sni, sizeof(t->sni), "%s", name ? name : "");
		__atomic_add_fetch(&t->handshakes, 1, __ATOMIC_RELEASE);
		if (t->answer && SSL_read(s, buf, sizeof(buf)) > 0)
			SSL_write(s, t->answer, (int)strlen(t->answer));
		SSL_shutdown(s);
	} else {
		__atomic_add_fetch(&t->failures, 1, __ATOMIC_RELEASE);
	}
	SSL_free(s);
	close(fd);
}

static void *tls_run(void *arg)
{
	struct tls_server *t = arg;
	int fd;

	while ((fd = accept(t->fd, NULL, NULL)) >= 0)
		tls_serve(t, fd);
	return NULL;
}

static void tls_server_start(struct tls_server *t, const struct identity *id, bool wants_client)
{
	struct endpoint at = loopback("127.0.0.1", 0);

	t->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(t->ctx, id->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(t->ctx, id->key), 1);
	SSL_CTX_set_alpn_select_cb(t->ctx, choose_alpn, t);
	if (wants_client) {
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		X509_STORE_add_cert(SSL_CTX_get_cert_store(t->ctx), client_id.cert);
		/* In TLS 1.3 a client is done before it is told that its certificate is missed. */
		SSL_CTX_set_max_proto_version(t->ctx, TLS1_2_VERSION);
	}
	t->fd = listen_on(&at, 64, &t->port);
	/* The thread waits; a check must not. */
	assert_int_equal(fcntl(t->fd, F_SETFL, 0), 0);
	assert_int_equal(pthread_create(&t->thread, NULL, tls_run, t), 0);
}

static void tls_server_stop(struct tls_server *t)
{
	shutdown(t->fd, SHUT_RDWR);
	pthread_join(t->thread, NULL);
	close(t->fd);
	SSL_CTX_free(t->ctx);
}

/* A server of the model, checked over TLS by verify none. */
static struct model_server *tls_check(struct model_backend *b, uint16_t port)
{
	struct model_server *s = server_new_at(b, "s", loopback("127.0.0.1", port));

	s->check_ssl = s->tls_used = true;
	s->tls.verify_none = true;
	s->inter_ms = 2000;
	return s;
}

static void verify_by(struct model_server *s, const struct identity *id, const char *sni)
{
	s->tls.verify_none = false;
	s->tls.ca_file = strdup(id->path);
	s->tls.sni = sni ? strdup(sni) : NULL;
}

static void expect_result(struct world *w, const char *result)
{
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1);
	assert_string_equal(view(w, 0, 0).last_result, result);
	assert_int_equal(view(w, 0, 0).check, result[2] == 'O' ? HEALTH_UP : HEALTH_DOWN);
}

static void a_handshake_is_l6ok(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};

	tls_server_start(&t, &server_id, false);
	tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port);
	expect_result(w, "L6OK");
	tls_server_stop(&t);
}

static void https_is_l7ok(void **state)
{
	struct world *w = *state;
	struct tls_server t = { .answer = "HTTP/1.1 204 No Content\r\n\r\n" };

	tls_server_start(&t, &server_id, false);
	verify_by(tls_check(backend_new(w, "b", MODEL_CHECK_HTTP), t.port), &server_id, "good.example");
	expect_result(w, "L7OK/204");
	tls_server_stop(&t);
	assert_string_equal(t.sni, "good.example");
}

static void https_status_is_judged(void **state)
{
	struct world *w = *state;
	struct tls_server t = { .answer = "HTTP/1.1 503 Busy\r\n\r\n" };

	tls_server_start(&t, &server_id, false);
	tls_check(backend_new(w, "b", MODEL_CHECK_HTTP), t.port);
	expect_result(w, "L7STS/503: Busy");
	tls_server_stop(&t);
}

static void a_script_speaks_tls_where_it_says_so(void **state)
{
	struct world *w = *state;
	struct tls_server t = { .answer = "+PONG\r\n" };
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_SCRIPT);

	tls_server_start(&t, &server_id, false);
	step_add(b, MODEL_STEP_CONNECT, "")->tls = true;
	step_add(b, MODEL_STEP_SEND, "PING\r\n");
	step_add(b, MODEL_STEP_EXPECT, "PONG");
	tls_check(b, t.port)->check_ssl = false;
	expect_result(w, "L7OK");
	tls_server_stop(&t);
}

static void alpn_is_offered(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};

	tls_server_start(&t, &server_id, false);
	tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port)->tls.alpn = strdup("h2,http/1.1");
	expect_result(w, "L6OK");
	tls_server_stop(&t);
	assert_string_equal(t.alpn, "h2");
}

static void another_authority_is_l6rsp(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};

	tls_server_start(&t, &server_id, false);
	verify_by(tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port), &other_id, NULL);
	expect_result(w, "L6RSP: certificate: self-signed certificate");
	tls_server_stop(&t);
}

static void another_name_is_l6rsp(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};

	tls_server_start(&t, &server_id, false);
	verify_by(tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port), &server_id, "bad.example");
	expect_result(w, "L6RSP: certificate: hostname mismatch");
	tls_server_stop(&t);
}

static void verifyhost_counts_without_sni(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};
	struct model_server *s;

	tls_server_start(&t, &server_id, false);
	s = tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port);
	verify_by(s, &server_id, NULL);
	s->tls.verify_host = strdup("bad.example");
	expect_result(w, "L6RSP: certificate: hostname mismatch");
	tls_server_stop(&t);
	assert_string_equal(t.sni, "");
}

static void an_expired_certificate_is_l6rsp(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};
	struct identity old = {};

	identity_new(&old, "old.example", 0, -7200, -3600);
	tls_server_start(&t, &old, false);
	verify_by(tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port), &old, NULL);
	expect_result(w, "L6RSP: certificate: certificate has expired");
	tls_server_stop(&t);
	identity_done(&old);
}

static void a_client_certificate_is_shown(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};
	struct model_server *s;

	tls_server_start(&t, &server_id, true);
	s = tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port);
	s->tls.crt = strdup(client_id.path);
	expect_result(w, "L6OK");
	tls_server_stop(&t);
}

static void and_missed(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};

	tls_server_start(&t, &server_id, true);
	tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port);
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1);
	/* The server's words, as OpenSSL renders its alert. */
	assert_non_null(strstr(view(w, 0, 0).last_result, "L6RSP: TLS: "));
	assert_int_equal(view(w, 0, 0).check, HEALTH_DOWN);
	tls_server_stop(&t);
}

/* The longest list of certificates that is taken, and one that is not. */
static void certificates_have_a_limit(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};
	struct identity big = {};

	identity_new(&big, "big.example", TLS_CERTIFICATES_MAX - 1000, 0, 3600);
	tls_server_start(&t, &big, false);
	tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port);
	expect_result(w, "L6OK");
	tls_server_stop(&t);
	identity_done(&big);
}

static void and_above_it_the_handshake_fails(void **state)
{
	struct world *w = *state;
	struct tls_server t = {};
	struct identity big = {};

	identity_new(&big, "big.example", TLS_CERTIFICATES_MAX + 1, 0, 3600);
	tls_server_start(&t, &big, false);
	tls_check(backend_new(w, "b", MODEL_CHECK_TCP), t.port);
	expect_result(w, "L6RSP: TLS: excessive message size");
	tls_server_stop(&t);
	identity_done(&big);
}

static void who_speaks_no_tls_is_l6rsp(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, ANSWER, "HTTP/1.1 400 Bad Request\r\n\r\n");

	tls_check(backend_new(w, "b", MODEL_CHECK_HTTP), p->port);
	expect_result(w, "L6RSP: TLS: wrong version number");
}

static void silence_in_the_handshake_is_l6tout(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);

	tls_check(backend_new(w, "b", MODEL_CHECK_HTTP), p->port)->inter_ms = 100;
	expect_result(w, "L6TOUT");
}

static void a_reset_in_the_handshake_is_l6rsp(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, RESET, NULL);

	tls_check(backend_new(w, "b", MODEL_CHECK_HTTP), p->port);
	expect_result(w, "L6RSP: Connection reset by peer");
}

static void a_close_in_the_handshake_is_l6rsp(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, ANSWER, "");

	tls_check(backend_new(w, "b", MODEL_CHECK_HTTP), p->port);
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1);
	assert_non_null(strstr(view(w, 0, 0).last_result, "L6RSP: "));
}

static void a_reload_in_the_handshake_keeps_the_check(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);

	tls_check(backend_new(w, "b", MODEL_CHECK_HTTP), p->port)->inter_ms = 300;
	world_configure(w);
	world_until(w, p->asked >= 1);
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 1);
	assert_string_equal(view(w, 0, 0).last_result, "L6TOUT");
	assert_int_equal(p->accepted, 1);
}

static void a_file_that_cannot_be_used_is_named(void **state)
{
	struct world *w = *state;
	struct model_server *s = tls_check(backend_new(w, "b", MODEL_CHECK_TCP), 1);
	char error[HEALTH_ERROR_MAX];

	s->place.file = "a.cfg";
	s->place.line = 7;
	verify_by(s, &server_id, NULL);
	assert_int_equal(health_check_files(&w->m, error), 0);
	free(s->tls.ca_file);
	s->tls.ca_file = strdup("/nonexistent/ca.pem");
	assert_int_equal(health_check_files(&w->m, error), -EINVAL);
	assert_string_equal(error, "a.cfg:7: server 's': ca-file '/nonexistent/ca.pem': No such file or directory");
	assert_int_equal(health_configure(w->h, &w->m), -EINVAL);
	free(s->tls.ca_file);
	s->tls.ca_file = strdup("@system-ca");
	s->tls.crt = strdup("/dev/null");
	assert_int_equal(health_check_files(&w->m, error), -EINVAL);
	assert_string_equal(error,
			    "a.cfg:7: server 's': crt '/dev/null': no certificate can be read: no start line");
}

static int make_identities(void **state)
{
	identity_new(&server_id, "good.example", 0, 0, 3600);
	identity_new(&client_id, "client.example", 0, 0, 3600);
	identity_new(&other_id, "good.example", 0, 0, 3600);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int drop_identities(void **state)
{
	identity_done(&server_id);
	identity_done(&client_id);
	identity_done(&other_id);
	return 0;
}

int main(void)
{
#define TLS_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	static const struct CMUnitTest tests[] = {
		TLS_TEST(a_handshake_is_l6ok),
		TLS_TEST(https_is_l7ok),
		TLS_TEST(https_status_is_judged),
		TLS_TEST(a_script_speaks_tls_where_it_says_so),
		TLS_TEST(alpn_is_offered),
		TLS_TEST(another_authority_is_l6rsp),
		TLS_TEST(another_name_is_l6rsp),
		TLS_TEST(verifyhost_counts_without_sni),
		TLS_TEST(an_expired_certificate_is_l6rsp),
		TLS_TEST(a_client_certificate_is_shown),
		TLS_TEST(and_missed),
		TLS_TEST(certificates_have_a_limit),
		TLS_TEST(and_above_it_the_handshake_fails),
		TLS_TEST(who_speaks_no_tls_is_l6rsp),
		TLS_TEST(silence_in_the_handshake_is_l6tout),
		TLS_TEST(a_reset_in_the_handshake_is_l6rsp),
		TLS_TEST(a_close_in_the_handshake_is_l6rsp),
		TLS_TEST(a_reload_in_the_handshake_keeps_the_check),
		TLS_TEST(a_file_that_cannot_be_used_is_named),
	};

	return cmocka_run_group_tests_name("health_tls", tests, make_identities, drop_identities);
}
