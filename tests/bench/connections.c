/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections by the hundred thousand for what happens once a connection, not once a packet: a SYN and an ACK each, from
 * addresses of 10.50.0.0/16 that nobody has, by a raw socket. Nobody answers. Run by tests/bench/peers.
 *
 *     connections ADDRESS PORT NEW TOUCH SECONDS     NEW connections a second; TOUCH packets of earlier ones
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct segment {
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static struct sockaddr_in to;
static int fd;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The n-th connection's; the kernel fills in lengths and the header's sum, and nobody looks at TCP's. */
static void send_segment(uint32_t n, bool syn)
{
	struct segment s = {
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP, .daddr = to.sin_addr.s_addr,
			.saddr = htonl(0x0a320000 + n / 32768) },
		.tcp = { .source = htons(1024 + n % 32768), .dest = to.sin_port, .doff = 5, .syn = syn, .ack = !syn },
	};

	if (sendto(fd, &s, sizeof(s), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		perror("connections: sendto");
}

int main(int argc, char **argv)
{
	uint64_t begin, new, touch, seconds, opened = 0, touched = 0;

	if (argc != 6 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: connections ADDRESS PORT NEW TOUCH SECONDS\n");
		return 2;
	}
	to.sin_family = AF_INET;
	to.sin_port = htons(atoi(argv[2]));
	new = strtoull(argv[3], NULL, 10);
	touch = strtoull(argv[4], NULL, 10);
	seconds = strtoull(argv[5], NULL, 10);
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0) {
		perror("connections: a raw socket");
		return 1;
	}
	begin = now_us();
	for (uint64_t us = 0; us < seconds * 1000000; us = now_us() - begin) {
		for (; opened < us * new / 1000000; opened++) {
			send_segment(opened, true);
			send_segment(opened, false);
		}
		for (; opened && touched < us * touch / 1000000; touched++)
			send_segment(touched % opened, false);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	printf("opened %llu\n", (unsigned long long)opened);
	return 0;
}
