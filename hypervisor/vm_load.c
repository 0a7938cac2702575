/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading a VM: its memory map, its modules, and what all image formats need.
 *
 * In the Service VM (GPA = HPA) the boot modules lie in the VM's own memory, wherever GRUB put them. They are "taken"
 * until the guest has them; a module in the way of a kernel with fixed addresses is moved first. Modules of a
 * pre-launched VM lie outside of it and are copied in.
 */
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/vm.h>
#include <hv/vm_acpi.h>
#include <hv/vm_load.h>
#include <hv/vm_loader.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/spinlock.h>
#include <lib/string.h>

#define LOW_RAM_LIMIT  (3UL << 30U) /* vm_memory.c: a pre-launched VM's memory below 4 GiB */
#define VGA_HOLE       0xA0000UL
#define GDT_ENTRIES    4U
#define GDT_CODE_32    0x00CF9B000000FFFFUL /* SDM vol 3, 3.4.5: base 0, limit 4 GiB, and accessed, so that loading a */
#define GDT_CODE_64    0x00AF9B000000FFFFUL /* selector writes nothing */
#define GDT_DATA       0x00CF93000000FFFFUL
#define REAL_IDT_LIMIT 0x3FFU
#define CR0_FLAT       0x31UL /* PE, ET, NE */
#define CR0_PAGING     0x80000000UL
#define CR4_PAE        0x20UL
#define EFER_LONG      0x500UL /* LME, LMA */
#define PT_TABLE       0x3UL   /* present, writable */
#define PT_LARGE       0x83UL
#define PT_ENTRIES     (PAGE_SIZE / 8UL)
#define IDENTITY_PDS   4UL /* of 1 GiB each */

/* What a BIOS leaves in the first page: 256 vectors, then its data. */
#define BIOS_VECTORS     256U
#define BIOS_IRET        0xF000FF53U /* segment and offset of an IRET, where the IBM PC's is */
#define BIOS_IRET_GPA    0xFFF53UL
#define BIOS_COM_PORTS   0x400UL
#define BIOS_BASE_MEMORY 0x413UL /* KiB */

static struct vm_loader the_loader;                 /* tens of KiB */
static struct spinlock loader_lock = SPINLOCK_INIT; /* guards it; taken with a vm->lock held */

int32_t vm_loader_refuse(const struct vm_loader *ld, const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pr_err("VM%u '%s': %s", ld->vm->vm_id, ld->vm->name, text);
	return -EINVAL;
}

void vm_loader_note(const struct vm_loader *ld, enum log_level level, const char *fmt, ...)
{
	char text[256];
	va_list args;

	if (ld->vm->restart == VM_RESTART_NONE) {
		va_start(args, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, args);
		va_end(args);
		log_line(level, "VM%u '%s': %s", ld->vm->vm_id, ld->vm->name, text);
	}
}

/* ---- Reading and writing ---- */

bool vm_image_read(const struct vm_image *image, uint64_t at, void *dst, uint64_t len)
{
	if ((at > image->size) || (len > image->size - at)) {
		return false;
	}
	arch_guest_access_begin(); /* modules lie in RAM that is not the hypervisor's */
	(void)memcpy(dst, (const uint8_t *)hpa_to_hva(image->hpa) + at, len);
	arch_guest_access_end();
	return true;
}

int32_t vm_loader_write(struct vm_loader *ld, gpa_t gpa, const void *src, uint64_t size)
{
	if (copy_to_gpa(ld->vm, gpa, src, size) != 0) {
		(void)vm_loader_refuse(ld, "its memory at 0x%lx + 0x%lx cannot be written", gpa, size);
		return -EFAULT;
	}
	return 0;
}

int32_t vm_loader_copy(struct vm_loader *ld, uint64_t at, gpa_t gpa, uint64_t size)
{
	const struct vm_image *image = &ld->kernel;

	if ((at > image->size) || (size > image->size - at)) {
		return vm_loader_refuse(ld,
			"module '%s' ends at 0x%lx, but 0x%lx bytes at 0x%lx are wanted; is the file whole?",
			image->tag, image->size, size, at);
	}
	return vm_loader_write(ld, gpa, (const uint8_t *)hpa_to_hva(image->hpa) + at, size);
}

