/* SPDX-License-Identifier: BSD-3-Clause */
/* Helpers around exec_regs(). */
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>

struct call {
	struct regs *r;
	const uint8_t *stub;
};

void regs_fill(struct regs *r)
{
	uint64_t *v = &r->rax;

	for (uint64_t i = 0; i < 15; i++)
		v[i] = 0xa5a5000012340000UL + i * 0x0101010101010101UL;
	r->rflags = 2;
}

static void do_call(void *arg)
{
	const struct call *c = arg;

	exec_regs(c->r, c->stub);
}

int exec_catch(struct regs *r, const uint8_t *stub, struct trap *t)
{
	struct call c = { r, stub };

	return catch_exception(do_call, &c, t);
}

bool regs_equal(const struct regs *a, const struct regs *b, uint64_t flag_mask)
{
	return memcmp(a, b, offsetof(struct regs, rflags)) == 0 &&
		((a->rflags ^ b->rflags) & flag_mask) == 0;
}
