/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a User VM's memory holds before its first instruction: kernel, command line, memory map, ACPI tables.
 * Freestanding; both homes use it. Layout of guest-physical memory in doc/device-model.md.
 */
#ifndef DEVICEMODEL_STUB_VM_IMAGE_H
#define DEVICEMODEL_STUB_VM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_IMAGE_CPUS_MAX    16U
#define VM_IMAGE_MODULES_MAX 8U
#define VM_IMAGE_CMDLINE_MAX 2048U
/* RAM below 4 GiB ends here at most; what is more starts at 4 GiB. */
#define VM_IMAGE_RAM_LOW_MAX 0x80000000UL
#define VM_IMAGE_RAM_HIGH    0x100000000UL
/* Smallest RAM that the layout fits in. */
#define VM_IMAGE_RAM_MIN 0x800000UL

#define VM_IMAGE_RSDP   0xF0000UL
#define VM_IMAGE_SMBIOS 0xF8000UL

struct vm_image_file {
	const void *data;
	uint64_t size;
	const char *string; /* of a multiboot module; may be NULL */
};

struct vm_image {
	struct vm_image_file kernel;
	struct vm_image_file modules[VM_IMAGE_MODULES_MAX]; /* bzImage: the first is the initial RAM disk */
	uint32_t module_count;
	const char *cmdline; /* may be NULL */
	uint64_t ram_low;    /* bytes from 0, at most VM_IMAGE_RAM_LOW_MAX */
	uint64_t ram_high;   /* bytes from VM_IMAGE_RAM_HIGH */
	uint32_t cpu_count;
	uint32_t lapic_ids[VM_IMAGE_CPUS_MAX]; /* of vCPU 0, 1, .. */
	/* Our address of guest-physical [gpa, gpa+size), or NULL if that is not all RAM of one piece. */
	void *(*map)(void *ctx, uint64_t gpa, uint64_t size);
	void *ctx;
};

/* Registers of vCPU 0: 32-bit protected mode, paging off, flat segments. */
struct vm_entry {
	uint64_t rip, rsp, rax, rbx, rsi;
	uint64_t gdt_base;
	uint16_t gdt_limit;
	uint16_t cs_sel, data_sel;
	uint32_t cs_ar; /* VMX access rights */
	uint64_t cr0;
};

enum vm_image_error {
	VM_IMAGE_OK,
	VM_IMAGE_NOT_A_KERNEL,  /* neither bzImage nor multiboot1 ELF */
	VM_IMAGE_TRUNCATED,     /* the file ends before what its headers promise */
	VM_IMAGE_TOO_OLD,       /* bzImage older than boot protocol 2.06, or not bzImage but zImage */
	VM_IMAGE_BAD_ELF,       /* class, machine or program headers */
	VM_IMAGE_NO_ROOM,       /* does not fit the VM's memory */
	VM_IMAGE_BAD_PARAMETER, /* CPUs, memory size, modules */
	VM_IMAGE_CMDLINE_LONG,
};

/** @return what went wrong and what to do about it, as one sentence */
const char *vm_image_error_text(enum vm_image_error error);

/**
 * Writes everything into the guest's memory. The kind of the kernel is found by its headers.
 * @param entry out: how vCPU 0 starts
 */
enum vm_image_error vm_image_load(const struct vm_image *image, struct vm_entry *entry);

/** Writes the ACPI tables at VM_IMAGE_RSDP (vm_image_load() does it). vm_acpi.c */
enum vm_image_error vm_image_acpi(const struct vm_image *image);

/** Writes the SMBIOS tables at VM_IMAGE_SMBIOS (vm_image_load() does it). vm_smbios.c */
enum vm_image_error vm_image_smbios(const struct vm_image *image);

#endif