int32_t vm_loader_clear(struct vm_loader *ld, gpa_t gpa, uint64_t size)
{
	static const uint8_t zeros[PAGE_SIZE];
	int32_t ret = 0;

	while ((ret == 0) && (size != 0UL)) {
		const uint64_t part = MIN(size, sizeof(zeros));

		ret = vm_loader_write(ld, gpa, zeros, part);
		gpa += part;
		size -= part;
	}
	return ret;
}

/* ---- Places ---- */

static int32_t take(struct vm_loader *ld, gpa_t gpa, uint64_t size, const char *what)
{
	const int32_t ret = vm_e820_take(&ld->map, gpa, size, what);

	if (ret != 0) {
		(void)vm_loader_refuse(ld, "%s at 0x%lx + 0x%lx: %s", what, gpa, size,
			(ret == -ENOSPC) ? "too many pieces; use fewer segments or modules" : "empty or wraps");
	}
	return ret;
}

gpa_t vm_loader_alloc(struct vm_loader *ld, uint64_t size, uint64_t align, gpa_t low, gpa_t high, const char *what)
{
	const gpa_t gpa = vm_e820_find_highest(&ld->map, size, align, low, high);

	if (gpa == INVALID_GPA) {
		(void)vm_loader_refuse(ld,
			"no free %lu KiB between 0x%lx and 0x%lx for %s; give it more memory or smaller modules",
			(size + 1023UL) >> 10U, low, high, what);
		return INVALID_GPA;
	}
	return (take(ld, gpa, size, what) == 0) ? gpa : INVALID_GPA;
}

gpa_t vm_loader_alloc_info(struct vm_loader *ld, uint64_t size, uint64_t align, const char *what)
{
	const gpa_t gpa = vm_e820_find_highest(&ld->map, size, align, LOADER_LOW_FLOOR, LOADER_1M);

	if (gpa == INVALID_GPA) {
		return vm_loader_alloc(ld, size, align, LOADER_1M, LOADER_4G, what);
	}
	return (take(ld, gpa, size, what) == 0) ? gpa : INVALID_GPA;
}

/* Copies the image to a free place and forgets the old one. */
static int32_t move_image(struct vm_loader *ld, struct vm_image *image, uint64_t align, gpa_t high)
{
	const gpa_t to = vm_loader_alloc(ld, image->size, align, LOADER_1M, high, image->tag);
	int32_t ret;

	if (to == INVALID_GPA) {
		return -ENOSPC;
	}
	ret = vm_loader_write(ld, to, hpa_to_hva(image->hpa), image->size);
	if (ret == 0) {
		vm_loader_note(ld, LOG_INFO, "module '%s' moved from 0x%lx to 0x%lx", image->tag, image->hpa, to);
		if (ld->identity) {
			vm_e820_release(&ld->map, image->hpa, image->size);
			image->hpa = to;
		}
		image->gpa = to;
		image->placed = true;
	}
	return ret;
}

static int32_t move_away(struct vm_loader *ld, struct vm_image *image, gpa_t gpa, uint64_t size)
{
	if (!ld->identity || !ranges_overlap(gpa, size, image->hpa, image->size)) {
		return 0;
	}
	return move_image(ld, image, PAGE_SIZE, LOADER_4G);
}

/* @return the first taken place in [gpa, gpa+size) that is not one of the modules */
static const struct vm_e820_busy *immovable(const struct vm_loader *ld, gpa_t gpa, uint64_t size)
{
	for (uint32_t i = 0U; i < ld->map.busy_count; i++) {
		const struct vm_e820_busy *busy = &ld->map.busy[i];
		bool movable = ld->identity && (busy->base == ld->kernel.hpa) && (busy->size == ld->kernel.size);

		for (uint32_t m = 0U; ld->identity && (m < ld->module_count); m++) {
			movable = movable || ((busy->base == ld->module[m].hpa) && (busy->size == ld->module[m].size));
		}
		if (!movable && ranges_overlap(gpa, size, busy->base, busy->size)) {
			return busy;
		}
	}
	return NULL;
}

