/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log in RAM: a ring of text behind a header that can be found again after a warm reset.
 *
 * Lines are collected in the image first. log_move() takes them to the fixed place at the beginning of the memory
 * pool: the same physical address in each boot of one machine, where the log of the boot before may still be.
 */
#include <config.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/log_ring.h>
#include <lib/printf.h>
#include <lib/spinlock.h>
#include <lib/string.h>

#define LINE_MAX       256U
#define PREVIOUS_BYTES 1536U /* of the boot before */

#define EARLY_TEXT 16384U

static union {
	struct log_ring ring;
	uint8_t space[sizeof(struct log_ring) + EARLY_TEXT];
} early = {.ring = {.magic = LOG_RING_MAGIC, .size = EARLY_TEXT, .check = LOG_RING_MAGIC ^ EARLY_TEXT}};

static struct log_ring *ring = &early.ring;
static struct spinlock log_lock;
static bool panicking;

static struct {
	uint64_t window_start; /* ticks */
	uint32_t lines;        /* in this window */
	uint32_t dropped;
} guest_rate[CONFIG_MAX_VM_NUM];
static struct spinlock guest_rate_lock;

static void ring_put(const char *text, size_t len)
{
	for (size_t i = 0U; i < len; i++) {
		ring->text[ring->written % ring->size] = text[i];
		ring->written++;
	}
}

static void keep(const char *line)
{
	if (!__atomic_load_n(&panicking, __ATOMIC_RELAXED)) {
		spin_lock(&log_lock);
		ring_put(line, strlen(line));
		ring_put("\n", 1U);
		spin_unlock(&log_lock);
	} else {
		ring_put(line, strlen(line));
		ring_put("\n", 1U);
	}
}

static int32_t memory_level = CONFIG_LOG_LEVEL_MEMORY; /* until the scenario is read */

void log_set_memory_level(int32_t level)
{
	__atomic_store_n(&memory_level, level, __ATOMIC_RELAXED);
}

static void log_vline(enum log_level level, const char *prefix, const char *fmt, va_list args)
{
	char line[LINE_MAX];
	const size_t start = strlcpy(line, prefix, sizeof(line));

	(void)vsnprintf(line + start, sizeof(line) - start, fmt, args);
	if (((int32_t)level <= __atomic_load_n(&memory_level, __ATOMIC_RELAXED)) ||
		__atomic_load_n(&panicking, __ATOMIC_RELAXED)) {
		keep(line);
	}
	console_log_line(level, line);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const prefix[] = {
		[LOG_ERR] = "error: ", [LOG_WARN] = "warning: ", [LOG_INFO] = "", [LOG_DBG] = "debug: "};
	va_list args;

	va_start(args, fmt);
	log_vline(level, prefix[level], fmt, args);
	va_end(args);
}

/* Counts one line of VM `vm_id`. @return true if it may be written; *dropped: lines dropped before, to be told */
static bool guest_may_log(uint16_t vm_id, uint32_t *dropped)
{
	const uint64_t now = arch_now();
	const uint32_t slot = vm_id % CONFIG_MAX_VM_NUM;
	bool allowed;

	*dropped = 0U;
	spin_lock(&guest_rate_lock);
	if (now - guest_rate[slot].window_start >= (uint64_t)arch_tsc_khz() * 1000UL) {
		*dropped = guest_rate[slot].dropped;
		guest_rate[slot].window_start = now;
		guest_rate[slot].lines = 0U;
		guest_rate[slot].dropped = 0U;
	}
	allowed = guest_rate[slot].lines < CONFIG_LOG_GUEST_PER_SECOND;
	if (allowed) {
		guest_rate[slot].lines++;
	} else {
		guest_rate[slot].dropped++;
	}
	spin_unlock(&guest_rate_lock);
	return allowed;
}

void log_guest(uint16_t vm_id, uint16_t vcpu_id, const char *fmt, ...)
{
	char prefix[32];
	uint32_t dropped;
	va_list args;

	if (!guest_may_log(vm_id, &dropped)) {
		return;
	}
	if (dropped != 0U) {
		log_line(LOG_WARN, "vm%u: %u more lines were dropped (at most %u a second)", vm_id, dropped,
			CONFIG_LOG_GUEST_PER_SECOND);
	}
	(void)snprintf(prefix, sizeof(prefix), "vm%u vcpu%u: ", vm_id, vcpu_id);
	va_start(args, fmt);
	log_vline(LOG_WARN, prefix, fmt, args);
	va_end(args);
}

void log_enter_panic(void)
{
	__atomic_store_n(&panicking, true, __ATOMIC_SEQ_CST);
}

size_t log_read(uint64_t *pos, char *buf, size_t size)
{
	size_t n = 0U;

	spin_lock(&log_lock);
	if (ring->written > ring->size && *pos < ring->written - ring->size) {
		*pos = ring->written - ring->size;
	}
	while (n < size && *pos < ring->written) {
		buf[n++] = ring->text[*pos % ring->size];
		(*pos)++;
	}
	spin_unlock(&log_lock);
	return n;
}

bool log_ring_is_valid(const struct log_ring *old, uint64_t bytes)
{
	return old->magic == LOG_RING_MAGIC && old->size == bytes - sizeof(*old) &&
		old->check == (LOG_RING_MAGIC ^ old->size) && old->written != 0UL;
}

void log_show_previous(const struct log_ring *old)
{
	static char tail[PREVIOUS_BYTES + 1U]; /* too large for the stack */
	const uint64_t bytes = MIN(MIN(old->written, old->size), PREVIOUS_BYTES);
	char *line = tail;

	for (uint64_t i = 0UL; i < bytes; i++) {
		const char c = old->text[(old->written - bytes + i) % old->size];

		tail[i] = (char)((c == '\n' || (c >= ' ' && c <= '~')) ? c : '?');
	}
	tail[bytes] = '\0';
	if (bytes == PREVIOUS_BYTES && strchr(line, '\n') != NULL) {
		line = strchr(line, '\n') + 1; /* begin with a whole line */
	}
	pr_info("the log of the boot before survived in memory; it ended with:");
	while (*line != '\0') {
		char *end = strchr(line, '\n');

		if (end != NULL) {
			*end = '\0';
		}
		if (strncmp(line, "| ", 2U) != 0) { /* not what it had itself from the boot before it */
			pr_info("| %s", line);
		}
		if (end == NULL) {
			break;
		}
		line = end + 1;
	}
}

void log_move(void *place, uint64_t bytes)
{
	struct log_ring *to = place;
	const struct log_ring *from = ring;
	const uint64_t first = from->written > from->size ? from->written - from->size : 0UL;

	spin_lock(&log_lock);
	(void)memset(to, 0, bytes);
	to->size = bytes - sizeof(*to);
	ring = to;
	for (uint64_t pos = first; pos < from->written; pos++) {
		ring_put(&from->text[pos % from->size], 1U);
	}
	to->check = LOG_RING_MAGIC ^ to->size;
	to->magic = LOG_RING_MAGIC;
	spin_unlock(&log_lock);
}
