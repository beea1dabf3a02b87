/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server that speaks MySQL's protocol well enough to be asked what it is, for what Debian has no server for: MySQL
 * 5.7, 8.0, 8.4, group replication, Galera states, caching_sha2_password in its fast and its full form. Answers from a
 * script that is read anew for each connection. For tests/system/mysql_versions.sh; serves one client at a time.
 *
 *   mysql_standin PORT SCRIPT      listens on 127.0.0.1, prints "listening" when it does
 *
 *   version TEXT | auth native|fast|full | password TEXT | behaviour silent|garbage|flood|login-hang
 *   query TEXT        what follows answers queries that begin so; the longest match wins
 *   cols NAME ...     the columns     row VALUE ...   a row; \N is NULL, a dot in front of a word stands for nothing
 *   error NUMBER TEXT an error instead
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PACKET_MAX = 65536, ANSWERS_MAX = 32, ROWS_MAX = 32, CELLS_MAX = 64, NONCE = 20 };

struct answer {
	char query[256], *columns[CELLS_MAX], *rows[ROWS_MAX][CELLS_MAX], text[256];
	unsigned column_count, row_count, error;
};

static struct {
	char version[64], auth[16], password[64], behaviour[32];
	struct answer answers[ANSWERS_MAX];
	unsigned count;
} script;

static int client = -1;
static uint8_t sequence;
static const uint8_t nonce[NONCE + 1] = "abcdefghij0123456789";
static EVP_PKEY *key;

static void __attribute__((noreturn)) end(int code)
{
	_exit(code);
}

/* ---- the script ---- */

static unsigned split(char *text, char **cells)
{
	unsigned n = 0;
	char *save, *word;

	for (word = strtok_r(text, " \n", &save); word && n < CELLS_MAX; word = strtok_r(NULL, " \n", &save))
		cells[n++] = !strcmp(word, "\\N") ? NULL : strdup(!strcmp(word, ".") ? "" : word);
	return n;
}

static void read_script(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[2048];
	struct answer *a = NULL;

	if (!f)
		end(3);
	while (fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		if (!value || line[0] == '#')
			continue;
		*value++ = '\0';
		if (!strcmp(line, "version"))
			snprintf(script.version, sizeof(script.version), "%s", value);
		else if (!strcmp(line, "auth"))
			snprintf(script.auth, sizeof(script.auth), "%s", value);
		else if (!strcmp(line, "password"))
			snprintf(script.password, sizeof(script.password), "%s", value);
		else if (!strcmp(line, "behaviour"))
			snprintf(script.behaviour, sizeof(script.behaviour), "%s", value);
		else if (!strcmp(line, "query") && script.count < ANSWERS_MAX)
			a = &script.answers[script.count++], snprintf(a->query, sizeof(a->query), "%s", value);
		else if (a && !strcmp(line, "cols"))
			a->column_count = split(value, a->columns);
		else if (a && !strcmp(line, "row") && a->row_count < ROWS_MAX)
			split(value, a->rows[a->row_count++]);
		else if (a && !strcmp(line, "error"))
			a->error = (unsigned)strtoul(value, &value, 10), snprintf(a->text, sizeof(a->text), "%s", value + 1);
	}
}

/* ---- packets ---- */

static void read_all(void *to, size_t size)
{
	size_t got = 0;
	ssize_t n;

	while (got < size) {
		n = read(client, (char *)to + got, size - got);
		if (n <= 0)
			end(0);
		got += (size_t)n;
	}
}

static size_t receive(uint8_t *to)
{
	uint8_t head[4];
	size_t length;

	read_all(head, 4);
	length = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
	if (length > PACKET_MAX)
		end(1);
	read_all(to, length);
	to[length] = 0;
	sequence = (uint8_t)(head[3] + 1);
	return length;
}