int32_t vm_loader_claim(struct vm_loader *ld, gpa_t gpa, uint64_t size, const char *what)
{
	const struct vm_e820_busy *busy;
	int32_t ret;

	if (!range_is_valid(gpa, size) || !vm_e820_is_ram(&ld->map, gpa, size)) {
		return vm_loader_refuse(ld,
			"kernel module '%s': %s, 0x%lx + 0x%lx, is not in RAM that the VM has; link it for another "
			"address, or give the VM more memory",
			ld->kernel.tag, what, gpa, size);
	}
	busy = immovable(ld, gpa, size);
	if (busy != NULL) {
		return vm_loader_refuse(ld,
			"kernel module '%s': %s, 0x%lx + 0x%lx, overlaps %s at 0x%lx + 0x%lx; link it for another "
			"address",
			ld->kernel.tag, what, gpa, size, busy->what, busy->base, busy->size);
	}
	ret = take(ld, gpa, size, what); /* first, so that nothing is moved to where it is in the way again */
	if (ret == 0) {
		ret = move_away(ld, &ld->kernel, gpa, size);
	}
	for (uint32_t i = 0U; (ret == 0) && (i < ld->module_count); i++) {
		ret = move_away(ld, &ld->module[i], gpa, size);
	}
	return ret;
}

int32_t vm_loader_place_module(struct vm_loader *ld, struct vm_image *image, uint64_t align, gpa_t high)
{
	if (ld->identity && is_aligned(image->hpa, align) && (image->hpa + image->size <= high) &&
		vm_e820_is_ram(&ld->map, image->hpa, image->size)) {
		image->gpa = image->hpa;
		image->placed = true;
		return 0;
	}
	return move_image(ld, image, align, high);
}

/* ---- Registers ---- */

/* GDT and registers, without paging. `segment` is the descriptor of the code segment. */
static int32_t flat_regs(struct vm_loader *ld, uint64_t entry, uint16_t code, uint16_t data, uint64_t segment)
{
	uint64_t gdt[GDT_ENTRIES] = {0UL};
	const gpa_t at = vm_loader_alloc_info(ld, sizeof(gdt), sizeof(gdt), "the first GDT");
	struct acrn_regs *regs = &ld->regs;

	if (at == INVALID_GPA) {
		return -ENOSPC;
	}
	gdt[(code / 8U) % GDT_ENTRIES] = segment;
	gdt[(data / 8U) % GDT_ENTRIES] = GDT_DATA;
	(void)memset(regs, 0, sizeof(*regs));
	regs->gdt.base = at;
	regs->gdt.limit = (uint16_t)(sizeof(gdt) - 1U);
	regs->idt.limit = REAL_IDT_LIMIT; /* for those who go to real mode and take the BIOS's for granted */
	regs->rip = entry;
	regs->cr0 = CR0_FLAT;
	regs->rflags = 0x2UL;
	regs->cs_sel = code;
	regs->cs_ar = (uint32_t)(segment >> 40U) & 0xF0FFU;
	regs->cs_limit = 0xFFFFFFFFU;
	regs->ds_sel = data;
	regs->es_sel = data;
	regs->fs_sel = data;
	regs->gs_sel = data;
	regs->ss_sel = data;
	return vm_loader_write(ld, at, gdt, sizeof(gdt));
}

int32_t vm_loader_flat_regs(struct vm_loader *ld, uint32_t entry, uint16_t code, uint16_t data)
{
	return flat_regs(ld, entry, code, data, GDT_CODE_32);
}

