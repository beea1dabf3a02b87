/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QUIC by ngtcp2, for the system tests: a server whose connection ids name it as docs/configuration.md has it, and a client
 * that changes its address in the middle of a connection.
 *
 *   quic_talk server ADDRESS PORT NAME ID CONFIG CERTIFICATE KEY   answers each stream with NAME; ID in hexadecimal
 *   quic_talk client ADDRESS PORT WAIT_MS WORD...                  one connection, on which it does word after word:
 *       ask                  a stream; prints who answers, `lost` without an answer in time
 *       rebind[=ADDRESS]     another port (and address), as a NAT gives it: the client itself does not know
 *       migrate[=ADDRESS]    the same by the client's will: a new connection id too
 */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ID_LENGTH = 12, ID_MAX = 4, ANSWERS_MAX = 16, PAYLOAD_MAX = 1452, NAME_MAX_LENGTH = 32 };

static const char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
				 "%DISABLE_TLS13_COMPAT_MODE";

struct talk {
	struct talk *next;
	ngtcp2_crypto_conn_ref ref;
	ngtcp2_conn *conn;
	gnutls_session_t tls;
	ngtcp2_cid first;                 /* the id that the client chose */
	int64_t streams[ANSWERS_MAX];     /* on which there is something to be said */
	size_t stream_count;
	bool confirmed;
	char answer[NAME_MAX_LENGTH];     /* client: what came on the last stream */
	bool answered;
};

static struct {
	bool server;
	int fd;
	struct sockaddr_in local;         /* as the connection knows it: a NAT's port is not known */
	const char *name;
	uint8_t id[ID_MAX];
	size_t id_length;
	unsigned config;
	gnutls_certificate_credentials_t credentials;
	struct talk *talks;
} own;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "quic_talk: %s: %s\n", what, why);
	exit(1);
}

static ngtcp2_tstamp now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ngtcp2_tstamp)ts.tv_sec * NGTCP2_SECONDS + (ngtcp2_tstamp)ts.tv_nsec;
}

static void fill(void *to, size_t size)
{
	if (gnutls_rnd(GNUTLS_RND_RANDOM, to, size))
		die("random bytes", "there are none");
}

/* A server's names it: the rotation and the length, its id, a nonce. */
static void make_id(ngtcp2_cid *id, size_t length)
{
	id->datalen = length;
	fill(id->data, length);
	if (!own.server)
		return;
	id->data[0] = (uint8_t)(own.config << 5 | (length - 1));
	memcpy(id->data + 1, own.id, own.id_length);
}

/* ---- what ngtcp2 calls ---- */

static ngtcp2_conn *conn_of(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct talk *)ref->user_data)->conn;
}

static void on_random(uint8_t *to, size_t length, const ngtcp2_rand_ctx *ctx)
{
	fill(to, length);
}

static int on_new_id(ngtcp2_conn *conn, ngtcp2_cid *id, uint8_t *token, size_t length, void *ctx)
{
	make_id(id, length);
	fill(token, NGTCP2_STATELESS_RESET_TOKENLEN);
	return 0;
}

static int on_confirmed(ngtcp2_conn *conn, void *ctx)
{
	((struct talk *)ctx)->confirmed = true;
	return 0;
}

static int on_data(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t offset, const uint8_t *data, size_t length,
		   void *ctx, void *stream_ctx)
{
	struct talk *t = ctx;

	if (!(flags & NGTCP2_STREAM_DATA_FLAG_FIN))
		return 0;
	if (own.server && t->stream_count < ANSWERS_MAX)
		t->streams[t->stream_count++] = stream;
	if (!own.server) {
		snprintf(t->answer, sizeof(t->answer), "%.*s", (int)length, (const char *)data);
		t->answered = true;
	}
	return 0;
}

static const ngtcp2_callbacks *callbacks(void)
{
	static const ngtcp2_callbacks all = {
		.client_initial = ngtcp2_crypto_client_initial_cb,
		.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
		.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
		.encrypt = ngtcp2_crypto_encrypt_cb,
		.decrypt = ngtcp2_crypto_decrypt_cb,
		.hp_mask = ngtcp2_crypto_hp_mask_cb,
		.recv_retry = ngtcp2_crypto_recv_retry_cb,
		.update_key = ngtcp2_crypto_update_key_cb,
		.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
		.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
		.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
		.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
		.rand = on_random,
		.get_new_connection_id = on_new_id,
		.handshake_confirmed = on_confirmed,
		.recv_stream_data = on_data,
	};

	return &all;
}

