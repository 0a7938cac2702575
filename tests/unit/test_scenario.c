/* SPDX-License-Identifier: BSD-3-Clause */
/* The scenario reader: a good blob, every kind of bad one, and a great many random ones. */
#include "unit.h"

#include <hv/scenario.h>
#include <lib/errno.h>
#include <public/scenario_blob.h>

#include <stdlib.h>
#include <string.h>

enum { PRE_A, PRE_B, SVM, UVM1, DYN, RECORDS }; /* records of the sample; DYN stands for 2 slots */

struct sample {
	struct scn_header hdr;
	struct scn_vm_record vm[RECORDS];
	struct scn_vuart_record vuart[1];
	struct scn_connection_record conn[2];
	char str[256];
};

static struct scenario out;
static struct scenario_error err;
static struct sample smp;
static uint32_t str_used;

/* Another way of reckoning than the reader's, so that both can't be wrong alike. */
static uint32_t crc32_of(const uint8_t *data, size_t size)
{
	static uint32_t table[256];
	uint32_t crc = 0xFFFFFFFFU;

	for (uint32_t i = 0; i < 256U && table[255] == 0U; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = (table[i] >> 1) ^ ((table[i] & 1U) != 0U ? 0xEDB88320U : 0U);
	}
	for (size_t i = 0; i < size; i++)
		crc = (crc >> 8) ^ table[(crc ^ (i >= 12U && i < 16U ? 0U : data[i])) & 0xFFU];
	return ~crc;
}

static void seal(void *blob, size_t size)
{
	const uint32_t crc = crc32_of(blob, size);

	memcpy((uint8_t *)blob + 12, &crc, sizeof(crc));
}

static struct scn_string put(const char *text)
{
	const struct scn_string str = {.offset = str_used, .length = (uint32_t)strlen(text)};

	memcpy(&smp.str[str_used], text, str.length);
	str_used += str.length;
	return str;
}

static struct scn_vm_record record(uint8_t load_order, const char *name)
{
	struct scn_vm_record rec = {.load_order = load_order, .bvt_weight = 1, .slots = 1};

	if (name[0] != '\0')
		rec.name = put(name);
	rec.pci_policy = SCN_PCI_NONE;
	rec.unhandled_port = SCN_PORT_IGNORE;
	if (load_order != SCN_POST_LAUNCHED_VM) {
		rec.flags = SCN_VM_AUTOSTART;
		rec.kern_type = SCN_KERNEL_BZIMAGE;
		rec.kern_mod = put("kernel");
	}
	return rec;
}

static void make_header(void)
{
	smp.hdr = (struct scn_header){
		.magic = SCN_MAGIC,
		.version = SCN_VERSION,
		.header_size = sizeof(smp.hdr),
		.total_size = sizeof(smp),
		.vm_count = RECORDS,
		.vm_record_size = sizeof(smp.vm[0]),
		.vuart_count = 1,
		.vuart_record_size = sizeof(smp.vuart[0]),
		.connection_count = 2,
		.connection_record_size = sizeof(smp.conn[0]),
		.str_size = sizeof(smp.str),
		.slice_us = 5000,
		.console_baud = 115200,
		.console_port = 0x3F8,
		.console_vm = SVM,
		.scheduler = SCN_SCHED_BVT,
		.console_loglevel = 4,
		.mem_loglevel = 5,
	};
	smp.hdr.name = put("sample");
}

