/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scenario reader under libFuzzer:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Iarch/x86/include
 * -Itests/fake/include tests/fuzz/fuzz_scenario.c hypervisor/scenario.c hypervisor/scenario_links.c
 * hypervisor/scenario_machine.c With -DFUZZ_STANDALONE (no libFuzzer) it is a program that reads
 * files and says what the hypervisor would.
 */
#include <hv/scenario.h>

#include <public/scenario_blob.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FUZZ_STANDALONE

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
	uint32_t crc = 0xFFFFFFFFU;

	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1U) != 0U ? 0xEDB88320U : 0U);
	}
	return ~crc;
}

/* Magic, sizes and checksum are made right: guessing them would be all that the fuzzer does. */
static void mend(uint8_t *blob, size_t size)
{
	struct scn_header hdr;

	memcpy(&hdr, blob, sizeof(hdr));
	hdr.magic = SCN_MAGIC;
	hdr.version = SCN_VERSION;
	hdr.header_size = sizeof(struct scn_header);
	hdr.vm_record_size = sizeof(struct scn_vm_record);
	hdr.vuart_record_size = sizeof(struct scn_vuart_record);
	hdr.connection_record_size = sizeof(struct scn_connection_record);
	hdr.total_size = (uint32_t)size;
	hdr.crc32 = 0;
	memcpy(blob, &hdr, sizeof(hdr));
	hdr.crc32 = crc32_of(blob, size);
	memcpy(blob, &hdr, sizeof(hdr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scenario scn;
	const struct scenario_range ram = {0, 1UL << 30};
	const struct scenario_machine machine = {
		.pcpu_count = 3, .ram_bytes = 1UL << 29, .ram = &ram, .ram_count = 1};
	struct scenario_error err;
	uint8_t *copy = malloc(size != 0U ? size : 1U);

	if (size != 0U)
		memcpy(copy, data, size);
	if (size >= sizeof(struct scn_header))
		mend(copy, size);
	if (scenario_load(copy, size, &scn, &err) == 0)
		(void)scenario_check_machine(&scn, &machine);
	else if (err.text[0] == '\0' || strlen(err.text) >= sizeof(err.text))
		abort();
	free(copy);
	return 0;
}

#else

int main(int argc, char **argv)
{
	static struct scenario scn;
	static uint8_t data[SCN_BLOB_MAX_SIZE + 1U];
	struct scenario_error err;
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		size_t size;

		if (file == NULL) {
			perror(argv[i]);
			return 2;
		}
		size = fread(data, 1, sizeof(data), file);
		(void)fclose(file);
		if (scenario_load(data, size, &scn, &err) == 0) {
			printf("%s: good, %u VMs\n", scn.name, scn.vm_count);
		} else {
			printf("refused: %s\n", err.text);
			bad = 1;
		}
	}
	return bad;
}

#endif
