/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Source of the bytes in service_bus_aml.h (scripts/aml makes them): what the Service VM is told of the PCI bus which
 * the hypervisor gives it beside the machine's. The window's size and the numbers 0xA....... stand for what is known at
 * boot only: vm_acpi_bus.c replaces them.
 */
DefinitionBlock ("", "SSDT", 2, "ARIL", "ARILBUS", 1)
{
	Scope (\_SB)
	{
		Device (ARB0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0x41520000)
			Name (_SEG, 0xA11A0003)
			Name (_BBN, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0xA2200000, 0xA3355FFF, 0, 0x01156000)
			})
			Name (_PRT, Package ()
			{
				Package () { 0x0001FFFF, 0, \_SB.ARB0.LNKB, 0 },
				Package () { 0x0002FFFF, 0, \_SB.ARB0.LNKA, 0 },
				Package () { 0x0003FFFF, 0, \_SB.ARB0.LNKB, 0 },
				Package () { 0x0004FFFF, 0, \_SB.ARB0.LNKA, 0 },
				Package () { 0x0005FFFF, 0, \_SB.ARB0.LNKB, 0 },
				Package () { 0x0006FFFF, 0, \_SB.ARB0.LNKA, 0 },
				Package () { 0x0007FFFF, 0, \_SB.ARB0.LNKB, 0 },
				Package () { 0x0008FFFF, 0, \_SB.ARB0.LNKA, 0 },
				Package () { 0x0009FFFF, 0, \_SB.ARB0.LNKB, 0 },
				Package () { 0x000AFFFF, 0, \_SB.ARB0.LNKA, 0 },
				Package () { 0x000BFFFF, 0, \_SB.ARB0.LNKB, 0 },
				Package () { 0x000CFFFF, 0, \_SB.ARB0.LNKA, 0 },
				Package () { 0x000DFFFF, 0, \_SB.ARB0.LNKB, 0 },
				Package () { 0x000EFFFF, 0, \_SB.ARB0.LNKA, 0 },
				Package () { 0x000FFFFF, 0, \_SB.ARB0.LNKB, 0 },
				Package () { 0x0010FFFF, 0, \_SB.ARB0.LNKA, 0 }
			})
			/* Fixed, level, active high: two pins of an I/O APIC that only this bus has. */
			Device (LNKA)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 0x41520001)
				Name (_PRS, ResourceTemplate ()
				{
					Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 0xA11A0001 }
				})
				Method (_CRS, 0, NotSerialized) { Return (_PRS) }
				Method (_SRS, 1, NotSerialized) { }
				Method (_DIS, 0, NotSerialized) { }
			}
			Device (LNKB)
			{
				Name (_HID, EisaId ("PNP0C0F"))
				Name (_UID, 0x41520002)
				Name (_PRS, ResourceTemplate ()
				{
					Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 0xA11A0002 }
				})
				Method (_CRS, 0, NotSerialized) { Return (_PRS) }
				Method (_SRS, 1, NotSerialized) { }
				Method (_DIS, 0, NotSerialized) { }
			}
		}
		/* The memory of MCFG: a bridge's own memory is not among what it produces (PCI Firmware 3.2, 4.1.2). */
		Device (ARBM)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0x41520003)
			Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xA4400000, 0x00100000) })
		}
	}
}
