/* SPDX-License-Identifier: BSD-2-Clause */
/* A request line of the control socket, and the verb it names. */
#include <errno.h>

#include "base/cleanup.h"
#include "control/words.h"
#include "fuzz/fuzz.h"

static const struct control_verb verbs[] = {
	{ "status", "", 0, 0, MODEL_LEVEL_USER, NULL },
	{ "show servers", "[BACKEND[/SERVER]]", 0, 1, MODEL_LEVEL_USER, NULL },
	{ "server drain", "BACKEND/SERVER", 1, 1, MODEL_LEVEL_ADMIN, NULL },
	{ "server weight", "BACKEND/SERVER WEIGHT", 2, 2, MODEL_LEVEL_ADMIN, NULL },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONTROL_ERROR_MAX] = "", *line;
	struct control_words w = {};
	const struct control_verb *v;
	unsigned used = 0;

	if (size >= CONTROL_REQUEST_MAX)
		return 0;
	line = fuzz_copy(data, size, true);
	if (control_words_split(line, size, &w, error) < 0) {
		demand(*error && strlen(error) < CONTROL_ERROR_MAX);
		free(line);
		return 0;
	}
	demand(w.count <= CONTROL_WORDS_MAX);
	for (unsigned i = 0; i < w.count; i++)
		demand(*w.word[i] && w.word[i] >= line && w.word[i] + strlen(w.word[i]) <= line + size);
	v = control_words_match(&w, verbs, array_size(verbs), &used, error);
	demand(v ? used <= w.count : *error != '\0');
	free(line);
	return 0;
}
