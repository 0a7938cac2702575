/* SPDX-License-Identifier: BSD-3-Clause */
/* arch/x86/guest/instr_decode.c: every string of bytes, every mode. No bound: an instruction has 15 bytes at most. */
#include <asm/instr.h>
#include <lib/errno.h>

int main(void)
{
	const uint32_t avail = nondet_u32();
	const enum instr_mode mode = (enum instr_mode)(nondet_u32() % 3U);
	uint8_t *bytes; /* as many as there are, and none behind them */
	struct instr in;
	int32_t ret;

	ASSUME(avail <= INSTR_MAX_LEN);
	bytes = __CPROVER_allocate(avail, false);
	ret = instr_decode(&in, bytes, avail, mode);
	PROVE(ret == 0 || ret == -EINVAL || (ret == -EAGAIN && avail < INSTR_MAX_LEN));
	PROVE(in.len <= avail);
	if (ret != 0) {
		return 0;
	}
	PROVE(in.len != 0U && in.op < INSTR_OP_COUNT);
	PROVE(in.form != INSTR_FORM_NONE && in.form <= INSTR_FORM_STRING);
	PROVE(in.reg < 16U && in.scale < 4U && in.cond < 16U);
	PROVE(in.seg <= INSTR_SEG_GS);
	PROVE(in.base <= INSTR_REG_RIP || in.base == INSTR_REG_NONE);
	PROVE(in.index < 16U || in.index == INSTR_REG_NONE);
	PROVE(in.addr_size == 2U || in.addr_size == 4U || in.addr_size == 8U);
	PROVE(in.op_size != 0U && in.op_size <= 32U && (in.op_size & (in.op_size - 1U)) == 0U);
	PROVE(in.mem_size != 0U && in.mem_size <= 32U && (in.mem_size & (in.mem_size - 1U)) == 0U);
	PROVE((in.access != 0U) == (in.form != INSTR_FORM_STRING));
	PROVE(!in.lock || in.access == (INSTR_ACCESS_READ | INSTR_ACCESS_WRITE));
	PROVE(mode == INSTR_MODE_64 || (in.op_size != 8U && in.addr_size != 8U && in.rex == 0U && in.base < 8U) ||
		in.base == INSTR_REG_NONE);
	return 0;
}
