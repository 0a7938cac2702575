/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keyboard controller of a PC (Intel 8042 as in the IBM PS/2 Technical Reference) without keyboard and mouse: it
 * answers a probe, and its output port resets the VM. The A20 gate, here and in port 0x92, is a bit that is kept and
 * masks no address, as on machines whose CPU has no A20M# (Intel's since Haswell).
 */
#ifndef DM_VI8042_H
#define DM_VI8042_H

#include <lib/spinlock.h>
#include <lib/util.h>

struct acrn_vm;

#define VI8042_DATA_PORT   0x60U
#define VI8042_STATUS_PORT 0x64U
#define VI8042_PORT92      0x92U
#define VI8042_GSI         1U
#define VI8042_RAM         32U

struct vi8042 {
	struct spinlock lock;
	uint8_t ram[VI8042_RAM]; /* byte 0 is the command byte */
	uint8_t status;          /* but for what is constant */
	uint8_t output;          /* output buffer, while status says so */
	uint8_t out_port;
	uint8_t command; /* waits for its data byte; 0: none */
	uint8_t port92;
};

/** As firmware leaves it after its tests. */
void vi8042_init(struct vi8042 *kbc);

/** Guest's reads of port 0x60 (which empties the buffer) and 0x64. */
uint8_t vi8042_read_data(struct vi8042 *kbc);
uint8_t vi8042_read_status(const struct vi8042 *kbc);

/** Guest's writes to ports 0x60, 0x64 and 0x92. @return true: the machine is to be reset */
bool __must_check vi8042_write_data(struct vi8042 *kbc, uint8_t value);
bool __must_check vi8042_write_command(struct vi8042 *kbc, uint8_t value);
bool __must_check vi8042_write_port92(struct vi8042 *kbc, uint8_t value);

/** @return the interrupt line: there is something to read and the command byte allows it */
bool vi8042_irq(const struct vi8042 *kbc);

/* ---- Glue (vi8042_glue.c) ---- */

/** Registers the ports. Before the VM is started. */
void vi8042_attach(struct acrn_vm *vm);

/** Back to power-on. No vCPU of the VM is on a CPU. */
void vi8042_reset(struct acrn_vm *vm);

#endif
