/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image loaders, whole: a Service VM of 64 MiB at fixed low addresses of the test program, GPA = HPA = host
 * address. Every image is a little file made here; hostile ones are made of good ones.
 */
#include <sys/mman.h>

#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/memory.h>
#include <hv/vm.h>
#include <hv/vm_acpi_pre.h>
#include <hv/vm_acpi_tables.h>
#include <hv/vm_bzimage.h>
#include <hv/vm_elf.h>
#include <hv/vm_load.h>
#include <hv/vm_loader.h>
#include <hv/vm_multiboot.h>
#include <lib/errno.h>

#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "unit.h"

/* Linked apart from the other tests, with what it needs (unit.mk). */

#define RAM_BASE  0x10000UL
#define RAM_END   0x4000000UL
#define HV_BASE   0x2000000UL
#define HV_SIZE   0x200000UL
#define LINK_ADDR 0x400000UL

struct boot_info boot_info;
struct acpi_info acpi_info;

static struct scenario_vm config;
static struct acrn_vm vm;
static struct acrn_regs set_regs;
static int set_count;
static uint64_t guest_size; /* of a pre-launched VM; its memory is separate */
static uint8_t *guest_ram;
static uint32_t depth;

/* ---- The fakes ---- */

void arch_guest_access_begin(void)
{
	EXPECT_EQ(depth, 0);
	depth++;
}

void arch_guest_access_end(void)
{
	EXPECT_EQ(depth, 1);
	depth--;
}

int32_t copy_to_gpa(struct acrn_vm *v, gpa_t gpa, const void *src, size_t size)
{
	EXPECT(v == &vm);
	if (guest_ram != NULL) {
		if ((gpa > guest_size) || (size > guest_size - gpa)) {
			return -EFAULT;
		}
		memcpy(guest_ram + gpa, src, size);
		return 0;
	}
	if ((gpa < RAM_BASE) || (gpa > RAM_END) || (size > RAM_END - gpa)) {
		return -EFAULT;
	}
	EXPECT(!ranges_overlap(gpa, size, HV_BASE, HV_SIZE));
	memcpy((void *)gpa, src, size);
	return 0;
}

bool vm_is_service(const struct acrn_vm *v)
{
	return v->config->load_order == SCN_SERVICE_VM;
}

struct acrn_vcpu *vm_vcpu(struct acrn_vm *v, uint32_t vcpu_id)
{
	return &v->vcpus[vcpu_id];
}

int32_t arch_vcpu_set_regs(struct acrn_vcpu *vcpu, const struct acrn_regs *regs)
{
	EXPECT(vcpu == &vm.vcpus[0]);
	if ((regs->cr0 != 0x31UL) && ((regs->cr0 != 0x80000031UL) || (regs->cr4 != 0x20UL))) {
		return -EINVAL;
	}
	set_regs = *regs;
	set_count++;
	return 0;
}

bool memory_hv_range(uint32_t index, hpa_t *base, uint64_t *size, const char **what)
{
	*base = HV_BASE;
	*size = HV_SIZE;
	*what = "hypervisor";
	return index == 0U;
}

const void *arch_map_firmware(hpa_t hpa, uint64_t size)
{
	return ((hpa >= RAM_BASE) && (hpa + size <= RAM_END)) ? (const void *)hpa : NULL;
}

uint32_t arch_cpu_apic_id(uint16_t cpu)
{
	return cpu * 2U;
}

static gpa_t shadow_gpa, shadow_hpa;

int32_t arch_gpa_map(struct acrn_vm *v, gpa_t gpa, hpa_t hpa, uint64_t size, uint32_t access, enum gpa_mem_type type)
{
	(void)v;
	EXPECT_EQ(size, PAGE_SIZE);
	EXPECT_EQ(access, GPA_RWX);
	EXPECT_EQ(type, GPA_TYPE_WB);
	shadow_gpa = gpa;
	shadow_hpa = hpa;
	return 0;
}

/* ---- The machine ---- */

static void add_module(hpa_t base, uint64_t size, const char *string)
{
	struct boot_module *m = &boot_info.modules[boot_info.module_count++];

	m->base = base;
	m->size = size;
	strcpy(m->string, string);
}

static bool start(uint8_t kern_type)
{
	static bool mapped;

	if (!mapped) {
		mapped = mmap((void *)RAM_BASE, RAM_END - RAM_BASE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)RAM_BASE;
	}
	if (!mapped) {
		unit_skip("the low addresses are not free in this process");
		return false;
	}
	(void)madvise((void *)RAM_BASE, RAM_END - RAM_BASE, MADV_DONTNEED); /* zeros again */
	memset(&boot_info, 0, sizeof(boot_info));
	memset(&acpi_info, 0, sizeof(acpi_info));
	memset(&config, 0, sizeof(config));
	memset(&vm, 0, sizeof(vm));
	boot_info.ranges[0] = (struct mem_range){RAM_BASE, 0x90000UL, MEM_RAM};
	boot_info.ranges[1] = (struct mem_range){0xA0000UL, 0x60000UL, MEM_RESERVED};
	boot_info.ranges[2] = (struct mem_range){0x100000UL, RAM_END - 0x100000UL, MEM_RAM};
	boot_info.range_count = 3U;
	strcpy(config.name, "SVM");
	strcpy(config.kern_mod, "kernel");
	strcpy(config.bootargs, "from scenario");
	config.load_order = SCN_SERVICE_VM;
	config.kern_type = kern_type;
	vm.config = &config;
	vm.vcpu_count = 1U;
	set_count = 0;
	guest_ram = NULL;
	shadow_gpa = 0UL;
	return true;
}

