/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image: linked at HV_IMAGE_BASE, "loaded" at 2 MiB unless GRUB relocates it. Sections start at page
 * boundaries, as each kind gets its own rights. The end is 2 MiB aligned so that GRUB puts nothing into our last
 * large page.
 */
ENTRY(boot_entry)
OUTPUT_FORMAT(elf64-x86-64)

HV_IMAGE_BASE = 0xFFFFFFFF80000000;
HV_LOAD_BASE = 0x200000;

PHDRS {
	text PT_LOAD FLAGS(5);
	rodata PT_LOAD FLAGS(4);
	data PT_LOAD FLAGS(6);
}

SECTIONS {
	. = HV_IMAGE_BASE;
	image_start = .;

	.text : AT(ADDR(.text) - HV_IMAGE_BASE + HV_LOAD_BASE) {
		text_start = .;
		KEEP(*(.boot))
		*(.text .text.*)
		. = ALIGN(4096);
		text_end = .;
	} :text

	.rodata : AT(ADDR(.rodata) - HV_IMAGE_BASE + HV_LOAD_BASE) {
		rodata_start = .;
		*(.rodata .rodata.*)
		. = ALIGN(16);
		ex_table_start = .;
		KEEP(*(.ex_table))
		ex_table_end = .;
		. = ALIGN(16);
		KEEP(*(.symtab_blob))
		. = ALIGN(4096);
		rodata_end = .;
	} :rodata

	.data ALIGN(4096) : AT(ADDR(.data) - HV_IMAGE_BASE + HV_LOAD_BASE) {
		data_start = .;
		*(.data .data.*)
	} :data

	.bss : AT(ADDR(.bss) - HV_IMAGE_BASE + HV_LOAD_BASE) {
		*(.bss .bss.* COMMON)
		. = ALIGN(0x200000);
	} :data
	image_end = .;

	/DISCARD/ : {
		*(.comment)
		*(.note .note.*)
		*(.eh_frame .eh_frame_hdr)
	}
}
