/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KERNEL_ELF: ELF32 and ELF64 images with a multiboot1 or multiboot2 header (System V ABI, chapters 4 and 5). All are
 * entered in 32-bit protected mode, as both specifications demand, so everything lies below 4 GiB.
 */
#include <hv/vm_elf.h>
#include <hv/vm_loader.h>
#include <hv/vm_multiboot.h>
#include <lib/errno.h>
#include <lib/string.h>

#define ELF_CODE 0x08U
#define ELF_DATA 0x10U

#define ELFCLASS32  1U
#define ELFCLASS64  2U
#define ELFDATA_LSB 1U
#define ET_EXEC     2U
#define ET_DYN      3U
#define EM_386      3U
#define EM_X86_64   62U
#define PT_LOAD     1U
#define MAX_PHNUM   64U

struct elf32_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version, entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf32_phdr {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

static bool is_elf64(const struct elf64_header *h)
{
	return h->ident[4] == ELFCLASS64;
}

/* An ELF32 header becomes an ELF64 one, as far as it is used here. */
static bool read_header(const struct vm_image *image, struct elf64_header *h, const char **why)
{
	struct elf32_header h32;

	*why = "e_ident is not that of a little-endian ELF file; kern_type KERNEL_ELF needs one";
	if (!vm_image_read(image, 0UL, h->ident, sizeof(h->ident)) || (memcmp(h->ident, "\177ELF", 4U) != 0) ||
		(h->ident[5] != ELFDATA_LSB)) {
		return false;
	}
	*why = "the file ends in its ELF header, or e_ident has no known class; is the file whole?";
	if (is_elf64(h)) {
		return vm_image_read(image, 0UL, h, sizeof(*h));
	}
	if ((h->ident[4] != ELFCLASS32) || !vm_image_read(image, 0UL, &h32, sizeof(h32))) {
		return false;
	}
	h->type = h32.type;
	h->machine = h32.machine;
	h->phentsize = h32.phentsize;
	h->phnum = h32.phnum;
	h->entry = h32.entry;
	h->phoff = h32.phoff;
	return true;
}

static bool check_header(const struct elf64_header *h, const char **why)
{
	if ((h->type != ET_EXEC) && (h->type != ET_DYN)) {
		*why = "e_type is neither ET_EXEC nor ET_DYN; link it";
		return false;
	}
	if ((h->machine != EM_386) && (h->machine != EM_X86_64)) {
		*why = "e_machine is neither EM_386 nor EM_X86_64; build it for this machine";
		return false;
	}
	if ((h->phnum == 0U) || (h->phnum > MAX_PHNUM) ||
		(h->phentsize < (is_elf64(h) ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)))) {
		*why = "e_phnum is 0 or above 64, or e_phentsize too small; link it again";
		return false;
	}
	return true;
}

static bool read_phdr(const struct vm_image *image, const struct elf64_header *h, uint32_t i, struct elf64_phdr *out)
{
	const uint64_t in_table = (uint64_t)i * h->phentsize;
	struct elf32_phdr p32;

	if (h->phoff > UINT64_MAX - in_table) {
		return false;
	}
	if (is_elf64(h)) {
		return vm_image_read(image, h->phoff + in_table, out, sizeof(*out));
	}
	if (!vm_image_read(image, h->phoff + in_table, &p32, sizeof(p32))) {
		return false;
	}
	*out = (struct elf64_phdr){.type = p32.type,
		.flags = p32.flags,
		.offset = p32.offset,
		.vaddr = p32.vaddr,
		.paddr = p32.paddr,
		.filesz = p32.filesz,
		.memsz = p32.memsz,
		.align = p32.align};
	return true;
}

static bool check_phdr(const struct vm_image *image, const struct elf64_phdr *p, const char **why)
{
	if ((p->filesz > p->memsz) || (p->offset > image->size) || (p->filesz > image->size - p->offset)) {
		*why = "p_offset and p_filesz of a segment reach past the file's end or p_memsz; is the file whole?";
		return false;
	}
	if ((p->memsz > LOADER_4G) || (p->paddr > LOADER_4G - p->memsz)) {
		*why = "p_paddr of a segment is not below 4 GiB; link it lower (multiboot starts in 32-bit mode)";
		return false;
	}
	return true;
}