/* A scenario with something of everything. */
static void make_sample(void)
{
	memset(&smp, 0, sizeof(smp));
	str_used = 0;
	make_header();

	smp.vm[PRE_A] = record(SCN_PRE_LAUNCHED_VM, "PRE_A");
	smp.vm[PRE_A].flags |= SCN_VM_OWN_PCPU | SCN_VM_MEM_HPA | SCN_VM_DEBUG_EXIT;
	smp.vm[PRE_A].vcpu_num = 2;
	smp.vm[PRE_A].vcpu_pcpu[0] = 3;
	smp.vm[PRE_A].vcpu_pcpu[1] = 3;
	smp.vm[PRE_A].mem_mb = 128;
	smp.vm[PRE_A].mem_hpa = 0x10000000;
	smp.vm[PRE_A].bootargs = put("console=ttyS0");
	smp.vm[PRE_A].ramdisk_mod = put("initrd");
	smp.vm[PRE_A].module_count = 1;
	smp.vm[PRE_A].modules[0].tag = put("env");
	smp.vm[PRE_A].modules[0].string = put("A=1 B=2");
	smp.vm[PRE_A].pci_policy = SCN_PCI_LISTED;
	smp.vm[PRE_A].pci_count = 1;
	smp.vm[PRE_A].pci_bdf[0] = 0x00FA;

	smp.vm[PRE_B] = record(SCN_PRE_LAUNCHED_VM, "PRE_B");
	smp.vm[PRE_B].flags |= SCN_VM_CPU_AUTO | SCN_VM_KERN_ADDR | SCN_VM_MEM_HPA;
	smp.vm[PRE_B].kern_type = SCN_KERNEL_RAWIMAGE;
	smp.vm[PRE_B].kern_load_addr = 0x1000;
	smp.vm[PRE_B].kern_entry_addr = 0x1010;
	smp.vm[PRE_B].vcpu_num = 2;
	smp.vm[PRE_B].mem_mb = 16;
	smp.vm[PRE_B].mem_hpa = 0x18000000;
	smp.vm[PRE_B].port_count = 2;
	smp.vm[PRE_B].ports[0] = (struct scn_port_range){0x80, 0x80};
	smp.vm[PRE_B].ports[1] = (struct scn_port_range){0x300, 0x31F};
	smp.vm[PRE_B].port_vcpu[1] = 2;

	smp.vm[SVM] = record(SCN_SERVICE_VM, "SVM");
	smp.vm[SVM].flags |= SCN_VM_CPU_AUTO;
	smp.vm[SVM].console_vuart = SCN_CONSOLE_COM1;
	smp.vm[SVM].unhandled_port = SCN_PORT_PASSTHROUGH;
	smp.vm[SVM].pci_policy = SCN_PCI_ALL;

	smp.vm[UVM1] = record(SCN_POST_LAUNCHED_VM, "UVM1");
	smp.vm[UVM1].flags |= SCN_VM_IO_POLLING;
	smp.vm[UVM1].vcpu_num = 2;
	smp.vm[UVM1].vcpu_pcpu[0] = 1;
	smp.vm[UVM1].unhandled_port = SCN_PORT_FORWARD;
	smp.vm[UVM1].mem_mb = 256;

	smp.vm[DYN] = record(SCN_POST_LAUNCHED_VM, "");
	smp.vm[DYN].flags |= SCN_VM_DYNAMIC | SCN_VM_CPU_AUTO;
	smp.vm[DYN].slots = 2;
	smp.vm[DYN].unhandled_port = SCN_PORT_FORWARD;

	smp.vuart[0].name = put("A-to-B");
	smp.vuart[0].vm[0] = PRE_A;
	smp.vuart[0].vm[1] = PRE_B;
	smp.vuart[0].com[0] = 2;
	smp.vuart[0].com[1] = 1;

	smp.conn[0].name = put("share");
	smp.conn[0].vm[0] = PRE_B;
	smp.conn[0].vm[1] = PRE_A;
	smp.conn[0].emits = 2;
	smp.conn[0].type = SCN_CONNECTION_CROSSVM;
	smp.conn[0].size_kb = 16384;
	smp.conn[1].name = put("echo");
	smp.conn[1].vm[0] = PRE_A;
	smp.conn[1].vm[1] = SCN_CONNECTION_HV;
	smp.conn[1].emits = 3;
	smp.conn[1].type = SCN_CONNECTION_CROSSVM;
	smp.conn[1].size_kb = 4;
}

static int32_t load_sample(void)
{
	seal(&smp, sizeof(smp));
	return scenario_load(&smp, sizeof(smp), &out, &err);
}

/* Loads from a heap copy of exactly `size` bytes, so that ASan sees any byte read outside. */
static int32_t load_exact(const void *blob, size_t size)
{
	uint8_t *copy = malloc(size != 0U ? size : 1U);
	int32_t ret;

	if (size != 0U)
		memcpy(copy, blob, size);
	ret = scenario_load(copy, size, &out, &err);
	free(copy);
	return ret;
}

/* The changed sample must be refused, with a line that says `word`, and nothing left in `out`. */
static void expect_refused(const char *word, int line)
{
	static const struct scenario nothing;

	if (load_sample() != -EINVAL)
		unit_fail(__FILE__, line, "not refused: %s", word);
	else if (strstr(err.text, word) == NULL)
		unit_fail(__FILE__, line, "'%s' doesn't say '%s'", err.text, word);
	else if (memcmp(&out, &nothing, sizeof(out)) != 0)
		unit_fail(__FILE__, line, "something is left of a refused scenario: %s", word);
}

#define EXPECT_REFUSED(change, word)                                                               \
	do {                                                                                       \
		make_sample();                                                                     \
		change;                                                                            \
		expect_refused(word, __LINE__);                                                    \
	} while (0)

TEST(scenario_crc_is_ieee)
{
	/* The check value of CRC-32; nine bytes don't reach the field that is left out. */
	EXPECT_EQ(crc32_of((const uint8_t *)"123456789", 9), 0xCBF43926U);
}