/* ---- Images ---- */

static void w32(void *at, uint32_t value)
{
	memcpy(at, &value, 4);
}

static void w64(void *at, uint64_t value)
{
	memcpy(at, &value, 8);
}

static uint32_t r32(uint64_t gpa)
{
	uint32_t value;

	memcpy(&value, (guest_ram != NULL) ? guest_ram + gpa : (void *)gpa, 4);
	return value;
}

#define ELF_SIZE 0x3000UL

/*
 * ELF32 with two segments: 0x1000 bytes of 0x5A at LINK_ADDR; 0x800 bytes of 0xA5 at LINK_ADDR + 0x2000, 0x4000 in
 * memory.
 */
static void make_elf32(uint8_t *f)
{
	static const uint8_t ident[] = {0x7F, 'E', 'L', 'F', 1, 1, 1};
	static const uint32_t ph[2][8] = {
		{1, 0x1000, LINK_ADDR, LINK_ADDR, 0x1000, 0x1000, 5, 0x1000},
		{1, 0x2000, LINK_ADDR + 0x2000, LINK_ADDR + 0x2000, 0x800, 0x4000, 6, 0x1000},
	};

	memset(f, 0, ELF_SIZE);
	memcpy(f, ident, sizeof(ident));
	f[16] = 2;  /* ET_EXEC */
	f[18] = 3;  /* EM_386 */
	w32(f + 24, LINK_ADDR + 0x10);
	w32(f + 28, 52);
	f[42] = 32;
	f[44] = 2;
	memcpy(f + 52, ph, sizeof(ph));
	memset(f + 0x1000, 0x5A, 0x1000);
	memset(f + 0x2000, 0xA5, 0x800);
	w32(f + 0x1000, 0x1BADB002U);
	w32(f + 0x1004, 3U);
	w32(f + 0x1008, 0U - 0x1BADB002U - 3U);
}

static void make_elf64(uint8_t *f)
{
	make_elf32(f);
	memset(f + 24, 0, 0xF00);
	f[4] = 2;
	f[18] = 62;
	w64(f + 24, 0xFFFFFFFF80000010UL); /* a higher-half kernel */
	w64(f + 32, 64);
	f[54] = 56;
	f[56] = 1;
	w32(f + 64, 1);
	w64(f + 72, 0x1000);
	w64(f + 80, 0xFFFFFFFF80000000UL);
	w64(f + 88, LINK_ADDR);
	w64(f + 96, 0x1000);
	w64(f + 104, 0x1800);
}

static void put_mb2(uint8_t *f, const uint32_t *tags, uint32_t bytes)
{
	w32(f, 0xE85250D6U);
	w32(f + 4, 0);
	w32(f + 8, 16 + bytes);
	w32(f + 12, 0U - 0xE85250D6U - 16U - bytes);
	memcpy(f + 16, tags, bytes);
}

static void expect_elf_loaded(void)
{
	EXPECT_EQ(*(uint8_t *)(LINK_ADDR + 0xFFFUL), 0x5A);
	EXPECT_EQ(*(uint8_t *)(LINK_ADDR + 0x2000UL), 0xA5);
	EXPECT_EQ(*(uint8_t *)(LINK_ADDR + 0x27FFUL), 0xA5);
	EXPECT_EQ(*(uint8_t *)(LINK_ADDR + 0x2800UL), 0);
	EXPECT_EQ(*(uint8_t *)(LINK_ADDR + 0x5FFFUL), 0);
}

/* ---- ELF ---- */

