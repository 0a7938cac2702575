/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wake-ups by IPI, many: between CPUs that halt, that work, and with interrupts off; by xAPIC and by x2APIC; and all
 * CPUs waiting for a device at once. One that is lost stops a ring of CPUs for good, or until the watchdog's tick.
 * A wake-up is lost, too, when it is taken between STI and HLT: no interrupt may be (SDM vol. 2, STI).
 * "rounds=N" on the command line: as many rounds of CPUs that halt, and a tenth of those that don't.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

const char subject_name[] = "ipi";

#define VEC_TOKEN	0x61U
#define VEC_WATCH	0x62U
#define WATCH_TICKS	200000000U	/* in each of which many rounds are to be made */
#define ROUNDS		1000UL
#define ROUNDS_BUSY	10UL		/* one in so many where a CPU that is shared costs a slice each time */
#define FEW		4UL
#define PHASES		3001UL		/* prime: moments at which a CPU goes to sleep, two instructions apart */
#define STRIDE		6UL		/* from one round's to the next but one's */
#define SHADOWS		200UL
#define DEVICE_PORT	0x61U		/* emulated in every VM, in a User VM by its device model */

STUB(sti_hlt, "sti\n\thlt\nsti_hlt_next:\n\tcli");
extern const uint8_t sti_hlt_next[];
#define STI_BYTES	1U

enum how { HALTING, PHASED, WORKING, DEAF };

static uint64_t rounds;			/* of this ring */
static uint64_t rounds_wanted = ROUNDS;
static unsigned int cpus;		/* those in the ring */
static uint32_t apic_ids[MAX_CPUS];
static enum how waiting;
static volatile uint64_t tokens[MAX_CPUS];	/* that arrived at the CPU; its own handler counts */
static volatile uint64_t passed[MAX_CPUS];
static volatile uint64_t early;	/* interrupts between STI and HLT */
static volatile bool stuck;
static volatile bool shadows_done;
static uint64_t seen_by_watch;

static void token_handler(struct trap *t)
{
	unsigned int cpu = cpu_index();

	if (t->rip == (uint64_t)sti_hlt + STI_BYTES) {
		__atomic_add_fetch(&early, 1, __ATOMIC_RELAXED);
		t->rip = (uint64_t)sti_hlt_next;	/* do not sleep for good */
	}
	tokens[cpu] = tokens[cpu] + 1;
	lapic_eoi();
}

/* On CPU 0. Without progress since the last tick a wake-up is lost. */
static void watch_handler(struct trap *t)
{
	(void)t;
	if (passed[0] < seen_by_watch + FEW && passed[0] < rounds)
		stuck = true;
	seen_by_watch = passed[0];
	lapic_eoi();
}

static void pass_token(unsigned int from)
{
	unsigned int to = (from + 1) % cpus;

	lapic_ipi(ICR_FIXED | ICR_ASSERT | VEC_TOKEN, apic_ids[to]);
}

/* Interrupts on, HLT, and off. */
static void halt(void)
{
	__asm__ volatile("call sti_hlt" : : : "memory");
}

static void spend(uint64_t loops)
{
	__asm__ volatile("1:\tdec %0\n\tjnz 1b" : "+r"(loops));
}

/* In each round one CPU goes to sleep late: its wake-up comes before it does, meanwhile, or after. */
static void spend_phase(unsigned int cpu, uint64_t n)
{
	if (waiting == PHASED && n % cpus == cpu)
		spend(1 + n / cpus * STRIDE % PHASES);
}

/* Returns with interrupts off. */
static void wait_for_token(unsigned int cpu, uint64_t count)
{
	while (tokens[cpu] < count && !stuck) {
		switch (waiting) {
		case HALTING:
		case PHASED:
			cli();
			if (tokens[cpu] < count && !stuck)
				halt();
			break;
		case WORKING:
			sti();
			cpu_pause();
			break;
		default:
			cli();
			for (volatile unsigned int i = 0; i < 50; i++)
				;
			irq_window();
			break;
		}
	}
	cli();
}

static void ring_member(void *arg)
{
	unsigned int cpu = *(unsigned int *)arg;

	cli();
	for (uint64_t n = 1; n <= rounds && !stuck; n++) {
		wait_for_token(cpu, n);
		passed[cpu] = n;
		pass_token(cpu);
		spend_phase(cpu, n);
	}
	sti();
}

static void start_watch(void)
{
	stuck = false;
	seen_by_watch = 0;
	lapic_write(APIC_TDCR, 0xb);
	lapic_write(APIC_LVT_TIMER, LVT_PERIODIC | VEC_WATCH);
	lapic_write(APIC_TMICT, WATCH_TICKS);
}

static void stop_watch(void)
{
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
	lapic_write(APIC_TMICT, 0);
}

/* Wakes those that sleep on, so that they see `stuck`. */
static void end_ring(void)
{
	if (stuck)
		lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_OTHERS | VEC_TOKEN, 0);
}

static uint64_t rounds_of(enum how how)
{
	switch (how) {
	case HALTING:
		return rounds_wanted;
	case PHASED:
		/* Then each CPU has had all phases. */
		return rounds_wanted < cpus * PHASES ? rounds_wanted : cpus * PHASES;
	default:
		return rounds_wanted / ROUNDS_BUSY;
	}
}

