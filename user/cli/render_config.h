/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files that print a configuration call of each other: render_config.c, render_check.c, explain_config.c. Not
 * for others.
 */
#ifndef CLI_RENDER_CONFIG_H
#define CLI_RENDER_CONFIG_H

#include <jansson.h>
#include <stdio.h>

/* A word as the configuration's lexer would read it back. */
void render_word(FILE *to, const char *word);
/* "WORDS 5s" for a member that is there. */
void render_time(FILE *to, const char *words, const json_t *of, const char *key);

/* The line's end; explained, with where its words were written, or that they are a default. */
void render_end(FILE *to, const json_t *of, const char *words);

/* explain_config.c: nothing where the reply does not explain. The lines about checks; the words of a server's line. */
void explain_check_lines(FILE *to, const json_t *backend);
void explain_server_line(FILE *to, const json_t *server);

/* A backend's check: lines of their own. */
void render_check(FILE *to, const json_t *check);
/* What a server's line says of its checks, but for times and counts. */
void render_server_check(FILE *to, const json_t *s);
/* "192.0.2.1:80" as ` ADDR_WORD 192.0.2.1 PORT_WORD 80`. */
void render_check_address(FILE *to, const char *addr_word, const char *port_word, const char *endpoint);

#endif
