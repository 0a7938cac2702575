/* SPDX-License-Identifier: BSD-3-Clause */
/* Uses memory whose mapping the Service VM changes meanwhile, on all CPUs: see <guests/lib/maps.h>. A User VM only. */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/maps.h>
#include <guests/lib/smp.h>

const char subject_name[] = "maps";

static struct maps_shared *const shared = (struct maps_shared *)MAPS_SHARED_GPA;
static volatile uint64_t *const window = (volatile uint64_t *)MAPS_WINDOW_GPA;

static void read_window(struct maps_cpu *me)
{
	uint64_t wanted = __atomic_load_n(&shared->epoch, __ATOMIC_ACQUIRE);
	uint64_t found = *window;

	if (found < wanted) {
		me->found = found;
		me->wanted = wanted;
		me->stale = me->stale + 1;
	}
}

/*
 * An element from a register that the hypervisor emulates: it writes the memory in the guest's place. The timer's
 * count is another one each time, so that each write shows.
 */
static void write_emulated(volatile uint64_t *to)
{
	uint64_t from = lapic_base() + APIC_TMCCT;
	uint64_t at = (uint64_t)to;

	__asm__ volatile("movsl" : "+S"(from), "+D"(at) : : "memory");
}

static void work(void *arg)
{
	unsigned int cpu = *(unsigned int *)arg;
	struct maps_cpu *me = &shared->cpu[cpu];
	volatile uint64_t *mine = window + 8U * (1U + cpu);
	uint32_t n = 0;

	lapic_write(APIC_TMICT, ~0U);
	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_ACQ_REL);
	for (;;) {
		switch (shared->task) {
		case MAPS_READ:
			read_window(me);
			break;
		case MAPS_WRITE:
			*mine = ++n;
			break;
		case MAPS_WRITE_EMULATED:
			write_emulated(mine);
			break;
		default:
			return;
		}
		me->turns = me->turns + 1;
	}
}

void test_main(void)
{
	static unsigned int index[MAX_CPUS];
	unsigned int count;

	lapic_enable();
	count = smp_start();
	report(count == smp_expected() && count <= MAPS_CPUS, "all CPUs are there");
	shared->task = MAPS_READ;
	for (unsigned int i = 1; i < count; i++) {
		index[i] = i;
		on_cpu_async(i, work, &index[i]);
	}
	work(&index[0]);
	for (unsigned int i = 1; i < count; i++)
		report(on_cpu_wait(i), "CPU %u comes to an end", i);
}