TEST(scenario_good_is_unpacked)
{
	make_sample();
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(out.vm_count, 6);
	EXPECT_EQ(out.max_pcpus, CONFIG_MAX_PCPU_NUM);
	EXPECT(strcmp(out.name, "sample") == 0);
	EXPECT(strcmp(out.vm[PRE_A].bootargs, "console=ttyS0") == 0);
	EXPECT(strcmp(out.vm[PRE_A].ramdisk_mod, "initrd") == 0);
	EXPECT(strcmp(out.vm[PRE_A].module[0].tag, "env") == 0);
	EXPECT(strcmp(out.vm[PRE_A].module[0].string, "A=1 B=2") == 0);
	EXPECT_EQ(out.vm[PRE_A].vcpu_count, 2);
	EXPECT_EQ(out.vm[PRE_A].vcpu_pcpu[1], 3);
	EXPECT_EQ(out.vm[PRE_A].pcpu_mask, 8);
	EXPECT_EQ(out.vm[PRE_A].mem_bytes, 128UL << 20);
	EXPECT_EQ(out.vm[PRE_A].mem_hpa, 0x10000000);
	EXPECT(out.vm[PRE_A].own_pcpu && out.vm[PRE_A].debug_exit && out.vm[PRE_A].mem_fixed);
	EXPECT_EQ(out.vm[PRE_A].pci_bdf[0], 0x00FA);
	EXPECT_EQ(out.vm[PRE_B].kern_entry_addr, 0x1010);
	EXPECT_EQ(out.vm[PRE_B].port[1].last, 0x31F);
	EXPECT_EQ(out.vm[PRE_B].port_vcpu[0], 0);
	EXPECT_EQ(out.vm[PRE_B].port_vcpu[1], 2);
	EXPECT(out.vm[UVM1].io_polling && !out.vm[UVM1].autostart);
	EXPECT(out.vm[DYN].dynamic && out.vm[DYN + 1].dynamic);
	EXPECT_EQ(out.vuart[0].com[0], 2);
	EXPECT_EQ(out.connection_count, 2);
	EXPECT(strcmp(out.connection[0].name, "share") == 0);
	EXPECT(!out.connection[0].emits[0] && out.connection[0].emits[1]);
	EXPECT_EQ(out.connection[0].size, 16UL << 20);
	EXPECT_EQ(out.connection[1].vm[1], SCN_CONNECTION_HV);
	EXPECT(scenario_service_vm(&out) == &out.vm[SVM]);
}

TEST(scenario_finds_post_launched_by_name)
{
	make_sample();
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_find_post_launched(&out, "UVM1", 16), UVM1);
	EXPECT_EQ(scenario_find_post_launched(&out, "UVM1", 4), UVM1);
	EXPECT_EQ(scenario_find_post_launched(&out, "UVM1", 3), -ENOENT);
	EXPECT_EQ(scenario_find_post_launched(&out, "UVM12", 16), -ENOENT);
	EXPECT_EQ(scenario_find_post_launched(&out, "SVM", 16), -ENOENT);
	EXPECT_EQ(scenario_find_post_launched(&out, "", 16), -ENOENT);
	EXPECT_EQ(scenario_find_post_launched(&out, "", 0), -ENOENT);
}

TEST(scenario_any_alignment)
{
	uint8_t *room = malloc(sizeof(smp) + 8U);

	make_sample();
	seal(&smp, sizeof(smp));
	for (size_t shift = 0; shift < 8U; shift++) {
		memcpy(room + shift, &smp, sizeof(smp));
		EXPECT_EQ(scenario_load(room + shift, sizeof(smp), &out, &err), 0);
	}
	free(room);
}

TEST(scenario_header_rules)
{
	EXPECT_REFUSED(smp.hdr.magic++, "magic");
	EXPECT_REFUSED(smp.hdr.version++, "version");
	EXPECT_REFUSED(smp.hdr.header_size = 63, "record sizes");
	EXPECT_REFUSED(smp.hdr.total_size--, "bytes");
	EXPECT_REFUSED(smp.hdr.vm_record_size--, "record sizes");
	EXPECT_REFUSED(smp.hdr.vuart_record_size = 0, "record sizes");
	EXPECT_REFUSED(smp.hdr.vm_count = 0, "0 VMs");
	EXPECT_REFUSED(smp.hdr.vm_count = 0xFFFF, "65535 VMs");
	EXPECT_REFUSED(smp.hdr.vm_count = RECORDS - 1, "add up");
	EXPECT_REFUSED(smp.hdr.vuart_count = 9, "vuart_connections");
	EXPECT_REFUSED(smp.hdr.str_size = 0xFFFFFFF8U, "add up");
	EXPECT_REFUSED(smp.hdr.str_size = 255, "add up");
	EXPECT_REFUSED(smp.hdr.reserved[8] = 1, "reserved");
	EXPECT_REFUSED(smp.hdr.name.length = 0, "name");
	EXPECT_REFUSED(smp.hdr.name.length = 16, "name");
	EXPECT_REFUSED(smp.hdr.name.offset = 0xFFFFFFFFU, "name");
	EXPECT_REFUSED(smp.hdr.name.offset = 251, "name");
	EXPECT_REFUSED(smp.hdr.slice_us = 99, "slice");
	EXPECT_REFUSED(smp.hdr.slice_us = 1000001, "slice");
	EXPECT_REFUSED(smp.hdr.console_baud = 115201, "baud");
	EXPECT_REFUSED(smp.hdr.console_baud = 0, "baud");
	EXPECT_REFUSED(smp.hdr.console_port = 0, "baud");
	EXPECT_REFUSED(smp.hdr.console_port = 0xFFF9, "console port");
	EXPECT_REFUSED(smp.hdr.console_vm = 6, "CONSOLE_VM");
	EXPECT_REFUSED(smp.hdr.scheduler = 3, "scheduler");
	EXPECT_REFUSED(smp.hdr.console_loglevel = 6, "log levels");
	EXPECT_REFUSED(smp.hdr.mem_loglevel = 255, "log levels");
}

TEST(scenario_checksum)
{
	make_sample();
	seal(&smp, sizeof(smp));
	smp.hdr.crc32 ^= 1U;
	EXPECT_EQ(scenario_load(&smp, sizeof(smp), &out, &err), -EINVAL);
	EXPECT(strstr(err.text, "checksum") != NULL);
}