/* Page tables that map the first 4 GiB to themselves in pages of 2 MiB. @return their PML4, or INVALID_GPA, logged */
static gpa_t make_identity_map(struct vm_loader *ld)
{
	static uint64_t table[PT_ENTRIES];
	const gpa_t pml4 = vm_loader_alloc_info(ld, (2UL + IDENTITY_PDS) * PAGE_SIZE, PAGE_SIZE, "page tables");
	const gpa_t pdpt = pml4 + PAGE_SIZE;
	int32_t ret;

	if (pml4 == INVALID_GPA) {
		return INVALID_GPA;
	}
	(void)memset(table, 0, sizeof(table));
	table[0] = pdpt | PT_TABLE;
	ret = vm_loader_write(ld, pml4, table, sizeof(table));
	for (uint64_t i = 0UL; i < IDENTITY_PDS; i++) {
		table[i] = (pdpt + (1UL + i) * PAGE_SIZE) | PT_TABLE;
	}
	ret = (ret == 0) ? vm_loader_write(ld, pdpt, table, sizeof(table)) : ret;
	for (uint64_t pd = 0UL; (ret == 0) && (pd < IDENTITY_PDS); pd++) {
		for (uint64_t i = 0UL; i < PT_ENTRIES; i++) {
			table[i] = ((pd * PT_ENTRIES + i) << 21U) | PT_LARGE;
		}
		ret = vm_loader_write(ld, pdpt + (1UL + pd) * PAGE_SIZE, table, sizeof(table));
	}
	return (ret == 0) ? pml4 : INVALID_GPA;
}

int32_t vm_loader_long_regs(struct vm_loader *ld, uint64_t entry, uint16_t code, uint16_t data)
{
	const int32_t ret = flat_regs(ld, entry, code, data, GDT_CODE_64);
	const gpa_t pml4 = (ret == 0) ? make_identity_map(ld) : INVALID_GPA;

	if (pml4 == INVALID_GPA) {
		return -ENOSPC;
	}
	ld->regs.cr0 |= CR0_PAGING;
	ld->regs.cr3 = pml4;
	ld->regs.cr4 = CR4_PAE;
	ld->regs.ia32_efer = EFER_LONG;
	return 0;
}

static int32_t set_registers(struct vm_loader *ld)
{
	struct acrn_vcpu *vcpu = vm_vcpu(ld->vm, 0U);

	if ((vcpu == NULL) || (arch_vcpu_set_regs(vcpu, &ld->regs) != 0)) {
		return vm_loader_refuse(ld,
			"the CPU does not take its first registers (CR0 0x%lx, CR4 0x%lx, EFER 0x%lx)", ld->regs.cr0,
			ld->regs.cr4, ld->regs.ia32_efer);
	}
	return 0;
}

/* ---- The memory map ---- */

static int32_t build_service_map(struct vm_loader *ld)
{
	const char *what;
	hpa_t base;
	uint64_t size;
	int32_t ret = 0;

	for (uint32_t i = 0U; (ret == 0) && (i < boot_info.range_count); i++) {
		ret = vm_e820_set(
			&ld->map, boot_info.ranges[i].base, boot_info.ranges[i].size, boot_info.ranges[i].type);
	}
	for (uint32_t i = 0U; (ret == 0) && memory_hv_range(i, &base, &size, &what); i++) {
		const hpa_t first = round_down(base, PAGE_SIZE);

		ret = vm_e820_set(&ld->map, first, round_up(base + size, PAGE_SIZE) - first, MEM_RESERVED);
	}
	/* A window for BARs is no memory at all: Linux takes what the map calls reserved out of its bridge's window. */
	if ((ret == 0) && ld->vm->vpci.active) {
		ret = vm_e820_set(&ld->map, ld->vm->vpci.place->mem_base, ld->vm->vpci.place->mem_size, MEM_NONE);
	}
	if ((ret == 0) && (ld->config->mem_bytes != 0UL)) {
		ret = vm_e820_limit(&ld->map, ld->config->mem_bytes);
	}
	return ret;
}

