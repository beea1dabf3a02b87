/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An IP address of either family, and an address with a port. Bytes are in network order, ports in host order.
 * Used by everybody; no sockets are opened here.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	ADDR_TEXT_MAX = 46,     /* INET6_ADDRSTRLEN */
	ENDPOINT_TEXT_MAX = 56, /* [v6]:port */
};

struct addr {
	uint8_t family;    /* AF_INET, AF_INET6; 0 = none */
	uint8_t bytes[16]; /* network order; an IPv4 address is in the first 4, the rest is zero */
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order; 0 = none */
};

/* Reads "192.0.2.1" or "2001:db8::1" (no brackets, no zone). 0, or -EINVAL. */
int addr_parse(const char *text, struct addr *ret);
/*
 * Reads "192.0.2.0/24", or an address alone as a prefix of its whole length. 0; -EINVAL: no address or no number;
 * -ERANGE: the length is above the family's 32 or 128. Bits behind the prefix are kept: see addr_mask().
 */
int addr_parse_prefix(const char *text, struct addr *ret, unsigned *ret_length);
/* The address with all bits behind its first `length` ones cleared. */
struct addr addr_mask(const struct addr *a, unsigned length);
/* 32, 128; 0 for an empty address. */
unsigned addr_bits(const struct addr *a);
/* Writes the address as text and returns buf; an empty address gives "-". */
const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_MAX]);
/* Writes "192.0.2.1:80" or "[2001:db8::1]:80" and returns buf. */
const char *endpoint_format(const struct endpoint *e, char buf[static ENDPOINT_TEXT_MAX]);
/* A total order: family, then bytes. */
int addr_compare(const struct addr *a, const struct addr *b);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_unspecified(const struct addr *a); /* 0.0.0.0 or :: */
struct addr addr_from_v4(in_addr_t v4);
/* Fills a sockaddr for connect() and bind(); returns its length, 0 for an empty address. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret);

#endif