int32_t elf_parse(const struct vm_image *image, struct elf_plan *plan, const char **why)
{
	struct elf64_header h = {0};

	(void)memset(plan, 0, sizeof(*plan));
	if (!read_header(image, &h, why) || !check_header(&h, why)) {
		return -EINVAL;
	}
	plan->entry = h.entry;
	for (uint32_t i = 0U; i < h.phnum; i++) {
		struct elf64_phdr p;

		if (!read_phdr(image, &h, i, &p)) {
			*why = "e_phoff and e_phnum reach past the file's end; is the file whole?";
			return -EINVAL;
		}
		if ((p.type != PT_LOAD) || (p.memsz == 0UL)) {
			continue;
		}
		if (!check_phdr(image, &p, why)) {
			return -EINVAL;
		}
		if (plan->count == ELF_MAX_SEGMENTS) {
			*why = "more than 16 PT_LOAD segments; link it with fewer";
			return -EINVAL;
		}
		/* e_entry is a virtual address; the loader needs the physical one. */
		if ((h.entry >= p.vaddr) && (h.entry - p.vaddr < p.memsz)) {
			plan->entry = p.paddr + (h.entry - p.vaddr);
			plan->entry_is_inside = true;
		}
		plan->segment[plan->count++] =
			(struct elf_segment){.at = p.offset, .gpa = p.paddr, .filesz = p.filesz, .memsz = p.memsz};
	}
	if (plan->count == 0U) {
		*why = "no PT_LOAD segment; link it";
		return -EINVAL;
	}
	return 0;
}

int32_t elf_plan_from_addresses(
	const struct vm_image *image, const struct multiboot_header *header, struct elf_plan *plan, const char **why)
{
	/* of the header, in the loaded part */
	const uint64_t before = (uint64_t)header->header_addr - header->load_addr;
	const uint64_t at = header->at - before;
	uint64_t filesz;
	uint64_t memsz;

	(void)memset(plan, 0, sizeof(*plan));
	*why = "header_addr, load_addr, load_end_addr, bss_end_addr of its multiboot header do not fit the file; mend "
	       "them";
	if ((header->header_addr < header->load_addr) || (before > header->at) || !header->has_entry) {
		return -EINVAL;
	}
	filesz = (header->load_end == 0U) ? (image->size - at) : ((uint64_t)header->load_end - header->load_addr);
	if (((header->load_end != 0U) && (header->load_end <= header->load_addr)) || (filesz > image->size - at)) {
		return -EINVAL;
	}
	memsz = (header->bss_end == 0U) ? filesz : ((uint64_t)header->bss_end - header->load_addr);
	if (((header->bss_end != 0U) && (header->bss_end < header->load_addr)) || (memsz < filesz) ||
		(header->load_addr > LOADER_4G - memsz)) {
		return -EINVAL;
	}
	plan->segment[0] = (struct elf_segment){.at = at, .gpa = header->load_addr, .filesz = filesz, .memsz = memsz};
	plan->count = 1U;
	plan->entry = header->entry;
	plan->entry_is_inside = (plan->entry >= header->load_addr) && (plan->entry - header->load_addr < memsz);
	return 0;
}

/* ---- From plan to memory ---- */

static void plan_bounds(const struct elf_plan *plan, gpa_t *low, gpa_t *high)
{
	*low = UINT64_MAX;
	*high = 0UL;
	for (uint32_t i = 0U; i < plan->count; i++) {
		*low = MIN(*low, plan->segment[i].gpa);
		*high = MAX(*high, plan->segment[i].gpa + plan->segment[i].memsz);
	}
}

/*
 * A relocatable multiboot2 image whose own addresses are not all RAM goes to another place; others stay where they are
 * linked (modules there are moved).
 */