TEST(scenario_identity_rules)
{
	EXPECT_REFUSED(smp.str[smp.vm[SVM].name.offset] = ' ', "name");
	EXPECT_REFUSED(smp.str[smp.vm[SVM].name.offset] = '\0', "name");
	EXPECT_REFUSED(smp.str[smp.vm[SVM].name.offset] = (char)0xC3, "name");
	EXPECT_REFUSED(smp.vm[SVM].name = (struct scn_string){0}, "needs a name");
	EXPECT_REFUSED(smp.vm[SVM].name = (struct scn_string){.offset = 1}, "name");
	EXPECT_REFUSED(smp.vm[SVM].flags |= 0x200U, "flags");
	EXPECT_REFUSED(smp.vm[SVM].flags |= SCN_VM_SERVICE_CONTROL, "is for pre-launched VMs");
	EXPECT_REFUSED(smp.vm[SVM].reserved0 = 1, "reserved");
	EXPECT_REFUSED(smp.vm[SVM].reserved2[3] = 1UL << 63, "reserved");
	EXPECT_REFUSED(smp.vm[PRE_A].load_order = 0, "load_order");
	EXPECT_REFUSED(smp.vm[DYN].load_order = 4, "load_order");
	EXPECT_REFUSED(smp.vm[DYN].load_order = SCN_SERVICE_VM, "out of order");
	EXPECT_REFUSED((smp.vm[PRE_A].load_order = SCN_SERVICE_VM, smp.vm[PRE_A].vcpu_pcpu[1] = 2,
			       smp.vm[PRE_A].flags &= ~SCN_VM_MEM_HPA, smp.vm[PRE_A].mem_hpa = 0),
		"out of order");
	EXPECT_REFUSED(smp.vm[PRE_B].load_order = SCN_POST_LAUNCHED_VM, "no Service VM");
	EXPECT_REFUSED(smp.vm[UVM1].load_order = SCN_SERVICE_VM, "already");
	EXPECT_REFUSED(smp.vm[SVM].slots = 2, "slot");
	EXPECT_REFUSED(smp.vm[DYN].slots = 0, "dynamic");
	EXPECT_REFUSED(smp.vm[DYN].slots = 5, "CONFIG_MAX_VM_NUM");
	EXPECT_REFUSED(smp.vm[DYN].slots = 255, "CONFIG_MAX_VM_NUM");
	EXPECT_REFUSED(smp.vm[UVM1].flags |= SCN_VM_DYNAMIC, "dynamic");
	EXPECT_REFUSED(smp.vm[DYN].name = smp.vm[UVM1].name, "dynamic");
	EXPECT_REFUSED(smp.vm[UVM1].name = smp.vm[PRE_A].name, "same name");
	EXPECT_REFUSED(smp.vm[UVM1].flags |= SCN_VM_AUTOSTART, "start at boot");
	EXPECT_REFUSED(
		(smp.vm[SVM].load_order = SCN_PRE_LAUNCHED_VM,
			smp.vm[SVM].pci_policy = SCN_PCI_NONE,
			smp.vm[SVM].unhandled_port = SCN_PORT_IGNORE, smp.vm[SVM].mem_mb = 64),
		"no Service VM");
}

TEST(scenario_cpu_rules)
{
	EXPECT_REFUSED(smp.vm[SVM].bvt_weight = 0, "bvt_weight");
	EXPECT_REFUSED(smp.vm[SVM].bvt_weight = 129, "bvt_weight");
	EXPECT_REFUSED(smp.vm[SVM].bvt_warp_value = -8193, "bvt_warp_value -8193");
	EXPECT_REFUSED(smp.vm[SVM].bvt_warp_value = 8193, "bvt_warp_value 8193");
	EXPECT_REFUSED(smp.vm[SVM].bvt_warp_limit = 11, "bvt_warp_limit 11");
	EXPECT_REFUSED(smp.vm[SVM].bvt_unwarp_period = 11, "bvt_unwarp_period 11");
	EXPECT_REFUSED(smp.vm[PRE_A].vcpu_num = 0, "0 vCPUs");
	EXPECT_REFUSED(smp.vm[PRE_A].vcpu_num = 17, "17 vCPUs");
	EXPECT_REFUSED(smp.vm[SVM].vcpu_num = 255, "255 vCPUs");
	EXPECT_REFUSED(smp.vm[SVM].flags |= SCN_VM_OWN_PCPU, "own_pcpu");
	EXPECT_REFUSED(smp.vm[SVM].vcpu_pcpu[0] = 1, "unused");
	EXPECT_REFUSED((smp.vm[SVM].flags &= ~SCN_VM_CPU_AUTO, smp.vm[SVM].vcpu_num = 2), "pCPU 0 twice");
	EXPECT_REFUSED(smp.hdr.scheduler = SCN_SCHED_NOOP, "pCPU 3 twice");
	EXPECT_REFUSED((smp.hdr.scheduler = SCN_SCHED_NOOP, smp.vm[PRE_A].vcpu_pcpu[1] = 2,
		smp.vm[PRE_B].flags &= ~SCN_VM_CPU_AUTO, smp.vm[PRE_A].flags &= ~SCN_VM_OWN_PCPU,
		smp.vm[PRE_B].vcpu_pcpu[0] = 1, smp.vm[PRE_B].vcpu_pcpu[1] = 2), "has one vCPU");
	EXPECT_REFUSED(smp.vm[PRE_A].vcpu_num = 1, "unused");
	EXPECT_REFUSED(smp.vm[PRE_A].vcpu_pcpu[0] = 64, "pCPU 64");
	EXPECT_REFUSED(smp.vm[PRE_A].vcpu_pcpu[0] = 0xFFFF, "pCPU 65535");
	EXPECT_REFUSED(smp.hdr.max_pcpus = 3, "pCPU 3");
	EXPECT_REFUSED(smp.vm[UVM1].vcpu_pcpu[1] = 3, "own_pcpu");
	EXPECT_REFUSED((smp.vm[PRE_A].flags &= ~SCN_VM_OWN_PCPU, smp.vm[UVM1].vcpu_pcpu[1] = 3,
			       smp.vm[UVM1].flags |= SCN_VM_OWN_PCPU),
		"own_pcpu");
}

