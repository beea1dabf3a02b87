/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent would have laid out: services, servers, slots, own ports and addresses, in the program's maps, through
 * the same table functions. A world is changed as the agent changes it: the inactive half is written, then flipped.
 */
#ifndef PACKET_WORLD_H
#define PACKET_WORLD_H

#include "rig.h"

/* A usual world; zero is the usual value. */
struct world {
	enum abi_forward forward;
	enum abi_balance balance;
	enum abi_all_down all_down;
	unsigned servers;       /* of each family; 0 = none is there */
	unsigned ports;         /* own ports towards each server; 0 = 16 */
	bool keep_port;         /* servers have no port of their own */
};

/*
 * Four services, ids in this order: TCP VIP4:80, UDP VIP4:53, TCP VIP6:80, UDP VIP6:53, each over the servers of its
 * family: ids 1..n at 10.0.0.ID, ids n+1..2n at fd00::ID, port 8080. Published.
 */
void world_lay(struct rig *r, const struct world *w);

struct world_server {
	const char *addr;
	uint16_t port;          /* host order; 0 = the packet's is kept */
	uint32_t weight;        /* 0 = 1 */
	unsigned ports;         /* own ports towards it */
	const char *own;        /* address they belong to; needed with ports */
	const char *outer;      /* ipip: source of the outer header */
	unsigned outer_bits;    /* ... whose low bits, zero here, are the flow's hash */
};

struct world_service {
	const char *addr;
	uint16_t port;          /* 0 = all of them */
	uint8_t protocol;
	enum abi_forward forward;
	enum abi_balance balance;
	enum abi_all_down all_down;
	bool persists;          /* udp-persist, where not every flow is recorded anyway */
};

/* Pieces; all return ids. Nothing is seen before world_publish(). */
uint16_t world_address(struct rig *r, const char *addr);
uint32_t world_server(struct rig *r, const struct world_server *s);
uint32_t world_service(struct rig *r, const struct world_service *s, const uint32_t *servers, size_t count);
/* The address takes replies. */
void world_own(struct rig *r, const char *addr);
/* ICMP to the service's address is looked at; whether the host does not have it. world_lay() says it does. */
void world_unowned(struct rig *r, const char *addr, bool unowned);
void world_publish(struct rig *r);

/* The server's word in the half that is active; a store is what the agent does. */
__u64 *world_word(const struct rig *r, uint32_t server);
struct server *world_entry(const struct rig *r, uint32_t server);
void world_set_flags(struct rig *r, uint32_t server, uint8_t set, uint8_t clear);
/* As the agent does when checks say so: flags and slots. */
void world_server_down(struct rig *r, uint32_t server);
void world_server_up(struct rig *r, uint32_t server);
/* Removed: dead, its generation is over, no slot names it. */
void world_server_remove(struct rig *r, uint32_t server);
/* The server that a slot of the service names. */
uint32_t world_slot(const struct rig *r, uint32_t service, uint32_t slot);
uint32_t world_slot_count(const struct rig *r, uint32_t service);
struct hash_key world_key(const struct rig *r, uint32_t service);

/* Of what is told or dropped: the verdict alone. */
void gets_verdict(struct rig *r, const char *what, const struct packet *p, enum verdict verdict);

/* Packets of the usual world. */
struct packet client_packet(bool v6, uint8_t protocol, uint16_t sport, uint8_t flags);
/* The same packet as it must leave towards a server (nat), from the n-th own port. */
struct packet towards_server(const struct packet *request, const struct rig *r, uint32_t server, unsigned port);
/* Which own port that is: of the connection's record, or the next to be dealt for a new one. */
uint64_t *world_port_cursor(const struct rig *r, uint32_t server);
unsigned own_port(const struct rig *r, const struct packet *request, uint32_t server);
/* A TCP connection's three packets, all of which must pass, to this server from its n-th own port. */
void handshake(struct rig *r, bool v6, uint16_t sport, uint32_t server, unsigned port);
/* A packet of an established connection, either way; it must pass. */
void client_sends(struct rig *r, bool v6, uint16_t sport, uint8_t flags, uint32_t server, unsigned port);
void server_sends(struct rig *r, bool v6, uint16_t sport, uint8_t flags, uint32_t server, unsigned port);
/* The server's answer to a packet that went to it, and as it must leave towards the client. */
struct packet server_answer(const struct packet *sent, uint8_t flags);
struct packet towards_client(const struct packet *answer, const struct packet *request);

#endif
