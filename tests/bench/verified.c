/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much work each program is for the kernel's verifier: loads the objects as they are and prints, a line a program,
 * the instructions it looked at and the stack of its functions. Called by `make check`, so that a jump is seen.
 * Needs root. Exit codes: 0 all load, 1 one does not, 2 usage.
 */
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_SIZE = 1 << 20, INSTRUCTIONS_MAX = 1000000 /* the kernel's own limit */ };

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static unsigned long number_after(const char *log, const char *word)
{
	const char *at = strstr(log, word);

	return at ? strtoul(at + strlen(word), NULL, 10) : 0;
}

/* The frames of the program and of its functions, as the kernel lists them: each call chain may take 512 bytes in all. */
static int stack_length(const char *log, const char **ret)
{
	static const char word[] = "stack depth ";
	const char *at = strstr(log, word);

	*ret = at ? at + strlen(word) : "?";
	return at ? (int)strspn(*ret, "0123456789+") : 1;
}

static int show(const char *path, char *log)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	const char *stack;
	int r, length;

	if (!object) {
		fprintf(stderr, "%s: cannot be opened\n", path);
		return -1;
	}
	bpf_object__for_each_program(program, object) {
		bpf_program__set_log_buf(program, log, LOG_SIZE);
		bpf_program__set_log_level(program, 4); /* statistics only */
	}
	log[0] = '\0';
	r = bpf_object__load(object);
	length = stack_length(log, &stack);
	bpf_object__for_each_program(program, object)
		printf("%-16s %7lu instructions verified, %lu %% of what the kernel allows, stack %.*s%s\n",
		       bpf_program__name(program), number_after(log, "processed "),
		       number_after(log, "processed ") * 100 / INSTRUCTIONS_MAX, length, stack,
		       r < 0 ? ": REFUSED" : "");
	bpf_object__close(object);
	return r;
}

int main(int argc, char **argv)
{
	char *log = malloc(LOG_SIZE);
	int failed = 0;

	if (argc < 2 || argv[1][0] == '-' || !log) {
		printf("usage: verified OBJECT...\n");
		free(log);
		return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
	}
	libbpf_set_print(silent);
	for (int i = 1; i < argc; i++)
		failed |= show(argv[i], log) < 0;
	free(log);
	return failed;
}