TEST(vm_load_elf32_multiboot1)
{
	uint32_t info;

	if (!start(SCN_KERNEL_ELF)) {
		return;
	}
	make_elf32((uint8_t *)0x300000UL);
	memset((void *)LINK_ADDR, 0xEE, 0x8000); /* BSS is not clean by itself */
	add_module(0x100000UL, 16UL, "kernelx a tag with the same start");
	add_module(0x300000UL, ELF_SIZE, "kernel  from grub");
	memcpy((void *)0x500000UL, "ramdisk", 8);
	add_module(0x500000UL, 8UL, "rd");
	add_module(0x501000UL, 8UL, "more");
	strcpy(config.ramdisk_mod, "rd");
	strcpy(config.module[0].tag, "more");
	strcpy(config.module[0].string, "with words");
	config.module_count = 1U;
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_count, 1);
	expect_elf_loaded();
	EXPECT_EQ(set_regs.rip, LINK_ADDR + 0x10UL);
	EXPECT_EQ(set_regs.gprs.rax, 0x2BADB002);
	EXPECT_EQ(set_regs.cs_ar, 0xC09B);
	EXPECT_EQ(*(uint64_t *)(set_regs.gdt.base + set_regs.cs_sel), 0x00CF9B000000FFFFUL);
	EXPECT_EQ(*(uint64_t *)(set_regs.gdt.base + set_regs.ds_sel), 0x00CF93000000FFFFUL);
	info = (uint32_t)set_regs.gprs.rbx;
	EXPECT(info < 0xA0000U);
	EXPECT_EQ(r32(info), 0x24D);
	EXPECT(strcmp((char *)(uint64_t)r32(info + 16), "from grub") == 0);
	EXPECT_EQ(r32(info + 20), 2);
	EXPECT_EQ(r32(r32(info + 24)), 0x500000);
	EXPECT_EQ(r32(r32(info + 24) + 4), 0x500008);
	EXPECT(strcmp((char *)(uint64_t)r32(r32(info + 24) + 8), "rd") == 0);
	EXPECT(strcmp((char *)(uint64_t)r32(r32(info + 24) + 24), "with words") == 0);
	EXPECT_EQ(r32(info + 44), 5 * 24); /* low RAM, reserved, RAM, hypervisor, RAM */
	EXPECT_EQ(r32(r32(info + 48)), 20);
	EXPECT_EQ(r32(r32(info + 48) + 4), RAM_BASE);
	EXPECT_EQ(r32(r32(info + 48) + 3 * 24 + 4), HV_BASE);
	EXPECT_EQ(r32(r32(info + 48) + 3 * 24 + 20), MEM_RESERVED);
}

TEST(vm_load_moves_modules_out_of_the_kernels_way)
{
	uint32_t mods, kernel_copy;

	if (!start(SCN_KERNEL_ELF)) {
		return;
	}
	/* The kernel's own module and another lie where the kernel is linked. */
	make_elf32((uint8_t *)(LINK_ADDR + 0x1000UL));
	add_module(LINK_ADDR + 0x1000UL, ELF_SIZE, "kernel");
	memcpy((void *)(LINK_ADDR + 0x5000UL), "keep me", 8);
	add_module(LINK_ADDR + 0x5000UL, 8UL, "rd");
	strcpy(config.ramdisk_mod, "rd");
	EXPECT_EQ(vm_load_image(&vm), 0);
	expect_elf_loaded();
	mods = r32((uint32_t)set_regs.gprs.rbx + 24);
	kernel_copy = r32(mods);
	EXPECT(kernel_copy >= 0x100000U);
	EXPECT(!ranges_overlap(kernel_copy, 8, LINK_ADDR, 0x6000));
	EXPECT(memcmp((void *)(uint64_t)kernel_copy, "keep me", 8) == 0);
	EXPECT_EQ(kernel_copy % PAGE_SIZE, 0);
}

TEST(vm_load_elf64_multiboot2)
{
	static const uint32_t tags[] = {1, 16, 6, 3, 0x00010005, 20, 0, 0, 0, 0, 0, 8};
	uint32_t info, at, seen = 0U;

	if (!start(SCN_KERNEL_ELF)) {
		return;
	}
	make_elf64((uint8_t *)0x300000UL);
	put_mb2((uint8_t *)0x301800UL, tags, sizeof(tags));
	add_module(0x300000UL, ELF_SIZE, "kernel");
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_regs.rip, LINK_ADDR + 0x10UL); /* from virtual to physical */
	EXPECT_EQ(set_regs.gprs.rax, 0x36D76289);
	info = (uint32_t)set_regs.gprs.rbx;
	EXPECT_EQ(info % 8U, 0);
	for (at = 8U; (at < r32(info)) && (r32(info + at) != 0U); at += (r32(info + at + 4) + 7U) & ~7U) {
		seen |= 1U << r32(info + at);
		if (r32(info + at) == 1U) {
			EXPECT(strcmp((char *)(uint64_t)(info + at + 8), "from scenario") == 0);
		}
	}
	EXPECT_EQ(at + 8U, r32(info));
	EXPECT_EQ(seen, 0x56); /* 1 2 4 6, and no ACPI tags without tables */
}

TEST(vm_load_multiboot_headers_refused)
{
	static const uint32_t required_fb[] = {5, 20, 0, 0, 0, 0, 0, 8};
	static const uint32_t wants_elf_sections[] = {1, 12, 9, 0, 0, 8};
	static const uint32_t efi[] = {7, 8, 0, 8};
	static const uint32_t zero_size[] = {4, 0, 0, 8};
	static const uint32_t too_long[] = {4, 64, 0, 8};
	static const uint32_t no_end[] = {6, 8};
	static const uint32_t bad_reloc[] = {10, 24, 0, 100, 3, 0, 0, 8};
	static uint8_t f[64];
	struct multiboot_header h;
	const char *why;
#define REFUSED(tags)                                                                  \
	do {                                                                           \
		memset(f, 0, sizeof(f));                                               \
		put_mb2(f, tags, sizeof(tags));                                        \
		EXPECT_EQ(multiboot_find_header(f, sizeof(f), &h, &why), -EINVAL);     \
	} while (0)

	REFUSED(required_fb);
	REFUSED(wants_elf_sections);
	REFUSED(efi);
	REFUSED(zero_size);
	REFUSED(too_long);
	REFUSED(no_end);
	REFUSED(bad_reloc);
	memset(f, 0, sizeof(f));
	EXPECT_EQ(multiboot_find_header(f, sizeof(f), &h, &why), -ENOENT);
	EXPECT_EQ(multiboot_find_header(f, 0U, &h, &why), -ENOENT);
	for (uint32_t flag = 0U; flag < 17U; flag++) {
		w32(f, 0x1BADB002U);
		w32(f + 4, 1U << flag);
		w32(f + 8, 0U - 0x1BADB002U - (1U << flag));
		EXPECT_EQ(multiboot_find_header(f, sizeof(f), &h, &why), ((flag < 2U) || (flag == 16U)) ? 0 : -EINVAL);
	}
	EXPECT_EQ(multiboot_find_header(f, 31U, &h, &why), -EINVAL); /* cut in the addresses */
}