TEST(scenario_memory_rules)
{
	EXPECT_REFUSED(smp.vm[PRE_B].mem_mb = 0, "memory size");
	EXPECT_REFUSED(smp.vm[PRE_B].mem_mb = 3, "2 MB");
	EXPECT_REFUSED(smp.vm[UVM1].mem_mb = 0xFFFFFFFEU, "MB");
	EXPECT_REFUSED(smp.vm[SVM].mem_hpa = 0x200000, "mem_hpa");
	EXPECT_REFUSED((smp.vm[SVM].flags |= SCN_VM_MEM_HPA, smp.vm[SVM].mem_hpa = 0x200000),
		"fixed place");
	EXPECT_REFUSED(smp.vm[PRE_B].mem_hpa = 0, "start_hpa");
	EXPECT_REFUSED(smp.vm[PRE_B].mem_hpa = 0x100000, "start_hpa");
	EXPECT_REFUSED(smp.vm[PRE_B].mem_hpa = 0xFFFFFFFFFFE00000UL, "start_hpa");
	EXPECT_REFUSED(smp.vm[PRE_B].mem_hpa = 0x17E00000, "overlaps");
}

TEST(scenario_kernel_rules)
{
	EXPECT_REFUSED(smp.vm[SVM].kern_type = 0, "kern_type");
	EXPECT_REFUSED(smp.vm[SVM].kern_type = 4, "kern_type");
	EXPECT_REFUSED(smp.vm[UVM1].kern_type = SCN_KERNEL_ELF, "kern_type");
	EXPECT_REFUSED(smp.vm[SVM].kern_mod = (struct scn_string){0}, "kern_mod");
	EXPECT_REFUSED(smp.vm[SVM].kern_mod.length = 32, "kern_mod");
	EXPECT_REFUSED(smp.vm[UVM1].kern_mod = smp.vm[SVM].kern_mod, "kern_mod");
	EXPECT_REFUSED(smp.str[smp.vm[SVM].kern_mod.offset + 2U] = ' ', "kern_mod");
	EXPECT_REFUSED(smp.vm[PRE_A].ramdisk_mod.offset = 256, "ramdisk_mod");
	EXPECT_REFUSED(smp.vm[UVM1].ramdisk_mod = smp.vm[PRE_A].ramdisk_mod, "device model");
	EXPECT_REFUSED(smp.str[smp.vm[PRE_A].bootargs.offset] = '\n', "bootargs");
	EXPECT_REFUSED(smp.vm[PRE_A].bootargs.length = 2048, "bootargs");
	EXPECT_REFUSED(smp.vm[UVM1].bootargs = smp.vm[PRE_A].bootargs, "device model");
	EXPECT_REFUSED(smp.vm[PRE_B].flags &= ~SCN_VM_KERN_ADDR, "KERNEL_RAWIMAGE");
	EXPECT_REFUSED(smp.vm[SVM].flags |= SCN_VM_KERN_ADDR, "KERNEL_RAWIMAGE");
	EXPECT_REFUSED(smp.vm[SVM].kern_load_addr = 0x1000, "kern_entry_addr");
	EXPECT_REFUSED(smp.vm[PRE_B].kern_entry_addr = 0xFFF, "kern_entry_addr");
	EXPECT_REFUSED(smp.vm[PRE_B].kern_entry_addr = 16UL << 20, "outside");
	EXPECT_REFUSED(smp.vm[PRE_A].module_count = 9, "modules");
	EXPECT_REFUSED(smp.vm[PRE_A].module_count = 255, "modules");
	EXPECT_REFUSED(smp.vm[PRE_A].module_count = 0, "modules");
	EXPECT_REFUSED(smp.vm[PRE_A].module_count = 2, "tag of module 1");
	EXPECT_REFUSED(smp.vm[PRE_A].modules[0].string.length = 128, "string of module 0");
}