static void ring(unsigned int size, enum how how, const char *text)
{
	static unsigned int index[MAX_CPUS];
	bool ended = true;

	cpus = size;
	waiting = how;
	rounds = rounds_of(how);
	early = 0;
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		tokens[i] = passed[i] = 0;
	for (unsigned int i = 1; i < size; i++) {
		index[i] = i;
		on_cpu_async(i, ring_member, &index[i]);
	}
	start_watch();
	cli();
	for (uint64_t n = 1; n <= rounds && !stuck; n++) {
		pass_token(0);
		spend_phase(0, n);
		wait_for_token(0, n);
		passed[0] = n;
	}
	end_ring();
	for (unsigned int i = 1; i < size; i++)
		ended = on_cpu_wait(i) && ended;
	stop_watch();
	irq_window();
	report(!stuck && ended && tokens[0] == rounds && tokens[size - 1] == rounds && early == 0,
	       "a ring of %u CPUs, %s: every wake-up arrives, and once", size, text);
	if (stuck)
		report_info("stuck after %lu of %lu rounds", passed[0], rounds);
	if (early != 0)
		report_info("%lu interrupts between STI and HLT", early);
}

/* An interrupt waits already when this CPU halts. */
static void halt_in_shadow(void *arg)
{
	(void)arg;
	cli();
	for (uint64_t n = 1; n <= SHADOWS; n++) {
		lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_TOKEN, 0);
		spend(1 + n * n % 89);	/* out of step with the other CPU */
		halt();
	}
	sti();
	shadows_done = true;
}

/* Exceptions, and exits where there is a hypervisor: another CPU's STI holds interrupts back all the same. */
static void make_exceptions(void *arg)
{
	(void)arg;
	while (!shadows_done) {
		try_begin();
		__asm__ volatile(TRY("ud2") : : : "memory");
		(void)cpuid(0, 0);
	}
}

static void shadow(unsigned int cpu)
{
	bool ended;

	tokens[cpu] = 0;
	early = 0;
	shadows_done = false;
	if (cpu == 0) {
		on_cpu_async(1, make_exceptions, NULL);
		halt_in_shadow(NULL);
	} else {
		on_cpu_async(cpu, halt_in_shadow, NULL);
		make_exceptions(NULL);
	}
	ended = on_cpu_wait(1);
	report(ended && tokens[cpu] == SHADOWS && early == 0, "CPU %u: nothing comes between STI and HLT", cpu);
	if (early != 0)
		report_info("%lu interrupts between STI and HLT", early);
}

static void read_device(void *wrong)
{
	for (uint64_t n = 0; n < rounds; n++) {
		if ((inb(DEVICE_PORT) & 0xc0) != 0)	/* no parity, no channel check */
			__atomic_add_fetch((uint64_t *)wrong, 1, __ATOMIC_RELAXED);
	}
}

static void devices(unsigned int size)
{
	uint64_t wrong = 0;
	bool ended = true;

	rounds = rounds_wanted;
	for (unsigned int i = 1; i < size; i++)
		on_cpu_async(i, read_device, &wrong);
	read_device(&wrong);
	for (unsigned int i = 1; i < size; i++)
		ended = on_cpu_wait(i) && ended;
	report(ended && wrong == 0, "all CPUs read a device at once, each answer arrives");
}

static void all_rings(void)
{
	static const struct {
		enum how how;
		const char *text;
	} kinds[] = {
		{ HALTING, "halting" },
		{ PHASED, "halting at any moment" },
		{ WORKING, "working" },
		{ DEAF, "mostly deaf" },
	};

	shadow(0);
	shadow(1);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		ring(2, kinds[i].how, kinds[i].text);
		if (smp_online() > 2)
			ring(smp_online(), kinds[i].how, kinds[i].text);
	}
}

static void send_two_nmis(void *arg)
{
	(void)arg;
	lapic_ipi(ICR_NMI | ICR_ASSERT, apic_ids[0]);
	delay_ticks(20000);
	lapic_ipi(ICR_NMI | ICR_ASSERT, apic_ids[0]);
}

/* The first is in service long before the second is sent, so neither takes the other's place. */
static void test_two_nmis(void)
{
	trap_handler_t old = trap_set_handler(VEC_NMI, trap_handler_nop);

	trap_count_reset(VEC_NMI);
	on_cpu(1, send_two_nmis, NULL);
	delay_ticks(20000);
	report(trap_count(VEC_NMI) == 2, "two NMIs from another CPU, one after the other, are two");
	trap_set_handler(VEC_NMI, old);
}

static void enter_x2apic(void *arg)
{
	(void)arg;
	lapic_enter_x2apic();
}

void test_main(void)
{
	char word[24];
	bool entered = true;

	if (!lapic_present() || smp_expected() < 2) {
		report_skip("one CPU");
		return;
	}
	if (boot_option("rounds", word, sizeof(word)))
		rounds_wanted = parse_number(word);
	trap_set_handler(VEC_TOKEN, token_handler);
	trap_set_handler(VEC_WATCH, watch_handler);
	lapic_enable();
	if (smp_start() < 2) {
		report(false, "the other CPUs come up");
		return;
	}
	for (unsigned int i = 0; i < smp_online(); i++)
		apic_ids[i] = smp_apic_id(i);
	devices(smp_online());
	test_two_nmis();
	report_prefix("xAPIC");
	all_rings();
	report_prefix(NULL);
	if (!lapic_x2apic_supported()) {
		report_skip("no x2APIC");
		return;
	}
	for (unsigned int i = 0; i < smp_online(); i++)
		entered = on_cpu(i, enter_x2apic, NULL) && entered;
	report(entered, "every CPU enters x2APIC mode");
	report_prefix("x2APIC");
	all_rings();
	report_prefix(NULL);
}