TEST(vm_load_multiboot1_addresses_replace_elf)
{
	uint8_t *f = (uint8_t *)0x300000UL;

	if (!start(SCN_KERNEL_ELF)) {
		return;
	}
	/* A flat file: header at 0x20, loaded from its start to 5 MiB, 0x100 bytes, BSS of 0x100. */
	memset(f, 0x77, 0x200);
	w32(f + 0x20, 0x1BADB002U);
	w32(f + 0x24, 0x10000U);
	w32(f + 0x28, 0U - 0x1BADB002U - 0x10000U);
	w32(f + 0x2C, 0x500020U);
	w32(f + 0x30, 0x500000U);
	w32(f + 0x34, 0x500100U);
	w32(f + 0x38, 0x500200U);
	w32(f + 0x3C, 0x500050U);
	memset((void *)0x500000UL, 0xEE, 0x300);
	add_module(0x300000UL, 0x200UL, "kernel");
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_regs.rip, 0x500050);
	EXPECT_EQ(*(uint8_t *)0x5000FFUL, 0x77);
	EXPECT_EQ(*(uint8_t *)0x500100UL, 0);
	EXPECT_EQ(*(uint8_t *)0x5001FFUL, 0);
	EXPECT_EQ(*(uint8_t *)0x500200UL, 0xEE);
	w32(f + 0x34, 0x500300U); /* longer than the file */
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	w32(f + 0x34, 0x500100U);
	w32(f + 0x2C, 0x500040U); /* says the header is at 0x40: the file would begin before its start */
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	w32(f + 0x2C, 0x4FFFFFU);
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	EXPECT_EQ(set_count, 1);
}

TEST(vm_load_elf_places_refused)
{
	static const uint32_t bad[] = {
		0xA0000U,             /* not RAM */
		0x9F800U,             /* runs into the hole */
		(uint32_t)HV_BASE,    /* the hypervisor */
		(uint32_t)HV_BASE - 0x800U,
		(uint32_t)RAM_END,    /* nothing */
		0xFFFFF000U,          /* up to 4 GiB */
		0xFFFFF800U,          /* beyond */
		LINK_ADDR + 0x2800U,  /* the other segment */
	};

	if (!start(SCN_KERNEL_ELF)) {
		return;
	}
	add_module(0x300000UL, ELF_SIZE, "kernel");
	for (uint32_t i = 0U; i < ARRAY_SIZE(bad); i++) {
		make_elf32((uint8_t *)0x300000UL);
		w32((uint8_t *)0x300000UL + 52 + 12, bad[i]);
		EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	}
	make_elf32((uint8_t *)0x300000UL);
	w32((uint8_t *)0x300000UL + 24, 0x123U); /* entry in no segment */
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	EXPECT_EQ(set_count, 0);
}

/*
 * Whatever the bytes are: an answer, no access outside (ASan, copy_to_gpa()), no claim of memory that is not the VM's.
 */
TEST(vm_load_elf_random_damage)
{
	uint8_t good[ELF_SIZE];
	uint8_t *exact;
	uint64_t loaded = 0UL;

	if (!start(SCN_KERNEL_ELF)) {
		return;
	}
	for (int n = 0; n < 20000; n++) {
		struct vm_image image = {.tag = "x", .string = "x"};
		struct multiboot_header h;
		struct elf_plan plan;
		const char *why = NULL;
		uint64_t size = (n % 3 == 0) ? unit_rand64() % ELF_SIZE + 1UL : ELF_SIZE;

		if (n % 2 == 0) {
			make_elf32(good);
		} else {
			make_elf64(good);
		}
		for (uint64_t i = unit_rand64() % 4U + 1U; i > 0U; i--) {
			good[(unit_rand64() % 2U) * 0x1000U + unit_rand64() % 0x80U] = (uint8_t)unit_rand64();
		}
		exact = malloc(size);
		memcpy(exact, good, size);
		image.hpa = (hpa_t)exact;
		image.size = size;
		if (multiboot_find_header(exact, size, &h, &why) == 0 &&
			(h.has_address ? elf_plan_from_addresses(&image, &h, &plan, &why)
			: elf_parse(&image, &plan, &why)) == 0) {
			loaded++;
			for (uint32_t i = 0U; i < plan.count; i++) {
				const struct elf_segment *s = &plan.segment[i];

				EXPECT((s->at <= size) && (s->filesz <= size - s->at));
				EXPECT((s->memsz >= s->filesz) && (s->memsz <= LOADER_4G) &&
					(s->gpa <= LOADER_4G - s->memsz));
			}
		} else {
			EXPECT(why != NULL);
		}
		free(exact);
		if (unit_failed()) {
			return;
		}
	}
	EXPECT(loaded > 100UL);
}