TEST(scenario_port_rules)
{
	EXPECT_REFUSED(smp.vm[SVM].unhandled_port = 0, "unhandled_port");
	EXPECT_REFUSED(smp.vm[SVM].unhandled_port = 6, "unhandled_port");
	EXPECT_REFUSED(smp.vm[SVM].unhandled_port = SCN_PORT_FORWARD, "unhandled_port");
	EXPECT_REFUSED(smp.vm[PRE_B].unhandled_port = SCN_PORT_PASSTHROUGH, "unhandled_port");
	EXPECT_REFUSED(smp.vm[SVM].console_vuart = 3, "console_vuart");
	EXPECT_REFUSED(smp.vm[PRE_B].port_count = 17, "port ranges");
	EXPECT_REFUSED(smp.vm[PRE_B].port_count = 1, "port ranges");
	EXPECT_REFUSED((smp.vm[DYN].port_count = 1, smp.vm[DYN].ports[0] = smp.vm[PRE_B].ports[0]),
		"dynamic");
	EXPECT_REFUSED(smp.vm[PRE_B].port_vcpu[2] = 1, "port ranges");
	EXPECT_REFUSED(smp.vm[PRE_B].port_vcpu[0] = 3, "vCPU 2, which it does not have");
	EXPECT_REFUSED((smp.vm[SVM].port_count = 1, smp.vm[SVM].port_vcpu[0] = 1,
			       smp.vm[SVM].ports[0] = (struct scn_port_range){0x400, 0x400}),
		"gives them to all");
	EXPECT_REFUSED(smp.vm[PRE_B].ports[1].last = 0x2FF, "reversed");
	EXPECT_REFUSED(smp.vm[PRE_B].ports[1].first = 0x80, "overlaps");
	EXPECT_REFUSED(smp.vm[PRE_B].ports[1].last = 0x3F8, "console");
	EXPECT_REFUSED(smp.vm[PRE_B].ports[0].first = 0x21, "emulates");
	EXPECT_REFUSED(
		smp.vm[PRE_B].ports[1] = ((struct scn_port_range){0x500, 0xFFFF}), "emulates");
	EXPECT_REFUSED((smp.vm[PRE_A].port_count = 1,
			       smp.vm[PRE_A].ports[0] = (struct scn_port_range){0xF0, 0xF4}),
		"debug-exit");
	EXPECT_REFUSED((smp.vm[SVM].port_count = 1, smp.vm[SVM].ports[0] = smp.vm[PRE_B].ports[1]),
		"given to");
	EXPECT_REFUSED((smp.hdr.console_port = 0x2F8, smp.vm[SVM].port_count = 1,
			       smp.vm[SVM].ports[0] = (struct scn_port_range){0x3FF, 0x3FF}),
		"console_vuart");
}

TEST(scenario_pci_rules)
{
	EXPECT_REFUSED(smp.vm[SVM].pci_policy = 0, "PCI policy");
	EXPECT_REFUSED(smp.vm[SVM].pci_policy = 4, "PCI policy");
	EXPECT_REFUSED(smp.vm[PRE_B].pci_policy = SCN_PCI_ALL, "PCI policy");
	EXPECT_REFUSED(smp.vm[UVM1].pci_policy = SCN_PCI_ALL, "PCI policy");
	EXPECT_REFUSED(smp.vm[PRE_A].pci_count = 0, "pci_devs");
	EXPECT_REFUSED(smp.vm[PRE_A].pci_count = 9, "pci_devs");
	EXPECT_REFUSED(smp.vm[PRE_A].pci_count = 2, "out of order");
	EXPECT_REFUSED(smp.vm[PRE_A].pci_policy = SCN_PCI_NONE, "pci_devs");
	EXPECT_REFUSED((smp.vm[SVM].pci_policy = SCN_PCI_LISTED, smp.vm[SVM].pci_count = 1,
			       smp.vm[SVM].pci_bdf[0] = 0x00FA),
		"00:1f.2");
}

TEST(scenario_vuart_rules)
{
	EXPECT_REFUSED(smp.vuart[0].reserved = 1, "reserved");
	EXPECT_REFUSED(smp.vuart[0].name.length = 0, "name");
	EXPECT_REFUSED(smp.vuart[0].vm[0] = 6, "exist");
	EXPECT_REFUSED(smp.vuart[0].vm[0] = 255, "exist");
	EXPECT_REFUSED(smp.vuart[0].vm[1] = DYN, "no name");
	EXPECT_REFUSED(smp.vuart[0].com[0] = 0, "COM0");
	EXPECT_REFUSED(smp.vuart[0].com[0] = 3, "COM3");
	EXPECT_REFUSED((smp.vuart[0].vm[1] = SVM, smp.vuart[0].com[1] = 1), "console_vuart");
	EXPECT_REFUSED((smp.vuart[0].vm[1] = PRE_A, smp.vuart[0].com[1] = 2), "same port");
	EXPECT_REFUSED((smp.vm[PRE_B].ports[1] = (struct scn_port_range){0x2F8, 0x2F8},
			       smp.vuart[0].com[1] = 2),
		"passed-through");
}

