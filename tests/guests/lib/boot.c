/* SPDX-License-Identifier: BSD-3-Clause */
/* What the boot loader gave: multiboot 1 information (Multiboot Specification 0.6.96, 3.3). */
#include <guests/lib/guest.h>

#define MB_BOOT_MAGIC	0x2badb002U
#define MB_INFO_CMDLINE	0x4U
#define MB_INFO_MODS	0x8U
#define MB_INFO_MMAP	0x40U

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
};

struct mb_module {
	uint32_t start, end, string, reserved;
};

struct mb_mmap {
	uint32_t size;
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

extern uint32_t boot_magic, boot_info;

static const struct mb_info *info_with(uint32_t flag)
{
	const struct mb_info *info = (const struct mb_info *)(uintptr_t)boot_info;

	if (boot_magic != MB_BOOT_MAGIC || (info->flags & flag) == 0)
		return NULL;
	return info;
}

const char *boot_cmdline(void)
{
	const struct mb_info *info = info_with(MB_INFO_CMDLINE);

	return info == NULL ? "" : (const char *)(uintptr_t)info->cmdline;
}

/* The word at @p that starts with @key: what stands behind it, else NULL; *next = the next word. */
static const char *match_word(const char *p, const char *key, const char **next)
{
	size_t len = strlen(key);
	const char *found = strncmp(p, key, len) == 0 ? p + len : NULL;

	while (*p != '\0' && *p != ' ')
		p++;
	while (*p == ' ')
		p++;
	*next = p;
	return found;
}

bool boot_option(const char *key, char *buf, size_t size)
{
	const char *p = boot_cmdline(), *next;

	for (; *p != '\0'; p = next) {
		const char *value = match_word(p, key, &next);
		size_t n = 0;

		if (value == NULL || *value != '=')
			continue;
		for (value++; *value != '\0' && *value != ' ' && n + 1 < size; value++)
			buf[n++] = *value;
		buf[n] = '\0';
		return true;
	}
	return false;
}

bool boot_flag(const char *word)
{
	const char *p = boot_cmdline(), *next;

	for (; *p != '\0'; p = next) {
		const char *end = match_word(p, word, &next);

		if (end != NULL && (*end == '\0' || *end == ' '))
			return true;
	}
	return false;
}

unsigned int boot_module_count(void)
{
	const struct mb_info *info = info_with(MB_INFO_MODS);

	return info == NULL ? 0 : info->mods_count;
}

struct boot_module boot_module_get(unsigned int index)
{
	const struct mb_info *info = info_with(MB_INFO_MODS);
	struct boot_module mod = { 0, 0, "" };

	if (info != NULL && index < info->mods_count) {
		const struct mb_module *m =
			(const struct mb_module *)(uintptr_t)info->mods_addr + index;

		mod.start = m->start;
		mod.end = m->end;
		if (m->string != 0)
			mod.args = (const char *)(uintptr_t)m->string;
	}
	return mod;
}

uint64_t boot_ram_top(void)
{
	const struct mb_info *info = info_with(MB_INFO_MMAP);
	uint64_t top = 0;

	if (info == NULL)
		return 0;
	for (uint32_t at = 0; at < info->mmap_length;) {
		const struct mb_mmap *m =
			(const struct mb_mmap *)(uintptr_t)(info->mmap_addr + at);

		if (m->type == 1 && m->base < 0x100000000UL && m->base + m->length > top)
			top = m->base + m->length;
		at += m->size + 4;
	}
	return top;
}