TEST(vm_load_missing_and_empty_modules)
{
	if (!start(SCN_KERNEL_ELF)) {
		return;
	}
	EXPECT_EQ(vm_load_image(&vm), -ENOENT);
	add_module(0x300000UL, 0UL, "kernel");
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	boot_info.modules[0].size = ELF_SIZE;
	make_elf32((uint8_t *)0x300000UL);
	strcpy(config.ramdisk_mod, "rd");
	EXPECT_EQ(vm_load_image(&vm), -ENOENT);
	config.ramdisk_mod[0] = '\0';
	EXPECT_EQ(vm_load_image(&vm), 0);
	config.kern_type = 77U;
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
}

/* ---- bzImage ---- */

#define BZ_SIZE 0x5400UL /* 4 setup sectors and the boot sector, then 0x4A00 bytes */
#define BZ_AT   0xA00UL

static void make_bzimage(uint8_t *f)
{
	memset(f, 0x11, BZ_SIZE);
	memset(f + BZ_AT, 0xC3, BZ_SIZE - BZ_AT);
	memset(f + 0x1F1, 0, 0x290 - 0x1F1);
	f[0x1F1] = 4;
	w32(f + 0x1F4, (BZ_SIZE - BZ_AT) / 16);
	f[0x1FE] = 0x55;
	f[0x1FF] = 0xAA;
	f[0x200] = 0xEB;
	f[0x201] = 0x6A;
	memcpy(f + 0x202, "HdrS", 4);
	f[0x206] = 0x0F;
	f[0x207] = 2;
	f[0x211] = 1;
	w32(f + 0x22C, 0x7FFFFFFFU);
	w32(f + 0x230, 0x200000U);
	f[0x234] = 1;
	w32(f + 0x238, 2047U);
	w64(f + 0x250, 0xDEADUL);
	w64(f + 0x258, 0x1000000UL);
	w32(f + 0x260, 0x100000U);
}

TEST(vm_load_bzimage_zero_page)
{
	uint64_t zp;

	if (!start(SCN_KERNEL_BZIMAGE)) {
		return;
	}
	make_bzimage((uint8_t *)0x300000UL);
	add_module(0x300000UL, BZ_SIZE, "kernel quiet splash");
	add_module(0x800000UL, 0x1234UL, "rd");
	strcpy(config.ramdisk_mod, "rd");
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_regs.rip, 0x1000000);
	EXPECT_EQ(set_regs.cs_sel, 0x10);
	EXPECT_EQ(set_regs.ds_sel, 0x18);
	EXPECT_EQ(*(uint8_t *)0x1000000UL, 0xC3);
	EXPECT_EQ(*(uint8_t *)(0x1000000UL + BZ_SIZE - BZ_AT - 1UL), 0xC3);
	zp = set_regs.gprs.rsi;
	EXPECT_EQ(*(uint8_t *)(zp + 0x1EF), 0); /* the sentinel */
	EXPECT(memcmp((void *)(zp + 0x202), "HdrS", 4) == 0);
	EXPECT_EQ(*(uint8_t *)(zp + 0x210), 0xFF);
	EXPECT_EQ(r32(zp + 0x218), 0x800000);
	EXPECT_EQ(r32(zp + 0x21C), 0x1234);
	EXPECT_EQ(r32(zp + 0x250), 0); /* the file's setup_data is not followed */
	EXPECT(strcmp((char *)(uint64_t)r32(zp + 0x228), "quiet splash") == 0);
	EXPECT_EQ(*(uint8_t *)(zp + 0x1E8), 5);
	EXPECT_EQ(r32(zp + 0x2D0), RAM_BASE);
	EXPECT_EQ(r32(zp + 0x2D0 + 3 * 20), HV_BASE);
	EXPECT_EQ(r32(zp + 0x2D0 + 3 * 20 + 16), MEM_RESERVED);
	EXPECT_EQ(*(uint8_t *)(zp + 0x0F), 1); /* VGA text */
	EXPECT_EQ(*(uint8_t *)(zp + 0x07), 80);
}

