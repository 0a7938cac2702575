/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space, BARs and INTx lines of a VM's PCI bus. */
#include <dm/vpci.h>
#include <dm/vpci_msix.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

/* The bridge's ids are those of seL4's virtual machines: no driver has quirks for them. */
#define BRIDGE_VENDOR 0x5E14U
#define BRIDGE_DEVICE 0x0042U
#define BRIDGE_CLASS  0x060000U

#define MEM_FLAGS 0xFU
#define IO_FLAGS  0x3U

/* ---- Registers ---- */

static uint32_t get(const uint8_t *at, uint32_t size)
{
	uint32_t value = 0U;

	(void)memcpy(&value, at, size);
	return value;
}

static void put(uint8_t *at, uint32_t size, uint32_t value)
{
	(void)memcpy(at, &value, size);
}

static uint32_t bar_flags(const struct vpci_bar *bar)
{
	return ((bar->kind & PCI_BAR_IO) != 0U) ? IO_FLAGS : MEM_FLAGS;
}

static bool is_io(const struct vpci_bar *bar)
{
	return (bar->kind & PCI_BAR_IO) != 0U;
}

static bool is_64bit(const struct vpci_bar *bar)
{
	return !is_io(bar) && ((bar->kind & PCI_BAR_MEM64) != 0U);
}

static uint8_t *bar_register(struct vpci_function *fn, uint32_t index)
{
	return &fn->config[PCI_BAR0 + 4U * index];
}

static uint32_t line_gsi(const struct vpci *bus, uint32_t slot)
{
	return bus->place->gsi[slot % VPCI_LINES];
}

/* ---- Building a function ---- */

void vpci_function_init(struct vpci_function *fn, uint16_t vendor, uint16_t device, uint32_t class_code,
	uint8_t revision, bool has_intx, const struct vpci_ops *ops)
{
	(void)memset(fn, 0, sizeof(*fn));
	fn->ops = ops;
	fn->next_cap = PCI_FIRST_CAP;
	put(&fn->config[PCI_VENDOR], 2U, vendor);
	put(&fn->config[PCI_DEVICE], 2U, device);
	fn->config[PCI_REVISION] = revision;
	put(&fn->config[PCI_CLASS], 3U, class_code);
	put(&fn->writable[PCI_COMMAND], 2U, PCI_CMD_MASTER | (has_intx ? PCI_CMD_INTX_OFF : 0U));
	fn->writable[PCI_CACHE_LINE] = 0xFFU;
	if (has_intx) {
		fn->config[PCI_INT_PIN] = 1U;
		fn->writable[PCI_INT_LINE] = 0xFFU;
	}
}

void vpci_function_add_bar(struct vpci_function *fn, uint32_t index, uint32_t size, uint32_t kind)
{
	struct vpci_bar *bar = &fn->bar[index];

	bar->size = size;
	bar->kind = kind;
	put(bar_register(fn, index), 4U, kind);
	/* Sizing needs no more: ones that are written stay only where an address can differ. */
	put(&fn->writable[PCI_BAR0 + 4U * index], 4U, ~(size - 1U) & ~bar_flags(bar));
	if (is_64bit(bar)) {
		put(&fn->writable[PCI_BAR0 + 4U * index + 4U], 4U, ~0U);
	}
	fn->writable[PCI_COMMAND] |= is_io(bar) ? PCI_CMD_IO : PCI_CMD_MEM;
}

uint32_t vpci_function_add_cap(struct vpci_function *fn, uint8_t id, uint32_t size)
{
	const uint32_t at = fn->next_cap;

	if (at + size > VPCI_CONFIG) {
		return 0U;
	}
	fn->config[at] = id;
	fn->config[at + 1U] = fn->config[PCI_CAP_POINTER];
	fn->config[PCI_CAP_POINTER] = (uint8_t)at;
	fn->config[PCI_STATUS] |= PCI_STA_CAPS;
	fn->next_cap = (at + size + 3U) & ~3U;
	return at;
}

/* ---- Where the BARs are ---- */

/* @return where the registers say it is; 0: not decoded, or not in its window */
static uint32_t decoded_at(const struct vpci_place *place, struct vpci_function *fn, uint32_t index)
{
	const struct vpci_bar *bar = &fn->bar[index];
	const uint32_t command = get(&fn->config[PCI_COMMAND], 2U);
	const uint32_t at = get(bar_register(fn, index), 4U) & ~bar_flags(bar);
	const uint32_t base = is_io(bar) ? place->io_base : place->mem_base;
	const uint32_t size = is_io(bar) ? place->io_size : place->mem_size;

	if ((bar->size == 0U) || ((command & (is_io(bar) ? PCI_CMD_IO : PCI_CMD_MEM)) == 0U)) {
		return 0U;
	}
	if (is_64bit(bar) && (get(bar_register(fn, index + 1U), 4U) != 0U)) {
		return 0U;
	}
	return ((at >= base) && (size >= bar->size) && (at - base <= size - bar->size)) ? at : 0U;
}