static void send_packet(const uint8_t *bytes, size_t length)
{
	uint8_t head[4] = { (uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16), sequence++ };

	if (write(client, head, 4) != 4 || write(client, bytes, length) != (ssize_t)length)
		end(0);
}

static void send_ok(void)
{
	static const uint8_t ok[] = { 0, 0, 0, 2, 0, 0, 0 };

	send_packet(ok, sizeof(ok));
}

static void send_eof(void)
{
	static const uint8_t eof[] = { 0xfe, 0, 0, 2, 0 };

	send_packet(eof, sizeof(eof));
}

static void send_error(unsigned number, const char *text)
{
	uint8_t p[512] = { 0xff, (uint8_t)number, (uint8_t)(number >> 8), '#', 'H', 'Y', '0', '0', '0' };
	size_t length = strlen(text);

	memcpy(p + 9, text, length);
	send_packet(p, 9 + length);
}

static uint8_t *put_text(uint8_t *to, const char *text)
{
	size_t length = strlen(text);

	if (length < 251) {
		*to++ = (uint8_t)length;
	} else {
		*to++ = 0xfc;
		*to++ = (uint8_t)length;
		*to++ = (uint8_t)(length >> 8);
	}
	memcpy(to, text, length);
	return to + length;
}

/* ---- login ---- */

static void send_greeting(void)
{
	const char *plugin = !strcmp(script.auth, "native") ? "mysql_native_password" : "caching_sha2_password";
	const uint32_t can = 0x00000001 | 0x00000008 | 0x00000200 | 0x00008000 | 0x00080000;
	uint8_t p[256] = { 10 }, *to = p + 1;

	to = (uint8_t *)stpcpy((char *)to, script.version) + 1;
	memcpy(to, "\1\0\0\0", 4);
	memcpy(to + 4, nonce, 8);
	to[12] = 0;
	to[13] = (uint8_t)can;
	to[14] = (uint8_t)(can >> 8);
	to[15] = 33;
	to[16] = 2;
	to[17] = 0;
	to[18] = (uint8_t)(can >> 16);
	to[19] = (uint8_t)(can >> 24);
	to[20] = NONCE + 1;
	memset(to + 21, 0, 10);
	memcpy(to + 31, nonce + 8, NONCE - 8);
	to[31 + NONCE - 8] = 0;
	to = (uint8_t *)stpcpy((char *)to + 32 + NONCE - 8, plugin) + 1;
	sequence = 0;
	send_packet(p, (size_t)(to - p));
}

/* The password comes encrypted with our key, and combined with the nonce. */
static bool full_login(void)
{
	uint8_t p[PACKET_MAX + 1], plain[512];
	EVP_PKEY_CTX *c;
	size_t length = sizeof(plain), n, i;
	char *pem;
	BIO *b;

	send_packet((const uint8_t *)"\1\4", 2);
	n = receive(p);
	if (n != 1 || p[0] != 2)
		return false;
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PUBKEY(b, key);
	n = (size_t)BIO_get_mem_data(b, &pem);
	p[0] = 1;
	memcpy(p + 1, pem, n);
	send_packet(p, n + 1);
	BIO_free(b);
	n = receive(p);
	c = EVP_PKEY_CTX_new(key, NULL);
	if (EVP_PKEY_decrypt_init(c) <= 0 || EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_decrypt(c, plain, &length, p, n) <= 0)
		return false;
	EVP_PKEY_CTX_free(c);
	for (i = 0; i < length; i++)
		plain[i] ^= nonce[i % NONCE];
	return length == strlen(script.password) + 1 && !memcmp(plain, script.password, length);
}

/* XOR(SHA256(password), SHA256(SHA256(SHA256(password)), nonce)) */
static bool fast_login(const uint8_t *scramble, size_t length)
{
	uint8_t once[32], twice[32 + NONCE], mask[32];
	size_t i;

	SHA256((const uint8_t *)script.password, strlen(script.password), once);
	SHA256(once, 32, twice);
	memcpy(twice + 32, nonce, NONCE);
	SHA256(twice, sizeof(twice), mask);
	for (i = 0; i < 32; i++)
		mask[i] ^= once[i];
	return length == 32 && !memcmp(mask, scramble, 32);
}