TEST(vm_load_bzimage_placing)
{
	if (!start(SCN_KERNEL_BZIMAGE)) {
		return;
	}
	make_bzimage((uint8_t *)0x300000UL);
	add_module(0x300000UL, BZ_SIZE, "kernel");
	memcpy((void *)0x1000000UL, "disk", 5);
	add_module(0x1000000UL, 5UL, "rd"); /* on the preferred address */
	strcpy(config.ramdisk_mod, "rd");
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_regs.rip, 0x1200000); /* relocatable: the kernel gives way */
	EXPECT_EQ(r32(set_regs.gprs.rsi + 0x218), 0x1000000);
	((uint8_t *)0x300000UL)[0x234] = 0; /* not relocatable: the ramdisk does */
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_regs.rip, 0x1000000);
	EXPECT(memcmp((void *)(uint64_t)r32(set_regs.gprs.rsi + 0x218), "disk", 5) == 0);
	w64((uint8_t *)0x300000UL + 0x258, HV_BASE); /* not relocatable, and the hypervisor is there */
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	((uint8_t *)0x300000UL)[0x234] = 1;
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_regs.rip, HV_BASE + HV_SIZE);
	w32((uint8_t *)0x300000UL + 0x22C, 0xFFFFFFU); /* ramdisk below 16 MiB: is copied */
	w64((uint8_t *)0x300000UL + 0x258, 0x1800000UL);
	memcpy((void *)0x1000000UL, "disk", 5);
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT(r32(set_regs.gprs.rsi + 0x218) < 0x1000000U);
	EXPECT(memcmp((void *)(uint64_t)r32(set_regs.gprs.rsi + 0x218), "disk", 5) == 0);
	w32((uint8_t *)0x300000UL + 0x260, 0x10000000U); /* wants 256 MiB */
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
}

TEST(vm_load_bzimage_64_bit_entry)
{
	const uint64_t *table;

	if (!start(SCN_KERNEL_BZIMAGE)) {
		return;
	}
	make_bzimage((uint8_t *)0x300000UL);
	((uint8_t *)0x300000UL)[0x236] = 1; /* XLF_KERNEL_64 */
	add_module(0x300000UL, BZ_SIZE, "kernel");
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_regs.rip, 0x1000200);
	EXPECT_EQ(set_regs.cs_sel, 0x10);
	EXPECT_EQ(set_regs.cs_ar, 0xA09B);
	EXPECT_EQ(*(uint64_t *)(set_regs.gdt.base + 0x10UL), 0x00AF9B000000FFFFUL);
	EXPECT_EQ(set_regs.cr0, 0x80000031UL);
	EXPECT_EQ(set_regs.ia32_efer, 0x500);
	EXPECT_EQ(set_regs.rflags, 2);
	for (uint64_t at = 0UL; at < (1UL << 32U); at += 0x12345678UL) {
		table = (uint64_t *)set_regs.cr3;
		EXPECT_EQ(table[0] & 0xFFFUL, 3);
		table = (uint64_t *)(table[0] & ~0xFFFUL);
		table = (uint64_t *)(table[at >> 30U] & ~0xFFFUL);
		EXPECT_EQ(table[(at >> 21U) & 511U], (at & ~0x1FFFFFUL) | 0x83UL);
	}
	((uint8_t *)0x300000UL)[0x206] = 0x0B; /* the flags came with 2.12 */
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(set_regs.rip, 0x1000000);
	EXPECT_EQ(set_regs.cr0, 0x31);
}

TEST(vm_load_bzimage_ramdisk_above_4g)
{
	const uint64_t space = 5UL << 30U;
	uint64_t zp;

	if (!start(SCN_KERNEL_BZIMAGE)) {
		return;
	}
	guest_size = space;
	guest_ram = mmap(NULL, space, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (guest_ram == MAP_FAILED) {
		guest_ram = NULL;
		unit_skip("no 5 GiB of address space");
		return;
	}
	config.load_order = SCN_PRE_LAUNCHED_VM;
	config.mem_bytes = 4UL << 30U; /* the last of them from 4 GiB on */
	make_bzimage((uint8_t *)0x300000UL);
	w32((uint8_t *)0x300000UL + 0x22C, 0x1FFFFFU); /* below 2 MiB, where it finds no room */
	add_module(0x300000UL, BZ_SIZE, "kernel");
	memcpy((void *)0x1000000UL, "disk", 5);
	add_module(0x1000000UL, 0x180000UL, "rd");
	strcpy(config.ramdisk_mod, "rd");
	EXPECT_EQ(vm_load_image(&vm), -ENOSPC);
	((uint8_t *)0x300000UL)[0x236] = 3; /* XLF_CAN_BE_LOADED_ABOVE_4G too */
	EXPECT_EQ(vm_load_image(&vm), 0);
	zp = set_regs.gprs.rsi;
	EXPECT_EQ(r32(zp + 0xC0), 1);
	EXPECT_EQ(r32(zp + 0x218), 0x40000000 - 0x180000);
	EXPECT_EQ(r32(zp + 0x21C), 0x180000);
	EXPECT_EQ(r32(zp + 0xC4), 0);
	EXPECT(memcmp(guest_ram + space - 0x180000UL, "disk", 5) == 0);
	(void)munmap(guest_ram, space);
	guest_ram = NULL;
}

TEST(vm_load_bzimage_headers_refused)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} bad[] = {
		{0x1FE, 0}, {0x202, 0}, {0x206, 9}, {0x207, 1}, {0x201, 0x10}, {0x211, 0}, {0x1F5, 0xFF}, {0x1F1, 63},
		{0x231, 0x10}, {0x25C, 1}, {0x25B, 0}, {0x239, 0}, /* the last is harmless */
	};
	static uint8_t f[BZ_SIZE];
	struct vm_image image = {.tag = "x", .hpa = (hpa_t)f, .size = sizeof(f)};
	static struct bzimage_plan plan;
	const char *why;

	for (uint32_t i = 0U; i < ARRAY_SIZE(bad); i++) {
		make_bzimage(f);
		f[bad[i].at] = bad[i].value;
		EXPECT_EQ(bzimage_parse(&image, &plan, &why), (i + 1U == ARRAY_SIZE(bad)) ? 0 : -EINVAL);
	}
	for (image.size = 0UL; image.size < sizeof(f) - 15UL; image.size += 13UL) {
		EXPECT_EQ(bzimage_parse(&image, &plan, &why), -EINVAL);
	}
}