TEST(scenario_connection_rules)
{
	EXPECT_REFUSED(smp.hdr.connection_record_size = 8, "record sizes");
	EXPECT_REFUSED(smp.hdr.connection_count = 9, "connections");
	EXPECT_REFUSED(smp.hdr.connection_count = 1, "add up");
	EXPECT_REFUSED(smp.conn[0].name.length = 0, "name");
	EXPECT_REFUSED(smp.conn[1].name = smp.conn[0].name, "same name");
	EXPECT_REFUSED(smp.conn[0].vm[0] = 6, "exist");
	EXPECT_REFUSED(smp.conn[0].vm[0] = DYN, "has no name");
	EXPECT_REFUSED(smp.conn[1].vm[0] = SCN_CONNECTION_HV, "both ends");
	EXPECT_REFUSED(smp.conn[0].type = 0, "type 0");
	EXPECT_REFUSED(smp.conn[0].type = 3, "type 3");
	EXPECT_REFUSED(smp.conn[0].emits = 4, "emit");
	EXPECT_REFUSED(smp.conn[0].size_kb = 0, "power of two");
	EXPECT_REFUSED(smp.conn[0].size_kb = 2, "power of two");
	EXPECT_REFUSED(smp.conn[0].size_kb = 12, "power of two");
	EXPECT_REFUSED(smp.conn[0].size_kb = 32768, "power of two");
}

/* Any bit changed without a new checksum, and any cut: refused, nothing read outside. */
TEST(scenario_every_flip_is_seen)
{
	uint8_t *raw = (uint8_t *)&smp;

	make_sample();
	seal(&smp, sizeof(smp));
	for (size_t i = 0; i < sizeof(smp) && !unit_failed(); i++) {
		raw[i] ^= (uint8_t)(1U << (i % 8U));
		EXPECT_EQ(load_exact(raw, sizeof(smp)), -EINVAL);
		raw[i] ^= (uint8_t)(1U << (i % 8U));
	}
	EXPECT_EQ(load_exact(raw, sizeof(smp)), 0);
}

TEST(scenario_every_cut_is_seen)
{
	struct sample cut;

	make_sample();
	seal(&smp, sizeof(smp));
	for (size_t size = 0; size < sizeof(smp) && !unit_failed(); size++) {
		EXPECT_EQ(load_exact(&smp, size), -EINVAL);
		if (size < sizeof(smp.hdr))
			continue;
		cut = smp; /* the same with the size and checksum made right */
		cut.hdr.total_size = (uint32_t)size;
		seal(&cut, size);
		EXPECT_EQ(load_exact(&cut, size), -EINVAL);
	}
	EXPECT_EQ(scenario_load(NULL, 0, &out, &err), -EINVAL);
}

/* What the rest of the hypervisor relies on, whatever the blob was. */
static void check_invariants(void)
{
	EXPECT(out.vm_count >= 1U && out.vm_count <= CONFIG_MAX_VM_NUM);
	EXPECT(out.max_pcpus >= 1U && out.max_pcpus <= CONFIG_MAX_PCPU_NUM);
	EXPECT(out.vuart_count <= SCN_MAX_VUARTS);
	for (uint32_t i = 0; i < out.vm_count; i++) {
		const struct scenario_vm *vm = &out.vm[i];

		EXPECT(memchr(vm->name, 0, sizeof(vm->name)) != NULL);
		EXPECT(memchr(vm->bootargs, 0, sizeof(vm->bootargs)) != NULL);
		EXPECT(memchr(vm->kern_mod, 0, sizeof(vm->kern_mod)) != NULL);
		EXPECT(vm->vcpu_count <= SCENARIO_MAX_VCPUS &&
			vm->vcpu_wanted <= SCENARIO_MAX_VCPUS);
		EXPECT(vm->cpu_auto || vm->vcpu_count >= 1U);
		for (uint32_t k = 0; k < vm->vcpu_count; k++)
			EXPECT(vm->vcpu_pcpu[k] < out.max_pcpus);
		EXPECT(vm->module_count <= SCN_MAX_MODULES && vm->port_count <= SCN_MAX_PORTS);
		EXPECT(vm->pci_count <= SCN_MAX_PCI_DEVS);
		EXPECT(vm->mem_hpa + vm->mem_bytes >= vm->mem_hpa);
	}
}

static const uint64_t nasty[] = {
	0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, UINT64_MAX};

/* Random changes under a right checksum: the rules stand alone; what passes keeps invariants. */
TEST(scenario_random_mutations)
{
	const struct scenario_machine machine = {.pcpu_count = 4, .ram_bytes = 1UL << 30};
	uint8_t *copy = malloc(sizeof(smp));
	uint32_t passed = 0;

	for (uint32_t round = 0; round < 100000U && !unit_failed(); round++) {
		uint64_t changes = unit_rand64() % 4U + 1U;

		make_sample();
		memcpy(copy, &smp, sizeof(smp));
		while (changes-- > 0U) {
			const uint64_t r = unit_rand64();
			const size_t size = (size_t)1 << (r & 3U);
			/* mostly in headers and records: the strings are a tenth of the blob */
			const size_t at = (size_t)(r >> 8) % (sizeof(smp) - size);
			const uint64_t value =
				(r & 4U) != 0U ? nasty[(r >> 4) % 12U] : unit_rand64();

			memcpy(copy + (at & ~(size - 1U)), &value, size);
		}
		seal(copy, sizeof(smp));
		if (scenario_load(copy, sizeof(smp), &out, &err) == 0) {
			passed++;
			check_invariants();
			(void)scenario_check_machine(&out, &machine);
			check_invariants();
		} else {
			EXPECT(err.text[0] != '\0' &&
				memchr(err.text, 0, sizeof(err.text)) != NULL);
		}
	}
	free(copy);
	EXPECT(passed > 100U); /* else the mutations are too wild to reach the later rules */
}