/* As vm_map_prelaunched_memory() mapped it, with a PC's hole below 1 MiB. */
static int32_t build_prelaunched_map(struct vm_loader *ld)
{
	const uint64_t bytes = ld->config->mem_bytes;
	const uint64_t low = MIN(bytes, LOW_RAM_LIMIT);
	int32_t ret = vm_e820_set(&ld->map, 0UL, low, MEM_RAM);

	if (ret == 0) {
		ret = vm_e820_set(&ld->map, VGA_HOLE, LOADER_1M - VGA_HOLE, MEM_RESERVED);
	}
	if (ret == 0) {
		ret = vm_e820_set(&ld->map, VPCI_ECAM_BASE, VPCI_ECAM_SIZE, MEM_RESERVED);
	}
	if ((ret == 0) && (bytes > low)) {
		ret = vm_e820_set(&ld->map, LOADER_4G, bytes - low, MEM_RAM);
	}
	return ret;
}

static int32_t build_map(struct vm_loader *ld)
{
	const int32_t ret = ld->identity ? build_service_map(ld) : build_prelaunched_map(ld);

	if (ret != 0) {
		(void)vm_loader_refuse(
			ld, "its memory map has more than %u ranges, or an empty one (error %d)", VM_E820_MAX, ret);
	}
	return ret;
}

/* ---- Modules ---- */

/* @return what follows the tag in a module's string, or NULL if the tag is another */
static const char *after_tag(const char *string, const char *tag)
{
	const size_t len = strlen(tag);

	if ((strncmp(string, tag, len) != 0) || ((string[len] != '\0') && (string[len] != ' '))) {
		return NULL;
	}
	string += len;
	while (*string == ' ') {
		string++;
	}
	return string;
}

static const struct boot_module *module_of(const char *tag, const char **args)
{
	for (uint32_t i = 0U; i < boot_info.module_count; i++) {
		const char *rest = after_tag(boot_info.modules[i].string, tag);

		if (rest != NULL) {
			*args = rest;
			return &boot_info.modules[i];
		}
	}
	return NULL;
}

static int32_t find_module(struct vm_loader *ld, const char *tag, struct vm_image *image, const char **args)
{
	const char *rest;
	const struct boot_module *module = module_of(tag, &rest);

	if (module == NULL) {
		(void)vm_loader_refuse(ld, "there is no module '%s'; add to GRUB's entry: module2 FILE %s", tag, tag);
		return -ENOENT;
	}
	if ((module->size == 0UL) || !range_is_valid(module->base, module->size)) {
		return vm_loader_refuse(
			ld, "module '%s' is empty; look at the file that GRUB's module2 line names", tag);
	}
	if (args != NULL) {
		*args = rest;
	}
	*image = (struct vm_image){.tag = tag, .hpa = module->base, .size = module->size, .string = tag};
	return ld->identity ? take(ld, image->hpa, image->size, tag) : 0;
}

static int32_t find_modules(struct vm_loader *ld)
{
	const struct scenario_vm *config = ld->config;
	const char *args = "";
	int32_t ret = find_module(ld, config->kern_mod, &ld->kernel, &args);

	if (ret != 0) {
		return ret;
	}
	(void)strlcpy(ld->cmdline, (*args != '\0') ? args : config->bootargs, sizeof(ld->cmdline));
	if (config->ramdisk_mod[0] != '\0') {
		ret = find_module(ld, config->ramdisk_mod, &ld->module[0], NULL);
		ld->has_ramdisk = true;
		ld->module_count = 1U;
	}
	for (uint32_t i = 0U; (ret == 0) && (i < config->module_count); i++) {
		struct vm_image *image = &ld->module[ld->module_count];

		ret = find_module(ld, config->module[i].tag, image, NULL);
		if ((ret == 0) && (config->module[i].string[0] != '\0')) {
			image->string = config->module[i].string;
		}
		ld->module_count++;
	}
	return ret;
}

