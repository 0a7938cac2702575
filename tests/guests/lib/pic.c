/* SPDX-License-Identifier: BSD-3-Clause */
/* 8259A helpers. */
#include <guests/lib/guest.h>
#include <guests/lib/pic.h>

bool pic_present(void)
{
	uint8_t saved = inb(PIC_MASTER_DATA);
	bool there;

	outb(PIC_MASTER_DATA, 0xfb);
	there = inb(PIC_MASTER_DATA) == 0xfb;
	outb(PIC_MASTER_DATA, saved);
	return there;
}

static void init_one(uint16_t cmd, uint8_t vector, uint8_t icw3)
{
	outb(cmd, 0x11);
	outb((uint16_t)(cmd + 1), vector);
	outb((uint16_t)(cmd + 1), icw3);
	outb((uint16_t)(cmd + 1), 0x01);
	outb((uint16_t)(cmd + 1), 0xff);
}

void pic_init(void)
{
	init_one(PIC_MASTER_CMD, PIC_VECTOR, 0x04);
	init_one(PIC_SLAVE_CMD, PIC_VECTOR + 8, 0x02);
}

void pic_mask(unsigned int irq, bool masked)
{
	uint16_t port = irq < 8 ? PIC_MASTER_DATA : PIC_SLAVE_DATA;
	unsigned int bit = 1U << (irq % 8);
	unsigned int imr = inb(port);

	outb(port, (uint8_t)(masked ? imr | bit : imr & ~bit));
	if (irq >= 8 && !masked)
		outb(PIC_MASTER_DATA, (uint8_t)(inb(PIC_MASTER_DATA) & ~4U));
}

void pic_eoi(unsigned int irq)
{
	if (irq >= 8)
		outb(PIC_SLAVE_CMD, PIC_EOI);
	outb(PIC_MASTER_CMD, PIC_EOI);
}

uint8_t pic_isr(uint16_t cmd_port)
{
	outb(cmd_port, 0x0b);
	return inb(cmd_port);
}

uint8_t pic_irr(uint16_t cmd_port)
{
	outb(cmd_port, 0x0a);
	return inb(cmd_port);
}
