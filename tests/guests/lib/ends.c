/* SPDX-License-Identifier: BSD-3-Clause */
#include <guests/lib/ends.h>
#include <guests/lib/guest.h>

#define ROUNDS	2000U

struct ends ends;

void ends_begin(uint64_t memory, volatile uint32_t *taken, void (*send)(uint32_t number))
{
	ends = (struct ends){boot_flag("first"), (volatile struct ends_shared *)memory, taken, send};
}

bool ends_meet(void)
{
	uint64_t start = rdtsc();
	uint32_t now = ++ends.shared->step[ends.first];

	while (ends.shared->step[!ends.first] < now) {
		if (rdtsc() - start > ENDS_PATIENCE)
			return false;
		irq_window();
		cpu_pause();
	}
	return true;
}

bool ends_wait(uint32_t count)
{
	uint64_t start = rdtsc();

	while (*ends.taken < count) {
		if (rdtsc() - start > ENDS_PATIENCE)
			return false;
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
	return true;
}

void ends_test_text(void)
{
	volatile uint32_t *text = ends.shared->text;
	bool ok = true;

	for (unsigned int i = 0; i < 32; i++)
		text[(ends.first ? 0 : 32) + i] = (ends.first ? 0x1000 : 0x2000) + i;
	report(ends_meet(), "the other end is there");
	for (unsigned int i = 0; i < 32; i++)
		ok = ok && text[(ends.first ? 32 : 0) + i] == (ends.first ? 0x2000 : 0x1000) + i;
	report(ok, "each sees what the other has written");
}

void ends_test_to_and_fro(void)
{
	char text[16];
	uint32_t rounds = boot_option("rounds", text, sizeof(text)) ? (uint32_t)parse_number(text) : ROUNDS;
	uint32_t before = *ends.taken, i;

	(void)ends_meet();
	for (i = 0; i < rounds; i++) {
		if (ends.first)
			ends.send(i);
		if (!ends_wait(before + i + 1))
			break;
		if (!ends.first)
			ends.send(i);
	}
	report(i == rounds, "%u events to and fro, asleep in between", rounds);
	report(*ends.taken - before == rounds, "not one more");
}

bool ends_is_second_life(void)
{
	return !ends.first && ends.shared->lives == 1;
}

void ends_second_life(void)
{
	uint32_t before = *ends.taken;

	ends.shared->lives = 2;
	(void)ends_meet();
	report(ends_wait(before + 1), "after its reset an end hears events");
	while (ends.shared->lives != 3)
		irq_window();
	ends.shared->lives = 4;
}

/* Sends while the other's life is @life. Returns how often. */
static uint32_t send_while(uint32_t life, void (*send)(uint32_t number))
{
	uint64_t start = rdtsc();
	uint32_t sent = 0;

	ends.shared->lives = life;
	if (life == 1)
		(void)ends_meet();
	while (ends.shared->lives == life && rdtsc() - start < ENDS_PATIENCE)
		send(sent++);
	return sent;
}

void ends_test_reset(void (*send)(uint32_t number))
{
	if (!ends.first) {
		report(ends_meet(), "the first is ready for a reset");
		outb(0xcf9, 0x06);
		for (;;)
			__asm__ volatile("hlt");
	}
	report(send_while(1, send) != 0 && ends.shared->lives == 2, "the other end resets while events come");
	report(ends_meet(), "and comes back");
	(void)send_while(3, ends.send);
	report(ends.shared->lives == 4, "it hears events again");
	for (uint32_t i = 0; i < 2000; i++)
		ends.send(i);
	report(true, "it goes while events come");
}
