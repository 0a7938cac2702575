/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two ports of the machine that one vCPU has itself, and the other has not. On the command line: port=FIRST owner=CPU.
 * The ports keep what is written to them.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

const char subject_name[] = "vcpu_ports";

struct access {
	uint16_t port;
	uint16_t value;	/* to write, or what was read */
};

static void read_byte(void *arg)
{
	struct access *a = arg;

	a->value = inb(a->port);
}

static void read_word(void *arg)
{
	struct access *a = arg;

	a->value = inw(a->port);
}

static void write_byte(void *arg)
{
	struct access *a = arg;

	outb(a->port, (uint8_t)a->value);
}

static uint16_t get(unsigned int cpu, uint16_t port, void (*how)(void *))
{
	struct access a = {port, 0x1111};

	report(on_cpu(cpu, how, &a), "CPU %u reads", cpu);
	return a.value;
}

static void put(unsigned int cpu, uint16_t port, uint8_t value)
{
	struct access a = {port, value};

	report(on_cpu(cpu, write_byte, &a), "CPU %u writes", cpu);
}

static unsigned long option(const char *key)
{
	char value[16];

	return boot_option(key, value, sizeof(value)) ? parse_number(value) : 0;
}

void test_main(void)
{
	uint16_t port = (uint16_t)option("port");
	unsigned int owner = (unsigned int)option("owner");

	lapic_enable();
	report(port != 0 && owner < 2 && smp_start() == 2, "two CPUs and the ports' number");
	put(owner, port, 0x5A);
	put(owner, port + 1, 0xA5);
	report(get(owner, port, read_byte) == 0x5A && get(owner, port + 1, read_byte) == 0xA5,
	       "its owner has the machine's ports");
	report(get(1 - owner, port, read_byte) == 0xFF, "the other CPU reads ones");
	put(1 - owner, port, 0x33);
	report(get(owner, port, read_byte) == 0x5A, "what it writes is lost");
	report(get(owner, port + 1, read_word) == 0xFFFF, "an access over their end is nobody's");
	report(get(owner, port - 1, read_word) == 0xFFFF, "and one into them");
}