static int32_t relocate(struct vm_loader *ld, const struct multiboot_header *header, struct elf_plan *plan)
{
	gpa_t low;
	gpa_t high;
	gpa_t to;

	plan_bounds(plan, &low, &high);
	if (!header->relocatable || (vm_e820_is_ram(&ld->map, low, high - low) && (low >= header->reloc_min))) {
		return 0;
	}
	to = vm_e820_find_lowest(&ld->map, high - low, header->reloc_align, header->reloc_min,
		MIN((uint64_t)header->reloc_max + 1UL, LOADER_4G));
	if (to == INVALID_GPA) {
		(void)vm_loader_refuse(ld, "no free %lu KiB between 0x%x and 0x%x for its relocatable image",
			(high - low) >> 10U, header->reloc_min, header->reloc_max);
		return -ENOSPC;
	}
	for (uint32_t i = 0U; i < plan->count; i++) {
		plan->segment[i].gpa = plan->segment[i].gpa - low + to;
	}
	plan->entry = plan->entry - low + to;
	return 0;
}

static int32_t load_segments(struct vm_loader *ld, const struct elf_plan *plan)
{
	int32_t ret = 0;

	/* All claims first: they move modules, also this one. */
	for (uint32_t i = 0U; (ret == 0) && (i < plan->count); i++) {
		ret = vm_loader_claim(ld, plan->segment[i].gpa, plan->segment[i].memsz, "p_paddr and p_memsz");
	}
	for (uint32_t i = 0U; (ret == 0) && (i < plan->count); i++) {
		const struct elf_segment *s = &plan->segment[i];

		ret = vm_loader_copy(ld, s->at, s->gpa, s->filesz);
		if (ret == 0) {
			ret = vm_loader_clear(ld, s->gpa + s->filesz, s->memsz - s->filesz);
		}
	}
	return ret;
}

static int32_t make_plan(struct vm_loader *ld, struct multiboot_header *header, struct elf_plan *plan)
{
	static uint8_t start[MULTIBOOT2_SEARCH];
	const uint64_t len = MIN(ld->kernel.size, sizeof(start));
	const char *why = "";
	int32_t ret = vm_image_read(&ld->kernel, 0UL, start, len) ? 0 : -EINVAL;

	if (ret == 0) {
		ret = multiboot_find_header(start, len, header, &why);
	}
	if (ret == 0) {
		ret = header->has_address ? elf_plan_from_addresses(&ld->kernel, header, plan, &why)
					  : elf_parse(&ld->kernel, plan, &why);
	}
	if (ret != 0) {
		return vm_loader_refuse(ld, "kernel module '%s': %s", ld->kernel.tag, why);
	}
	if (header->has_entry) {
		plan->entry = header->entry;
		plan->entry_is_inside = false;
		for (uint32_t i = 0U; i < plan->count; i++) {
			plan->entry_is_inside = plan->entry_is_inside ||
				((plan->entry >= plan->segment[i].gpa) &&
					(plan->entry - plan->segment[i].gpa < plan->segment[i].memsz));
		}
	}
	if (!plan->entry_is_inside) {
		return vm_loader_refuse(ld, "kernel module '%s': entry 0x%lx lies in no segment; set it (ld -e)",
			ld->kernel.tag, plan->entry);
	}
	return 0;
}

int32_t vm_load_elf(struct vm_loader *ld)
{
	struct multiboot_header header = {0};
	struct elf_plan plan = {0};
	gpa_t low;
	gpa_t high;
	int32_t ret = make_plan(ld, &header, &plan);

	if (ret == 0) {
		ret = relocate(ld, &header, &plan);
	}
	if (ret == 0) {
		ret = load_segments(ld, &plan);
	}
	if (ret == 0) {
		ret = vm_loader_flat_regs(ld, (uint32_t)plan.entry, ELF_CODE, ELF_DATA);
	}
	if (ret == 0) {
		plan_bounds(&plan, &low, &high);
		ret = multiboot_write_info(ld, &header, (uint32_t)low);
	}
	return ret;
}
