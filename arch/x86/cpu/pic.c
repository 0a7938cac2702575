/* SPDX-License-Identifier: BSD-3-Clause */
/* The two legacy 8259 interrupt controllers: kept silent. Their LINT0 path is masked in the local APIC too. */
#include <asm/io.h>
#include <asm/pic.h>

#define MASTER_CMD  0x20U
#define MASTER_DATA 0x21U
#define SLAVE_CMD   0xA0U
#define SLAVE_DATA  0xA1U
#define PIC_VECTOR  0x20U

void pic_disable(void)
{
	outb(MASTER_CMD, 0x11U); /* ICW1: edge, cascade, ICW4 */
	outb(SLAVE_CMD, 0x11U);
	outb(MASTER_DATA, PIC_VECTOR);
	outb(SLAVE_DATA, PIC_VECTOR + 8U);
	outb(MASTER_DATA, 0x04U); /* slave at line 2 */
	outb(SLAVE_DATA, 0x02U);
	outb(MASTER_DATA, 0x01U); /* 8086 mode */
	outb(SLAVE_DATA, 0x01U);
	outb(MASTER_DATA, 0xFFU);
	outb(SLAVE_DATA, 0xFFU);
}

bool pic_is_vector(uint32_t vector)
{
	return vector >= PIC_VECTOR && vector < PIC_VECTOR + 16U;
}
