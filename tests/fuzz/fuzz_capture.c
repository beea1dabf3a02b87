/* SPDX-License-Identifier: BSD-2-Clause */
/* `explain packet --pcap`: a file that calls itself a capture, and its frames in words. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/frame_text.h"
#include "cli/capture.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], error[CAPTURE_ERROR_MAX] = "";
	const uint8_t *bytes = NULL;
	size_t kept, length;
	unsigned count = 0;
	struct capture *c;
	int fd = memfd_create("capture", MFD_CLOEXEC), r;

	demand(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = capture_open(path, &c, error);
	close(fd);
	if (r < 0) {
		demand(r == -EINVAL && *error);
		return 0;
	}
	while ((r = capture_next(c, &bytes, &kept, &length, error)) == 1) {
		char *frame = fuzz_copy(bytes, kept, false), text[FRAME_TEXT_MAX], macs[FRAME_MACS_MAX];

		demand(kept <= length && ++count <= CAPTURE_PACKETS_MAX);
		demand(*frame_text((uint8_t *)frame, kept, text));
		frame_macs((uint8_t *)frame, kept, macs);
		free(frame);
	}
	demand(r == 0 || (r == -E2BIG && count == CAPTURE_PACKETS_MAX) || (r == -EINVAL && *error));
	capture_close(c);
	return 0;
}