/* ---- connections ---- */

static void set_up(ngtcp2_settings *settings, ngtcp2_transport_params *params)
{
	ngtcp2_settings_default(settings);
	settings->initial_ts = now();
	settings->no_pmtud = 1;
	ngtcp2_transport_params_default(params);
	params->initial_max_streams_bidi = 100;
	params->initial_max_stream_data_bidi_local = params->initial_max_stream_data_bidi_remote = 65536;
	params->initial_max_data = 1 << 20;
	params->active_connection_id_limit = 7;
}

static void set_up_tls(struct talk *t)
{
	static const gnutls_datum_t protocol = { (unsigned char *)"talk", 4 };

	if (gnutls_init(&t->tls, (own.server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_END_OF_EARLY_DATA) ||
	    gnutls_priority_set_direct(t->tls, priorities, NULL) ||
	    gnutls_credentials_set(t->tls, GNUTLS_CRD_CERTIFICATE, own.credentials) ||
	    gnutls_alpn_set_protocols(t->tls, &protocol, 1, GNUTLS_ALPN_MANDATORY))
		die("TLS", "gnutls can't set it up");
	if (own.server ? ngtcp2_crypto_gnutls_configure_server_session(t->tls) :
			 ngtcp2_crypto_gnutls_configure_client_session(t->tls))
		die("TLS", "ngtcp2 can't set it up");
	t->ref = (ngtcp2_crypto_conn_ref){ .get_conn = conn_of, .user_data = t };
	gnutls_session_set_ptr(t->tls, &t->ref);
	ngtcp2_conn_set_tls_native_handle(t->conn, t->tls);
}

static ngtcp2_path path_to(struct sockaddr_in *remote)
{
	return (ngtcp2_path){
		.local = { (ngtcp2_sockaddr *)&own.local, sizeof(own.local) },
		.remote = { (ngtcp2_sockaddr *)remote, sizeof(*remote) },
	};
}

static struct talk *talk_new(void)
{
	struct talk *t = calloc(1, sizeof(*t));

	if (!t)
		die("a connection", strerror(errno));
	t->next = own.talks;
	own.talks = t;
	return t;
}

static void talk_free(struct talk *t)
{
	struct talk **at = &own.talks;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	ngtcp2_conn_del(t->conn);
	gnutls_deinit(t->tls);
	free(t);
}

/* Everything that it has to say now. False: it is over. */
static bool flush(struct talk *t)
{
	const char *word = own.server ? own.name : "?";
	ngtcp2_vec data = { (uint8_t *)word, strlen(word) };
	uint8_t packet[PAYLOAD_MAX];
	ngtcp2_path_storage path;
	ngtcp2_ssize n, taken;

	ngtcp2_path_storage_zero(&path);
	do {
		const bool speaks = t->stream_count > 0;

		n = ngtcp2_conn_writev_stream(t->conn, &path.path, NULL, packet, sizeof(packet), &taken,
					      speaks ? NGTCP2_WRITE_STREAM_FLAG_FIN : NGTCP2_WRITE_STREAM_FLAG_NONE,
					      speaks ? t->streams[0] : -1, speaks ? &data : NULL, speaks, now());
		if (n < 0)
			return false;
		if (speaks && taken >= 0)
			memmove(t->streams, t->streams + 1, --t->stream_count * sizeof(t->streams[0]));
		if (n > 0)
			sendto(own.fd, packet, (size_t)n, 0, (struct sockaddr *)path.path.remote.addr, path.path.remote.addrlen);
	} while (n > 0);
	ngtcp2_conn_update_pkt_tx_time(t->conn, now());
	return true;
}

static bool owns(const struct talk *t, const uint8_t *id, size_t length)
{
	ngtcp2_cid all[64];
	size_t count = ngtcp2_conn_get_num_scid(t->conn);

	if (t->first.datalen == length && !memcmp(t->first.data, id, length))
		return true;
	if (count > sizeof(all) / sizeof(all[0]))
		return false;
	ngtcp2_conn_get_scid(t->conn, all);
	for (size_t i = 0; i < count; i++)
		if (all[i].datalen == length && !memcmp(all[i].data, id, length))
			return true;
	return false;
}

static struct talk *accept_talk(const uint8_t *packet, size_t length, struct sockaddr_in *remote)
{
	ngtcp2_path path = path_to(remote);
	ngtcp2_transport_params params;
	ngtcp2_settings settings;
	ngtcp2_pkt_hd head;
	ngtcp2_cid id;
	struct talk *t;

	if (ngtcp2_accept(&head, packet, length))
		return NULL; /* of a connection that is another server's, or was */
	t = talk_new();
	set_up(&settings, &params);
	params.original_dcid = t->first = head.dcid;
	make_id(&id, ID_LENGTH);
	if (ngtcp2_conn_server_new(&t->conn, &head.scid, &id, &path, head.version, callbacks(), &settings, &params, NULL, t))
		die("a connection", "ngtcp2 refuses it");
	set_up_tls(t);
	return t;
}

static struct talk *talk_of(const uint8_t *packet, size_t length, struct sockaddr_in *remote)
{
	ngtcp2_version_cid ids;

	if (!own.server)
		return own.talks;
	if (ngtcp2_pkt_decode_version_cid(&ids, packet, length, ID_LENGTH))
		return NULL;
	for (struct talk *t = own.talks; t; t = t->next)
		if (owns(t, ids.dcid, ids.dcidlen))
			return t;
	return accept_talk(packet, length, remote);
}

static void receive(void)
{
	struct sockaddr_in remote;
	socklen_t size = sizeof(remote);
	uint8_t packet[2048];
	ssize_t n;

	while ((n = recvfrom(own.fd, packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&remote, &size)) > 0) {
		struct talk *t = talk_of(packet, (size_t)n, &remote);
		ngtcp2_path path = path_to(&remote);

		size = sizeof(remote);
		if (t && (ngtcp2_conn_read_pkt(t->conn, &path, NULL, packet, (size_t)n, now()) || !flush(t)) && own.server)
			talk_free(t);
	}
}

/* One turn: what comes until then, and what is due. */
static void turn(ngtcp2_tstamp until)
{
	struct pollfd p = { .fd = own.fd, .events = POLLIN };
	ngtcp2_tstamp at = now(), first = until;
	struct talk *next;

	for (struct talk *t = own.talks; t; t = t->next)
		if (ngtcp2_conn_get_expiry(t->conn) < first)
			first = ngtcp2_conn_get_expiry(t->conn);
	poll(&p, 1, first > at ? (int)((first - at) / NGTCP2_MILLISECONDS + 1) : 0);
	receive();
	for (struct talk *t = own.talks; t; t = next) {
		next = t->next;
		if (ngtcp2_conn_get_expiry(t->conn) <= now() &&
		    (ngtcp2_conn_handle_expiry(t->conn, now()) || !flush(t)) && own.server)
			talk_free(t);
	}
}

static struct sockaddr_in address(const char *text, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		die(text, "no IPv4 address");
	return a;
}

static int open_socket(struct sockaddr_in *at)
{
	socklen_t size = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) || getsockname(fd, (struct sockaddr *)at, &size))
		die("a socket", strerror(errno));
	return fd;
}