TEST(scenario_machine_places_vcpus)
{
	const struct scenario_machine machine = {.pcpu_count = 4, .ram_bytes = 512UL << 20};

	make_sample();
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &machine), 0);
	EXPECT_EQ(out.vm[PRE_B].vcpu_count, 2);
	EXPECT_EQ(out.vm[PRE_B].vcpu_pcpu[1], 1);
	EXPECT_EQ(out.vm[SVM].vcpu_count, 3); /* pCPU 3 is PRE_A's own */
	EXPECT_EQ(out.vm[SVM].pcpu_mask, 7);
	EXPECT_EQ(out.vm[DYN].vcpu_pcpu[0], 2); /* from the last one down */
	EXPECT_EQ(out.vm[DYN].vcpu_pcpu[2], 0);
}

TEST(scenario_machine_refuses_one_by_one)
{
	const struct scenario_machine small = {.pcpu_count = 2, .ram_bytes = 512UL << 20};
	const struct scenario_machine poor = {.pcpu_count = 4, .ram_bytes = 130UL << 20};

	make_sample();
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &small), 1);
	EXPECT(out.vm[PRE_A].refused && strstr(out.vm[PRE_A].refusal, "pCPU 3") != NULL);
	EXPECT(!out.vm[SVM].refused);

	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &poor), 1);
	EXPECT(out.vm[PRE_B].refused && strstr(out.vm[PRE_B].refusal, "2 MB are left") != NULL);
}

TEST(scenario_machine_service_vm_has_a_cpu_for_each_vcpu)
{
	const struct scenario_machine machine = {.pcpu_count = 4, .ram_bytes = 512UL << 20};

	make_sample();
	smp.vm[SVM].vcpu_num = 3; /* pCPU 3 is PRE_A's own */
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &machine), 0);
	smp.vm[SVM].vcpu_num = 4;
	EXPECT_EQ(load_sample(), 0);
	EXPECT(scenario_check_machine(&out, &machine) > 0U);
	EXPECT(strstr(out.vm[SVM].refusal, "write vcpu_num 3") != NULL);
}

TEST(scenario_machine_noop_places_each_vcpu_alone)
{
	const struct scenario_machine machine = {.pcpu_count = 6, .ram_bytes = 512UL << 20};
	const struct scenario_machine small = {.pcpu_count = 5, .ram_bytes = 512UL << 20};

	make_sample();
	smp.hdr.scheduler = SCN_SCHED_NOOP;
	smp.vm[PRE_A].vcpu_pcpu[1] = 2;
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &machine), 0);
	EXPECT_EQ(out.vm[PRE_B].vcpu_pcpu[1], 1);
	EXPECT_EQ(out.vm[SVM].vcpu_count, 2); /* 2 and 3 are PRE_A's, 0 and 1 have PRE_B's */
	EXPECT_EQ(out.vm[SVM].vcpu_pcpu[0], 4);
	smp.vm[PRE_B].vcpu_num = 4;
	EXPECT_EQ(load_sample(), 0);
	EXPECT(scenario_check_machine(&out, &small) != 0U);
	EXPECT(strstr(out.vm[PRE_B].refusal, "only 3 CPUs") != NULL);
}

TEST(scenario_machine_one_cpu)
{
	const struct scenario_machine machine = {.pcpu_count = 1, .ram_bytes = 512UL << 20};

	make_sample();
	smp.vm[PRE_A].vcpu_pcpu[0] = 0;
	smp.vm[PRE_A].vcpu_pcpu[1] = 0;
	smp.vm[UVM1].vcpu_pcpu[1] = 1;
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &machine), 5); /* PRE_A owns the only CPU */
	EXPECT(!out.vm[PRE_A].refused);
	EXPECT(strstr(out.vm[SVM].refusal, "no CPU is left") != NULL);
	EXPECT(strstr(out.vm[DYN].refusal, "no CPU is left") != NULL);

	smp.vm[PRE_A].flags &= ~SCN_VM_OWN_PCPU;
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &machine), 1); /* UVM1 names pCPU 1 */
	EXPECT_EQ(out.vm[PRE_B].vcpu_count, 2);
	EXPECT_EQ(out.vm[PRE_B].vcpu_pcpu[1], 0);
}

TEST(scenario_machine_fixed_place)
{
	const struct scenario_range split[] = {{0, 0x14000000}, {0x14000000, 0x20000000}};
	const struct scenario_range hole[] = {{0, 0x14000000}, {0x14001000, 0x20000000}};
	const struct scenario_machine whole = {
		.pcpu_count = 4, .ram_bytes = 512UL << 20, .ram = split, .ram_count = 2};
	const struct scenario_machine holed = {
		.pcpu_count = 4, .ram_bytes = 512UL << 20, .ram = hole, .ram_count = 2};

	make_sample();
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &whole), 0);
	EXPECT_EQ(load_sample(), 0);
	EXPECT_EQ(scenario_check_machine(&out, &holed), 1);
	EXPECT(strstr(out.vm[PRE_A].refusal, "hpa_region") != NULL);
}