/*
 * The tables of routes are a sequence lock's: written under the bus lock, read by vpci_find() without. Each word is
 * stored with release and loaded with acquire, which cost nothing on x86 (SDM vol 3, 9.2.2): who sees a word that was
 * stored while `seq` was odd sees that it is not what it was.
 */

static struct vpci_route route_get(const struct vpci_routes *routes, uint32_t index)
{
	struct vpci_route route;

	__atomic_load(&routes->route[index], &route, __ATOMIC_ACQUIRE);
	return route;
}

static void route_set(struct vpci_routes *routes, uint32_t index, struct vpci_route route)
{
	__atomic_store(&routes->route[index], &route, __ATOMIC_RELEASE);
}

static uint32_t route_count(const struct vpci_routes *routes)
{
	return __atomic_load_n(&routes->count, __ATOMIC_ACQUIRE);
}

static void route_set_count(struct vpci_routes *routes, uint32_t count)
{
	__atomic_store_n(&routes->count, count, __ATOMIC_RELEASE);
}

/* @return the address behind it */
static uint32_t route_end(struct vpci_route route)
{
	return route.base + (1U << route.shift);
}

/* @return index of the first of `count` routes that ends above `at` */
static uint32_t route_above(const struct vpci_routes *routes, uint32_t count, uint32_t at)
{
	uint32_t low = 0U;
	uint32_t high = count;

	while (low < high) {
		const uint32_t mid = (low + high) / 2U;

		if (route_end(route_get(routes, mid)) > at) {
			high = mid;
		} else {
			low = mid + 1U;
		}
	}
	return low;
}

/* @return false: another BAR is there. Two at one address are the guest's mistake; the lower slot has it. */
static bool route_insert(struct vpci_routes *routes, struct vpci_route route)
{
	const uint32_t count = route_count(routes);
	const uint32_t at = route_above(routes, count, route.base);

	if ((at < count) && (route_get(routes, at).base < route_end(route))) {
		return false;
	}
	for (uint32_t i = count; i > at; i--) {
		route_set(routes, i, route_get(routes, i - 1U));
	}
	route_set(routes, at, route);
	route_set_count(routes, count + 1U);
	return true;
}

/* @return true if memory behind the BAR is now elsewhere */
static bool place_bar(struct vpci *bus, struct vpci_function *fn, uint32_t index)
{
	struct vpci_bar *bar = &fn->bar[index];
	const uint32_t before = bar->at;
	const uint32_t at = decoded_at(bus->place, fn, index);
	struct vpci_route route = {.base = at, .slot = (uint8_t)fn->slot, .bar = (uint8_t)index};

	bar->at = 0U;
	if (at != 0U) {
		route.shift = (uint8_t)ffs64(bar->size);
		bar->at = route_insert(is_io(bar) ? &bus->io : &bus->mem, route) ? at : 0U;
	}
	return (bar->hpa != 0UL) && (bar->at != before);
}

/* Bus lock held, or the VM is being made. */
static void update_routes(struct vpci *bus)
{
	bool moved = false;

	__atomic_store_n(&bus->seq, bus->seq + 1U, __ATOMIC_RELAXED); /* odd before the first change, by its release */
	route_set_count(&bus->mem, 0U);
	route_set_count(&bus->io, 0U);
	for (uint32_t slot = 0U; slot < VPCI_SLOTS; slot++) {
		struct vpci_function *fn = bus->slot[slot];

		for (uint32_t i = 0U; (fn != NULL) && (i < VPCI_BARS); i++) {
			moved = place_bar(bus, fn, i) || moved;
		}
	}
	__atomic_store_n(&bus->seq, bus->seq + 1U, __ATOMIC_RELEASE);
	if (moved) {
		bus->ops->map_changed(bus->vm);
	}
}

static bool route_find(const struct vpci_routes *routes, uint32_t at, uint32_t size, struct vpci_route *found)
{
	const uint32_t count = MIN(route_count(routes), VPCI_ROUTES);
	const uint32_t index = route_above(routes, count, at);

	if (index == count) {
		return false;
	}
	*found = route_get(routes, index);
	return found->base < at + size;
}

