/* SPDX-License-Identifier: BSD-3-Clause */
/* The 8259A pair of a PC: vectors 0x20 and 0x28 after pic_init(). */
#ifndef GUESTS_LIB_PIC_H
#define GUESTS_LIB_PIC_H

#include <stdbool.h>
#include <stdint.h>

#define PIC_MASTER_CMD	0x20
#define PIC_MASTER_DATA	0x21
#define PIC_SLAVE_CMD	0xa0
#define PIC_SLAVE_DATA	0xa1
#define PIC_ELCR1	0x4d0
#define PIC_ELCR2	0x4d1
#define PIC_VECTOR	0x20U
#define PIC_EOI		0x20

/* The mask register keeps what is written: there is a PIC. */
bool pic_present(void);
/* ICW1-ICW4: edge, cascade, 8086 mode, normal EOI; then all masked. Harmless without a PIC. */
void pic_init(void);
void pic_mask(unsigned int irq, bool masked);
void pic_eoi(unsigned int irq);
uint8_t pic_isr(uint16_t cmd_port);
uint8_t pic_irr(uint16_t cmd_port);

#endif /* GUESTS_LIB_PIC_H */
