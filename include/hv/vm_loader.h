/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the image loaders share: the state of one VM's loading. vm_load.c finds the modules and the memory map, one of
 * vm_load_{elf,bzimage,raw}.c reads the image, places everything and fills `regs`.
 *
 * An image is hostile: it is only read through vm_image_read(), and every place it names goes through
 * vm_loader_claim(). At boot, and whenever a pre-launched VM begins anew; one VM at a time, vm->lock held.
 */
#ifndef HV_VM_LOADER_H
#define HV_VM_LOADER_H

#include <hv/log.h>
#include <hv/scenario.h>
#include <hv/vm_e820.h>
#include <lib/util.h>
#include <public/acrn_common.h>

struct acrn_vm;

#define LOADER_MAX_MODULES (2U + SCN_MAX_MODULES) /* kernel, ramdisk, further ones */
#define LOADER_LOW_FLOOR   0x10000UL              /* nothing is put below: IVT, BIOS data, and what scans for them */
#define LOADER_1M          0x100000UL
#define LOADER_4G          (1UL << 32U)

/* Bytes of a boot module. */
struct vm_image {
	const char *tag;
	hpa_t hpa;          /* where they are now; in the Service VM that is a guest-physical address too */
	uint64_t size;      /* bytes, not 0 */
	const char *string; /* what the guest is told of it */
	bool placed;        /* `gpa` is meant */
	gpa_t gpa;          /* where the guest finds it */
};

struct vm_loader {
	struct acrn_vm *vm;
	const struct scenario_vm *config;
	bool identity; /* Service VM: GPA = HPA, modules lie in the VM's own memory */
	struct vm_e820 map;
	struct vm_image kernel;
	struct vm_image module[LOADER_MAX_MODULES]; /* ramdisk first, if there is one */
	uint32_t module_count;
	bool has_ramdisk; /* module[0] is it */
	char cmdline[SCN_MAX_BOOTARGS + 1U];
	gpa_t rsdp;            /* of the tables made for the VM; 0: none */
	uint8_t rsdp_copy[36]; /* the same, for those who pass it by value */
	struct acrn_regs regs; /* of vCPU 0 */
};

/** Logs "VMn 'name': ..." at error level. @return -EINVAL, so that a check can end with it */
int32_t vm_loader_refuse(const struct vm_loader *ld, const char *fmt, ...) __printf(2, 3);

/**
 * Logs "VMn 'name': ...", but not when the guest has reset itself: it may do nothing else, and the lines were written
 * at its first start.
 */
void vm_loader_note(const struct vm_loader *ld, enum log_level level, const char *fmt, ...) __printf(3, 4);

/** Copies [at, at+len) of the image. @return false if that is not inside it (nothing is copied) */
bool __must_check vm_image_read(const struct vm_image *image, uint64_t at, void *dst, uint64_t len);

/**
 * Takes [gpa, gpa+size) for `what`. It must be RAM of the VM and taken by nobody; modules that lie there are moved
 * away.
 * @return 0; -EINVAL not the VM's RAM, or taken; -ENOSPC no place to move a module to; logged
 */
int32_t __must_check vm_loader_claim(struct vm_loader *ld, gpa_t gpa, uint64_t size, const char *what);

/**
 * Finds and takes a place for `what`: the highest free one.
 * @return its address; INVALID_GPA when there is none, logged
 */
gpa_t vm_loader_alloc(struct vm_loader *ld, uint64_t size, uint64_t align, gpa_t low, gpa_t high, const char *what);

/** As vm_loader_alloc(), below 1 MiB if possible, where boot loaders put such things, else as high as possible. */
gpa_t vm_loader_alloc_info(struct vm_loader *ld, uint64_t size, uint64_t align, const char *what);

/** Puts the module where the guest can use it: in place if it may stay, else copied. @return 0 or -ENOSPC, logged */
int32_t __must_check vm_loader_place_module(struct vm_loader *ld, struct vm_image *image, uint64_t align, gpa_t high);

/** Copies part of the kernel's module to guest memory that has been claimed. @return 0 or -EINVAL, logged */
int32_t __must_check vm_loader_copy(struct vm_loader *ld, uint64_t at, gpa_t gpa, uint64_t size);

/** Clears guest memory that has been claimed. @return 0 or -EFAULT, logged */
int32_t __must_check vm_loader_clear(struct vm_loader *ld, gpa_t gpa, uint64_t size);

/** Writes to guest memory that has been claimed. @return 0 or -EFAULT, logged */
int32_t __must_check vm_loader_write(struct vm_loader *ld, gpa_t gpa, const void *src, uint64_t size);

/**
 * Registers for 32-bit protected mode without paging, flat 4 GiB segments, interrupts off, and a GDT for them in guest
 * memory. All general registers are 0.
 * @param code, data selectors, as the boot protocol wants them: multiples of 8 below 32, not 0
 * @return 0, -ENOSPC or -EFAULT, logged
 */
int32_t __must_check vm_loader_flat_regs(struct vm_loader *ld, uint32_t entry, uint16_t code, uint16_t data);

/**
 * The same in 64-bit mode, the first 4 GiB mapped to themselves. The page tables lie where vm_loader_alloc_info() puts
 * them.
 */
int32_t __must_check vm_loader_long_regs(struct vm_loader *ld, uint64_t entry, uint16_t code, uint16_t data);

/** Loads KERNEL_ELF by multiboot1 or multiboot2. @return 0 or -errno, logged */
int32_t __must_check vm_load_elf(struct vm_loader *ld);

/** Loads KERNEL_BZIMAGE by Linux's boot protocol. @return 0 or -errno, logged */
int32_t __must_check vm_load_bzimage(struct vm_loader *ld);

/** Loads KERNEL_RAWIMAGE to config->kern_load_addr. @return 0 or -errno, logged */
int32_t __must_check vm_load_raw(struct vm_loader *ld);

#endif