int32_t vpci_find(struct vpci *bus, bool is_port, uint32_t at, uint32_t size, struct vpci_hit *hit)
{
	const struct vpci_routes *routes = is_port ? &bus->io : &bus->mem;
	struct vpci_route route;
	uint32_t before;
	bool found;

	do {
		before = __atomic_load_n(&bus->seq, __ATOMIC_ACQUIRE);
		found = route_find(routes, at, size, &route);
	} while (((before & 1U) != 0U) || (__atomic_load_n(&bus->seq, __ATOMIC_RELAXED) != before));
	if (!found) {
		return -ENODEV;
	}
	if ((at < route.base) || (at + size > route_end(route))) {
		return -EIO;
	}
	*hit = (struct vpci_hit){bus->slot[route.slot], route.bar, at - route.base};
	return 0;
}

/* ---- Lines ---- */

/* Bus lock held. */
static bool asserts_line(const struct vpci_function *fn)
{
	return fn->intx && ((get(&fn->config[PCI_COMMAND], 2U) & PCI_CMD_INTX_OFF) == 0U) && !vpci_msix_enabled(fn);
}

/* Bus lock held. The function's line is asserted while one of those who share it asserts. */
static void update_line(struct vpci *bus, uint32_t slot)
{
	const uint32_t gsi = line_gsi(bus, slot);
	bool asserted = false;

	for (uint32_t i = slot % VPCI_LINES; i < VPCI_SLOTS; i += VPCI_LINES) {
		const struct vpci_function *fn = bus->slot[i];

		asserted = asserted || ((fn != NULL) && asserts_line(fn));
	}
	bus->ops->set_line(bus->vm, gsi, asserted);
}

void vpci_set_intx(struct vpci_function *fn, bool asserted)
{
	struct vpci *bus = fn->bus;

	spin_lock(&bus->lock);
	if (fn->intx != asserted) {
		fn->intx = asserted;
		fn->config[PCI_STATUS] =
			(uint8_t)((fn->config[PCI_STATUS] & ~PCI_STA_INTX) | (asserted ? PCI_STA_INTX : 0U));
		update_line(bus, fn->slot);
	}
	spin_unlock(&bus->lock);
}

/* ---- Configuration space ---- */

bool vpci_has_slot(const struct vpci *bus, uint32_t devfn)
{
	return bus->slot[(devfn >> 3U) % VPCI_SLOTS] != NULL;
}

/* There are no multi-function devices. */
static struct vpci_function *function_at(struct vpci *bus, uint32_t devfn)
{
	return ((devfn & 7U) == 0U) ? bus->slot[(devfn >> 3U) % VPCI_SLOTS] : NULL;
}

static uint32_t ones(uint32_t size)
{
	return ~0U >> (32U - 8U * size);
}

uint32_t vpci_config_read(struct vpci *bus, uint32_t devfn, uint32_t offset, uint32_t size)
{
	const struct vpci_function *fn = function_at(bus, devfn);
	uint32_t value;

	if ((fn == NULL) || (offset + size > VPCI_CONFIG)) {
		return ones(size); /* beyond 256 bytes, too: these are no PCI Express functions */
	}
	spin_lock(&bus->lock);
	value = get(&fn->config[offset], size);
	spin_unlock(&bus->lock);
	return value;
}

void vpci_config_write(struct vpci *bus, uint32_t devfn, uint32_t offset, uint32_t size, uint32_t value)
{
	struct vpci_function *fn = function_at(bus, devfn);

	if ((fn == NULL) || (offset + size > VPCI_CONFIG)) {
		return;
	}
	spin_lock(&bus->lock);
	for (uint32_t i = 0U; i < size; i++) {
		const uint8_t mask = fn->writable[offset + i];

		fn->config[offset + i] = (uint8_t)((fn->config[offset + i] & ~mask) | ((value >> (8U * i)) & mask));
	}
	if ((offset < PCI_BAR0 + 4U * VPCI_BARS) && (offset + size > PCI_COMMAND)) {
		update_routes(bus);
	}
	if (fn->msix != NULL) {
		vpci_msix_update(fn);
	}
	update_line(bus, fn->slot);
	spin_unlock(&bus->lock);
}

/* ---- The bus ---- */