static void login(void)
{
	uint8_t p[PACKET_MAX + 1];
	const uint8_t *at;
	size_t length;
	bool good = true;

	send_greeting();
	length = receive(p);
	at = length > 32 ? memchr(p + 32, 0, length - 32) : NULL;
	if (!at)
		end(1);
	at++;
	if (!strcmp(script.behaviour, "login-hang"))
		pause();
	if (!strcmp(script.auth, "fast")) {
		good = fast_login(at + 1, at[0]);
		if (good)
			send_packet((const uint8_t *)"\1\3", 2);
	} else if (!strcmp(script.auth, "full")) {
		good = full_login();
	}
	if (good)
		send_ok();
	else
		send_error(1045, "Access denied for user 'check'@'127.0.0.1' (using password: YES)");
	if (!good)
		end(0);
}

/* ---- queries ---- */

static void send_columns(const struct answer *a)
{
	uint8_t p[512], *to;
	unsigned i;

	p[0] = (uint8_t)a->column_count;
	send_packet(p, 1);
	for (i = 0; i < a->column_count; i++) {
		to = put_text(p, "def");
		to = put_text(put_text(put_text(to, ""), ""), "");
		to = put_text(put_text(to, a->columns[i]), a->columns[i]);
		memcpy(to, "\x0c\x21\0\0\1\0\0\xfd\0\0\0\0\0", 13);
		send_packet(p, (size_t)(to + 13 - p));
	}
	send_eof();
}

static void send_row(const struct answer *a, unsigned row)
{
	uint8_t p[PACKET_MAX], *to = p;
	unsigned i;

	for (i = 0; i < a->column_count; i++) {
		if (a->rows[row][i])
			to = put_text(to, a->rows[row][i]);
		else
			*to++ = 0xfb;
	}
	send_packet(p, (size_t)(to - p));
}

static void answer_query(const char *sql)
{
	const struct answer *best = NULL;
	unsigned i;

	for (i = 0; i < script.count; i++)
		if (!strncasecmp(sql, script.answers[i].query, strlen(script.answers[i].query)) &&
		    (!best || strlen(script.answers[i].query) > strlen(best->query)))
			best = &script.answers[i];
	if (!best || best->error) {
		send_error(best ? best->error : 1064, best ? best->text : "You have an error in your SQL syntax");
		return;
	}
	send_columns(best);
	do {
		for (i = 0; i < best->row_count; i++)
			send_row(best, i);
	} while (!strcmp(script.behaviour, "flood"));
	send_eof();
}

static void serve(const char *path)
{
	static uint8_t p[PACKET_MAX + 1];

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* some behaviours wait for ever */
	read_script(path);
	if (!strcmp(script.behaviour, "silent"))
		pause();
	if (!strcmp(script.behaviour, "garbage")) {
		memset(p, 'x', sizeof(p));
		while (write(client, p, sizeof(p)) > 0)
			;
		end(0);
	}
	login();
	for (;;) {
		receive(p);
		if (p[0] == 1) { /* COM_QUIT: printed, so that a test can tell a good bye from a broken line */
			printf("quit\n");
			fflush(stdout);
			end(0);
		}
		if (p[0] == 3)
			answer_query((const char *)p + 1);
		else
			send_ok();
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (argc != 3)
		return 2;
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	signal(SIGCHLD, SIG_IGN);
	key = EVP_RSA_gen(2048);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!key || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 64) < 0) {
		perror("mysql_standin");
		return 1;
	}
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		client = accept(listener, NULL, NULL);
		if (client < 0)
			return 1;
		if (!fork())
			serve(argv[2]);
		close(client);
	}
}