static void reserve_module(const char *tag)
{
	const char *args;
	const struct boot_module *module = module_of(tag, &args);

	/* Several VMs may be made of one module. */
	if ((module != NULL) && (module->size != 0UL) && range_is_valid(module->base, module->size) &&
		!memory_is_hv_owned(module->base, module->size)) {
		memory_reserve(module->base, module->size, tag);
	}
}

void vm_load_reserve_modules(const struct acrn_vm *vm)
{
	const struct scenario_vm *config = vm->config;

	reserve_module(config->kern_mod);
	if (config->ramdisk_mod[0] != '\0') {
		reserve_module(config->ramdisk_mod);
	}
	for (uint32_t i = 0U; i < config->module_count; i++) {
		reserve_module(config->module[i].tag);
	}
}

/* ---- BIOS data ---- */

/*
 * There is no BIOS in a pre-launched VM, but systems look at what it leaves at 0x400 before they look at what the boot
 * loader says, and ask it: Xen places its real mode code below the end of base memory, and looks for disks and video
 * modes there. Each interrupt returns at once, having done nothing.
 */
static int32_t write_bios_data(struct vm_loader *ld)
{
	static const uint8_t iret = 0xCFU;
	uint32_t vectors[BIOS_VECTORS];
	const struct acrn_vm *const vm = ld->vm;
	const uint16_t com[2] = {vm->vuart[0].active ? 0x3F8U : 0U, vm->vuart[1].active ? 0x2F8U : 0U};
	const uint16_t base_kib = (uint16_t)(MIN(vm_e820_ram_from(&ld->map, 0UL), VGA_HOLE) >> 10U);
	int32_t ret = vm_loader_write(ld, BIOS_COM_PORTS, com, sizeof(com));

	for (uint32_t i = 0U; i < ARRAY_SIZE(vectors); i++) {
		vectors[i] = BIOS_IRET;
	}
	if (ret == 0) {
		ret = vm_loader_write(ld, 0UL, vectors, sizeof(vectors));
	}
	if ((ret == 0) && (ld->config->mem_bytes >= LOADER_1M)) {
		ret = vm_loader_write(ld, BIOS_IRET_GPA, &iret, sizeof(iret));
	}
	if (ret == 0) {
		ret = vm_loader_write(ld, BIOS_BASE_MEMORY, &base_kib, sizeof(base_kib));
	}
	return ret;
}

/* ---- All of it ---- */

static int32_t load_kernel(struct vm_loader *ld)
{
	switch (ld->config->kern_type) {
	case SCN_KERNEL_ELF:
		return vm_load_elf(ld);
	case SCN_KERNEL_BZIMAGE:
		return vm_load_bzimage(ld);
	case SCN_KERNEL_RAWIMAGE:
		return vm_load_raw(ld);
	default:
		return vm_loader_refuse(ld, "kernel type %u is unknown", ld->config->kern_type);
	}
}

static int32_t load(struct vm_loader *ld)
{
	int32_t ret = build_map(ld);

	if (ret == 0) {
		ret = find_modules(ld);
	}
	/* Before anything is written to the VM's RAM: the boot loader's copy of the root pointer may lie there. */
	if (ret == 0) {
		ret = vm_acpi_build(ld);
	}
	if ((ret == 0) && !ld->identity) {
		ret = write_bios_data(ld);
	}
	if (ret == 0) {
		ret = load_kernel(ld);
	}
	if (ret == 0) {
		ret = set_registers(ld);
	}
	return ret;
}

int32_t vm_load_image(struct acrn_vm *vm)
{
	struct vm_loader *const ld = &the_loader;
	int32_t ret;

	spin_lock(&loader_lock);
	(void)memset(ld, 0, sizeof(*ld));
	ld->vm = vm;
	ld->config = vm->config;
	ld->identity = vm_is_service(vm);
	ret = load(ld);
	if (ret == 0) {
		vm_loader_note(ld, LOG_INFO, "'%s' loaded, entry 0x%lx, command line \"%s\"", ld->kernel.tag,
			ld->regs.rip, ld->cmdline);
	}
	spin_unlock(&loader_lock);
	return ret;
}