/* Whole loads of damaged headers: nothing is written outside of the VM's memory (copy_to_gpa() above). */
TEST(vm_load_bzimage_random_damage)
{
	uint8_t *const file = (uint8_t *)0x300000UL;
	uint64_t loaded = 0UL;

	if (!start(SCN_KERNEL_BZIMAGE)) {
		return;
	}
	guest_size = 0x2000000UL;
	guest_ram = calloc(1, guest_size);
	config.load_order = SCN_PRE_LAUNCHED_VM;
	config.mem_bytes = guest_size;
	strcpy(config.ramdisk_mod, "rd");
	add_module(0x300000UL, BZ_SIZE, "kernel");
	add_module(0x800000UL, 0x1234UL, "rd");
	for (int n = 0; (n < 2000) && !unit_failed(); n++) {
		make_bzimage(file);
		file[0x236] = (uint8_t)(n % 4);
		for (uint64_t i = unit_rand64() % 3U + 1U; i > 0U; i--) {
			file[0x1F1U + unit_rand64() % (0x290U - 0x1F1U)] = (uint8_t)unit_rand64();
		}
		boot_info.modules[0].size = (n % 5 == 0) ? unit_rand64() % BZ_SIZE + 1UL : BZ_SIZE;
		set_count = 0;
		if (vm_load_image(&vm) == 0) {
			loaded++;
			EXPECT_EQ(set_count, 1);
			EXPECT(set_regs.rip < guest_size);
			EXPECT(set_regs.gprs.rsi + BZIMAGE_ZERO_PAGE <= guest_size);
		} else {
			EXPECT_EQ(set_count, 0);
		}
	}
	EXPECT(loaded > 100UL);
	free(guest_ram);
	guest_ram = NULL;
}

TEST(vm_load_bzimage_screen)
{
	static uint8_t zp[BZIMAGE_ZERO_PAGE];
	const struct boot_framebuffer fb = {.base = 0x1E0000000UL, .width = 1024, .height = 768, .pitch = 4096,
		.bpp = 32, .red_pos = 16, .green_pos = 8, .blue_pos = 0};
	const struct boot_framebuffer none = {.base = 0UL};

	bzimage_fill_screen(zp, &fb, false);
	EXPECT_EQ(zp[0x0F], 0x23);
	EXPECT_EQ(zp[0x12] | (zp[0x13] << 8), 1024);
	EXPECT_EQ(zp[0x1C], 48); /* 3 MiB in 64 KiB */
	EXPECT_EQ(zp[0x27], 16);
	EXPECT_EQ(zp[0x36], 2);
	EXPECT_EQ(zp[0x3A], 1);
	bzimage_fill_screen(zp, &fb, true);
	EXPECT_EQ(zp[0x0F], 0x70);
	EXPECT_EQ(zp[0x1E], 0x30); /* in bytes */
	memset(zp, 0, sizeof(zp));
	bzimage_fill_screen(zp, &none, true);
	EXPECT_EQ(zp[0x0F], 0);
}

/* ---- Raw, and pre-launched VMs ---- */

TEST(vm_load_raw_image)
{
	if (!start(SCN_KERNEL_RAWIMAGE)) {
		return;
	}
	memset((void *)0x300000UL, 0x90, 0x100);
	add_module(0x300000UL, 0x100UL, "kernel");
	EXPECT_EQ(vm_load_image(&vm), -EINVAL); /* no address */
	config.kern_addr = true;
	config.kern_load_addr = 0x600000UL;
	config.kern_entry_addr = 0x600040UL;
	strcpy(config.bootargs, "word");
	fake_log[0] = '\0';
	vm.restart = VM_RESTART_UNDER_WAY;
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT(fake_log[0] == '\0');
	vm.restart = VM_RESTART_NONE;
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT(strstr(fake_log, "a raw image gets no modules and no command line") != NULL);
	EXPECT_EQ(set_regs.rip, 0x600040);
	EXPECT_EQ(*(uint8_t *)0x6000FFUL, 0x90);
	config.kern_entry_addr = 0x600100UL;
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	config.kern_load_addr = UINT64_MAX - 0x10UL;
	config.kern_entry_addr = UINT64_MAX - 0x10UL;
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
}

