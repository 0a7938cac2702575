/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scenario used when GRUB passes none, or a bad one. The Makefile compiles
 * boot/scenarios/default.xml to $(O)/default_scenario.bin and gives $(O) to the assembler with
 * -I. It goes through the same checks as a module.
 */
	.section .rodata, "a", @progbits
	.globl default_scenario_start
	.globl default_scenario_end
	.balign 8
default_scenario_start:
	.incbin "default_scenario.bin"
default_scenario_end:

	.section .note.GNU-stack, "", @progbits
