/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much work each program is for the kernel's verifier: loads the objects as they are and prints, a line a program,
 * the instructions it looked at and the stack of its functions. Of a program with features to switch off (variables with_NAME in its .rodata, which the
 * verifier takes for constants) each useful set is loaded: all, all but one, and those of the simplest uses. Called by
 * `make check`, so that a jump is seen. Needs root. Exit codes: 0 all load, 1 one does not, 2 usage.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_SIZE = 1 << 20, FEATURES_MAX = 16, FEATURE_NAME_MAX = 32, INSTRUCTIONS_MAX = 1000000 /* the kernel's own limit */ };

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

/* Names of the features; of an object without any the count is 0. */
struct features {
	unsigned count;
	char names[FEATURES_MAX][FEATURE_NAME_MAX];
	unsigned offsets[FEATURES_MAX];
};

static struct features find_features(const struct bpf_object *object)
{
	const struct btf *btf = bpf_object__btf(object);
	const int id = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -1;
	const struct btf_type *section = id < 0 ? NULL : btf__type_by_id(btf, id);
	struct features f = {};

	for (unsigned i = 0; section && i < btf_vlen(section) && f.count < FEATURES_MAX; i++) {
		const struct btf_var_secinfo *v = btf_var_secinfos(section) + i;
		const char *name = btf__name_by_offset(btf, btf__type_by_id(btf, v->type)->name_off);

		if (strncmp(name, "with_", 5) != 0 || v->size != 1)
			continue;
		snprintf(f.names[f.count], FEATURE_NAME_MAX, "%s", name + 5);
		f.offsets[f.count++] = v->offset;
	}
	return f;
}

/* The set as it is named, and its switches: all as they are compiled, but for `off`; or none but `only`. */
struct set {
	const char *name, *off, *only;
};

static void set_features(struct bpf_object *object, const struct features *f, const struct set *set)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		size_t size;
		uint8_t *values = (uint8_t *)bpf_map__initial_value(map, &size);

		if (!strstr(bpf_map__name(map), ".rodata") || !values)
			continue;
		for (unsigned i = 0; i < f->count; i++)
			if ((set->off && strcmp(set->off, f->names[i]) == 0) ||
			    (set->only && strcmp(set->only, f->names[i]) != 0))
				values[f->offsets[i]] = 0;
	}
}

static int show_set(const char *path, char *log, const struct set *set, struct features *ret)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	struct features f;
	const char *stack;
	int r, length;

	if (!object) {
		fprintf(stderr, "%s: cannot be opened\n", path);
		return -1;
	}
	f = find_features(object);
	set_features(object, &f, set);
	bpf_object__for_each_program(program, object) {
		bpf_program__set_log_buf(program, log, LOG_SIZE);
		bpf_program__set_log_level(program, 4); /* statistics only */
	}
	log[0] = '\0';
	r = bpf_object__load(object);
	length = stack_length(log, &stack);
	bpf_object__for_each_program(program, object)
		printf("%-16s %7lu instructions verified, %lu %% of what the kernel allows%s%s%s, stack %.*s%s\n",
		       bpf_program__name(program), number_after(log, "processed "),
		       number_after(log, "processed ") * 100 / INSTRUCTIONS_MAX, set->name, set->off ? set->off : "",
		       set->only ? set->only : "", length, stack, r < 0 ? ": REFUSED" : "");
	fflush(stdout);
	if (r < 0)
		fprintf(stderr, "%s", log);
	if (ret)
		*ret = f;
	bpf_object__close(object);
	return r;
}

static int show(const char *path, char *log)
{
	static const char *const simplest[] = { "nat", "dsr" };
	struct features f = {};
	int r = show_set(path, log, &(struct set){ .name = "" }, &f);

	for (unsigned i = 0; r == 0 && i < f.count; i++)
		r = show_set(path, log, &(struct set){ .name = ", without ", .off = f.names[i] }, NULL);
	for (unsigned i = 0; r == 0 && f.count && i < sizeof(simplest) / sizeof(simplest[0]); i++)
		r = show_set(path, log, &(struct set){ .name = ", nothing but ", .only = simplest[i] }, NULL);
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