TEST(vm_load_prelaunched_gets_copies)
{
	uint32_t info;

	if (!start(SCN_KERNEL_ELF)) {
		return;
	}
	guest_size = 0x1000000UL;
	guest_ram = calloc(1, guest_size);
	config.load_order = SCN_PRE_LAUNCHED_VM;
	config.mem_bytes = guest_size;
	make_elf32((uint8_t *)LINK_ADDR); /* host addresses: not the VM's, no conflict */
	add_module(LINK_ADDR, ELF_SIZE, "kernel");
	memcpy((void *)0x500000UL, "disk", 5);
	add_module(0x500000UL, 5UL, "rd");
	strcpy(config.ramdisk_mod, "rd");
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT_EQ(guest_ram[LINK_ADDR + 0xFFFU], 0x5A);
	EXPECT_EQ(*(uint8_t *)LINK_ADDR, 0x7F); /* the module itself is as it was */
	info = (uint32_t)set_regs.gprs.rbx;
	EXPECT(memcmp(guest_ram + r32(r32(info + 24)), "disk", 5) == 0);
	EXPECT_EQ(r32(info + 4), 640);
	EXPECT_EQ(r32(info + 8), (guest_size - 0x100000UL) >> 10U);
	EXPECT(memcmp(guest_ram + VM_ACPI_PRE_GPA, "RSD PTR ", 8) == 0); /* found by those who scan */
	EXPECT_EQ(guest_ram[0x413] | (guest_ram[0x414] << 8), 640); /* BIOS data: base memory, no COM port */
	EXPECT_EQ(guest_ram[0x400] | guest_ram[0x401] | guest_ram[0x402] | guest_ram[0x403], 0);
	EXPECT_EQ(set_regs.idt.limit, 0x3FF);
	EXPECT_EQ(r32(0x15U * 4U), 0xF000FF53U); /* and BIOS calls that return */
	EXPECT_EQ(guest_ram[0xFFF53], 0xCF);
	EXPECT(strstr(fake_log, "module 'rd' moved from 0x500000") != NULL);
	EXPECT(strstr(fake_log, "'kernel' loaded, entry") != NULL);
	/* The guest has reset itself, and may do so for ever: not a line. */
	fake_log[0] = '\0';
	vm.restart = VM_RESTART_UNDER_WAY;
	EXPECT_EQ(vm_load_image(&vm), 0);
	EXPECT(fake_log[0] == '\0');
	vm.restart = VM_RESTART_NONE;
	config.mem_bytes = 0x300000UL; /* too small for where it is linked */
	EXPECT_EQ(vm_load_image(&vm), -EINVAL);
	free(guest_ram);
	guest_ram = NULL;
}

/* ---- ACPI ---- */

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0U;

	while (n-- > 0U) {
		s = (uint8_t)(s + *p++);
	}
	return s;
}

/* With one CPU. */
static void make_madt(uint8_t *t)
{
	static const uint8_t cpu[] = {0, 8, 0, 0, 1, 0, 0, 0};

	memset(t, 0, 44);
	memcpy(t, "APIC", 4);
	t[4] = 44U + sizeof(cpu);
	memcpy(t + 44, cpu, sizeof(cpu));
	t[9] = (uint8_t)(0U - sum(t, t[4]));
}

TEST(vm_load_shows_the_guest_its_own_acpi)
{
	uint8_t *const rsdp = (uint8_t *)0xF1230UL;
	uint8_t before[PAGE_SIZE];
	uint64_t zp, acpi;

	if (!start(SCN_KERNEL_BZIMAGE)) {
		return;
	}
	make_bzimage((uint8_t *)0x300000UL);
	add_module(0x300000UL, BZ_SIZE, "kernel");
	memcpy(rsdp, "RSD PTR ", 8);
	w32(rsdp + 16, 0x12345678U);
	rsdp[8] = (uint8_t)(0U - sum(rsdp, 20));
	memcpy(before, (void *)0xF1000UL, PAGE_SIZE);
	make_madt((uint8_t *)0xE0000UL);
	memcpy((void *)0xE1000UL, "DMAR", 4);
	memcpy((void *)0xE2000UL, "HPET", 4);
	acpi_info.table[0] = 0xE0000UL;
	acpi_info.table[1] = 0xE1000UL;
	acpi_info.table[2] = 0xE2000UL;
	acpi_info.table_count = 3U;
	EXPECT_EQ(vm_load_image(&vm), 0);
	zp = set_regs.gprs.rsi;
	acpi = r32(zp + 0x70);
	EXPECT(memcmp((void *)acpi, "RSD PTR ", 8) == 0);
	EXPECT_EQ(r32(r32(acpi + 24) + 4), 36 + 2 * 8); /* MADT and HPET */
	EXPECT_EQ(shadow_gpa, 0xF1000);
	EXPECT(memcmp(before, (void *)0xF1000UL, PAGE_SIZE) == 0); /* the firmware's is untouched */
	EXPECT_EQ(r32(shadow_hpa + 0x230 + 16), r32(acpi + 16));
	EXPECT_EQ(sum((uint8_t *)shadow_hpa + 0x230, 20), 0);
	EXPECT_EQ(*(uint8_t *)(shadow_hpa + 0x230 + 15), 0); /* still of revision 0 */
	/* Both places are in the map as not free. */
	for (uint32_t i = 0U; i < *(uint8_t *)(zp + 0x1E8); i++) {
		const uint64_t e = zp + 0x2D0 + i * 20U;

		if (r32(e + 16) == MEM_RAM) {
			EXPECT(!ranges_overlap(r32(e), r32(e + 8), acpi, PAGE_SIZE));
			EXPECT(!ranges_overlap(r32(e), r32(e + 8), shadow_hpa, PAGE_SIZE));
		}
	}
}
