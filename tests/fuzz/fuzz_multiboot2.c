/* SPDX-License-Identifier: BSD-3-Clause */
/* The boot loader's information under libFuzzer: scripts/fuzz multiboot2. */
#include <hv/multiboot2.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_info out;
	/* Of exactly that size: a byte read beyond it is an error. */
	uint8_t *exact = malloc(size != 0U ? size : 1U);

	if (size != 0U) {
		memcpy(exact, data, size);
	}
	if (size >= 8U) {
		/* Its own size is made right: guessing it would be all that the fuzzer does. */
		memcpy(exact, &(uint32_t){(uint32_t)size}, sizeof(uint32_t));
	}
	memset(&out, 0, sizeof(out));
	(void)multiboot2_parse(exact, size, &out);
	free(exact);
	return 0;
}