/* ---- the server ---- */

static void read_id(const char *hex)
{
	for (own.id_length = 0; hex[2 * own.id_length] && own.id_length < ID_MAX; own.id_length++)
		if (sscanf(hex + 2 * own.id_length, "%2hhx", &own.id[own.id_length]) != 1)
			die(hex, "no hexadecimal id");
}

static _Noreturn void serve(char **argv)
{
	own.server = true;
	own.local = address(argv[0], argv[1]);
	own.name = argv[2];
	read_id(argv[3]);
	own.config = (unsigned)atoi(argv[4]);
	if (gnutls_certificate_set_x509_key_file(own.credentials, argv[5], argv[6], GNUTLS_X509_FMT_PEM) < 0)
		die(argv[5], "no certificate, or its key is missing");
	own.fd = open_socket(&own.local);
	for (;;)
		turn(now() + NGTCP2_SECONDS);
}

/* ---- the client ---- */

/* The source address that the routes choose, or another. */
static struct sockaddr_in source(const struct sockaddr_in *to, const char *wanted)
{
	struct sockaddr_in a = {};
	socklen_t size = sizeof(a);
	int fd;

	if (wanted)
		return address(wanted, "0");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) || getsockname(fd, (struct sockaddr *)&a, &size))
		die("no way there", strerror(errno));
	close(fd);
	a.sin_port = 0;
	return a;
}