/* What firmware does: BARs where they were put at first, decoding on. */
static void set_up(struct vpci_function *fn)
{
	for (uint32_t i = 0U; i < VPCI_CONFIG; i++) {
		fn->config[i] &= (uint8_t)~fn->writable[i];
	}
	for (uint32_t i = 0U; i < VPCI_BARS; i++) {
		if (fn->bar[i].size != 0U) {
			put(bar_register(fn, i), 4U, fn->bar[i].home | fn->bar[i].kind);
		}
	}
	fn->config[PCI_COMMAND] |= fn->writable[PCI_COMMAND] & (PCI_CMD_IO | PCI_CMD_MEM);
	if (fn->config[PCI_INT_PIN] != 0U) {
		fn->config[PCI_INT_LINE] = (uint8_t)line_gsi(fn->bus, fn->slot);
	}
	fn->intx = false;
	fn->config[PCI_STATUS] &= (uint8_t)~PCI_STA_INTX;
	if (fn->msix != NULL) {
		vpci_msix_reset(fn->msix);
	}
}

/* @return the lowest place in the window that no BAR has as its home, aligned to `bar`'s size; 0: none */
static uint32_t find_home(const struct vpci *bus, const struct vpci_bar *bar)
{
	const uint32_t base = is_io(bar) ? bus->place->io_base : bus->place->mem_base;
	const uint32_t size = is_io(bar) ? bus->place->io_size : bus->place->mem_size;
	/* Whole pages, each BAR for itself: guests map them. */
	const uint32_t step = is_io(bar) ? bar->size : MAX(bar->size, (uint32_t)PAGE_SIZE);
	uint32_t at = is_io(bar) ? base : MAX(base, bus->floor);

	for (uint32_t i = 0U; i < VPCI_SLOTS * VPCI_BARS; i++) {
		const struct vpci_function *fn = bus->slot[i / VPCI_BARS];
		const struct vpci_bar *other = (fn == NULL) ? NULL : &fn->bar[i % VPCI_BARS];

		/* Homes are given in ascending order: behind all others is free. */
		if ((other != NULL) && (other->home != 0U) && (is_io(other) == is_io(bar))) {
			at = MAX(at, other->home + other->size);
		}
	}
	at = (uint32_t)round_up(at, step);
	return ((size >= bar->size) && (at - base <= size - bar->size)) ? at : 0U;
}

bool vpci_set_floor(struct vpci *bus, uint64_t base)
{
	const struct vpci_place *place = bus->place;

	if ((base != 0UL) && ((base < place->mem_base) || (base - place->mem_base >= place->mem_size))) {
		return false;
	}
	bus->floor = (uint32_t)base;
	return true;
}

int32_t vpci_add(struct vpci *bus, struct vpci_function *fn)
{
	uint32_t slot = bus->place->first_slot;

	while ((slot < VPCI_SLOTS) &&
		((bus->slot[slot] != NULL) || ((fn->gsi != 0U) && (fn->gsi != line_gsi(bus, slot))))) {
		slot++;
	}
	if (slot == VPCI_SLOTS) {
		return -ENOSPC;
	}
	bus->slot[slot] = fn;
	fn->slot = slot;
	fn->bus = bus;
	for (uint32_t i = 0U; i < VPCI_BARS; i++) {
		struct vpci_bar *bar = &fn->bar[i];

		if (bar->size == 0U) {
			continue;
		}
		bar->home = find_home(bus, bar);
		bus->bar_count++;
		if ((bar->home == 0U) || (bus->bar_count > VPCI_ROUTES)) {
			bus->slot[slot] = NULL;
			return -ENOSPC;
		}
	}
	set_up(fn);
	update_routes(bus);
	return 0;
}

void vpci_reset(struct vpci *bus)
{
	spin_lock(&bus->lock); /* the other end of a connection may be sending */
	bus->address = 0U;
	for (uint32_t slot = 0U; slot < VPCI_SLOTS; slot++) {
		if (bus->slot[slot] != NULL) {
			set_up(bus->slot[slot]);
		}
	}
	update_routes(bus);
	update_line(bus, 0U);
	update_line(bus, 1U);
	spin_unlock(&bus->lock);
}

void vpci_init(struct vpci *bus, struct acrn_vm *vm, const struct vpci_bus_ops *ops, const struct vpci_place *place)
{
	(void)memset(bus, 0, sizeof(*bus));
	spinlock_init(&bus->lock);
	bus->vm = vm;
	bus->ops = ops;
	bus->place = place;
	if (!place->shared) {
		vpci_function_init(&bus->bridge, BRIDGE_VENDOR, BRIDGE_DEVICE, BRIDGE_CLASS, 0U, false, NULL);
		bus->slot[0] = &bus->bridge;
		bus->bridge.bus = bus;
	}
}
