/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/seal.h"

#include <endian.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "peers/wire.h"

enum { SUM = 32 };

/* What the key is for: another use of the same secret must not give the same key. */
static const char purpose[] = "alwayson peers 1";

struct seal {
	EVP_MAC *mac;
	EVP_MAC_CTX *keyed; /* copied for each datagram: the key's part of the work is done once */
};

static EVP_MAC_CTX *with_key(EVP_MAC *mac, const uint8_t *key, size_t length)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);

	if (ctx && EVP_MAC_init(ctx, key, length, params) == 1)
		return ctx;
	EVP_MAC_CTX_free(ctx);
	return NULL;
}

static bool sum(const EVP_MAC_CTX *keyed, const uint8_t *data, size_t length, uint8_t ret[SUM])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(keyed);
	size_t size = 0;
	const bool ok = ctx && EVP_MAC_update(ctx, data, length) == 1 && EVP_MAC_final(ctx, ret, &size, SUM) == 1 &&
			size == SUM;

	EVP_MAC_CTX_free(ctx);
	return ok;
}

struct seal *seal_new(const struct hash_key *secret)
{
	const uint64_t words[2] = { htobe64(secret->k[0]), htobe64(secret->k[1]) };
	struct seal *s = calloc(1, sizeof(*s));
	EVP_MAC_CTX *master = NULL;
	uint8_t key[SUM], from[sizeof(words)];

	memcpy(from, words, sizeof(from));
	if (s)
		s->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (s && s->mac)
		master = with_key(s->mac, from, sizeof(from));
	if (master && sum(master, (const uint8_t *)purpose, strlen(purpose), key))
		s->keyed = with_key(s->mac, key, sizeof(key));
	EVP_MAC_CTX_free(master);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(from, sizeof(from));
	if (s && s->keyed)
		return s;
	seal_free(s);
	return NULL;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	EVP_MAC_CTX_free(s->keyed);
	EVP_MAC_free(s->mac);
	free(s);
}

int seal_put(struct seal *s, uint8_t *data, size_t length)
{
	uint8_t code[SUM];

	if (!sum(s->keyed, data, length, code))
		return -ENOMEM;
	memcpy(data + length, code, WIRE_MAC);
	return 0;
}

bool seal_fits(struct seal *s, const uint8_t *data, size_t length)
{
	uint8_t code[SUM];

	return length >= WIRE_MAC && sum(s->keyed, data, length - WIRE_MAC, code) &&
	       CRYPTO_memcmp(code, data + length - WIRE_MAC, WIRE_MAC) == 0;
}