static struct talk *begin(struct sockaddr_in *to)
{
	struct talk *t = talk_new();
	ngtcp2_transport_params params;
	ngtcp2_cid chosen, id;
	ngtcp2_settings settings;
	ngtcp2_path path;

	own.local = source(to, NULL);
	own.fd = open_socket(&own.local);
	path = path_to(to);
	set_up(&settings, &params);
	make_id(&chosen, 18);
	make_id(&id, ID_LENGTH);
	if (ngtcp2_conn_client_new(&t->conn, &chosen, &id, &path, NGTCP2_PROTO_VER_V1, callbacks(), &settings, &params, NULL, t))
		die("a connection", "ngtcp2 refuses it");
	set_up_tls(t);
	flush(t);
	return t;
}

static bool wait_for(const bool *done, ngtcp2_tstamp wait)
{
	const ngtcp2_tstamp until = now() + wait;

	while (!*done && now() < until)
		turn(until);
	return *done;
}

static void ask(struct talk *t, ngtcp2_tstamp wait)
{
	t->answered = false;
	t->stream_count = 1;
	if (ngtcp2_conn_open_bidi_stream(t->conn, &t->streams[0], NULL) || !flush(t))
		t->stream_count = 0;
	puts(wait_for(&t->answered, wait) ? t->answer : "lost");
}

/* The connection goes on by another socket. Its own path changes only if it knows. */
static void change(struct talk *t, struct sockaddr_in *to, const char *wanted, bool knows, ngtcp2_tstamp wait)
{
	const ngtcp2_tstamp until = now() + wait;
	struct sockaddr_in local = source(to, wanted);
	int fd = open_socket(&local), r;
	ngtcp2_path path;

	if (knows) {
		/* The server's further ids may still be on their way. */
		do {
			const struct sockaddr_in before = own.local;

			own.local = local;
			path = path_to(to);
			r = ngtcp2_conn_initiate_immediate_migration(t->conn, &path, now());
			if (r)
				own.local = before;
			if (r)
				turn(now() + 10 * NGTCP2_MILLISECONDS);
		} while (r && now() < until);
		if (r)
			die("migrate", ngtcp2_strerror(r));
	}
	close(own.fd);
	own.fd = fd;
	flush(t);
}

static int talk(int argc, char **argv)
{
	struct sockaddr_in to = address(argv[0], argv[1]);
	const ngtcp2_tstamp wait = (ngtcp2_tstamp)atoi(argv[2]) * NGTCP2_MILLISECONDS;
	struct talk *t = begin(&to);

	if (!wait_for(&t->confirmed, wait)) {
		puts("refused");
		return 1;
	}
	for (int i = 3; i < argc; i++) {
		const char *at = strchr(argv[i], '=');

		if (!strcmp(argv[i], "ask"))
			ask(t, wait);
		else
			change(t, &to, at ? at + 1 : NULL, !strncmp(argv[i], "migrate", 7), wait);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (gnutls_certificate_allocate_credentials(&own.credentials))
		die("TLS", "out of memory");
	setlinebuf(stdout);
	if (argc == 9 && !strcmp(argv[1], "server"))
		serve(argv + 2);
	if (argc > 5 && !strcmp(argv[1], "client"))
		return talk(argc - 2, argv + 2);
	die("usage", "quic_talk server ADDRESS PORT NAME ID CONFIG CERTIFICATE KEY | client ADDRESS PORT WAIT_MS WORD...");
}
