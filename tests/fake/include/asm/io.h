/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake machine's ports: a write stays, a read gives it back; the last write is remembered. */
#ifndef ASM_IO_H
#define ASM_IO_H

#include <lib/types.h>

extern uint8_t fake_ports[0x10008];
extern uint32_t fake_port_writes;

static inline uint32_t fake_port_read(uint32_t port, uint32_t size)
{
	uint32_t value = 0U;

	for (uint32_t i = 0U; i < size; i++) {
		value |= (uint32_t)fake_ports[port + i] << (8U * i);
	}
	return value;
}

static inline void fake_port_write(uint32_t port, uint32_t size, uint32_t value)
{
	for (uint32_t i = 0U; i < size; i++) {
		fake_ports[port + i] = (uint8_t)(value >> (8U * i));
	}
	fake_port_writes++;
}

static inline uint8_t inb(uint16_t port)
{
	return (uint8_t)fake_port_read(port, 1U);
}

static inline uint16_t inw(uint16_t port)
{
	return (uint16_t)fake_port_read(port, 2U);
}

static inline uint32_t inl(uint16_t port)
{
	return fake_port_read(port, 4U);
}

static inline void outb(uint16_t port, uint8_t value)
{
	fake_port_write(port, 1U, value);
}

static inline void outw(uint16_t port, uint16_t value)
{
	fake_port_write(port, 2U, value);
}

static inline void outl(uint16_t port, uint32_t value)
{
	fake_port_write(port, 4U, value);
}

#endif
