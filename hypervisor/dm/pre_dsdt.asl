/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Source of the bytes in pre_dsdt_aml.h (scripts/aml makes them). What a pre-launched VM's ACPI tells of its devices.
 * \_S5 is the sleep type that dm/vpm.c takes for power-off. C1ST and C2ST are patched by vm_acpi_pre.c: 0 when the VM
 * doesn't have the serial port.
 */
DefinitionBlock ("", "DSDT", 2, "ARIL", "ARILPRE", 1)
{
	Name (\_S5, Package () { 5, 0, 0, 0 })
	Name (\C1ST, 0x0F)
	Name (\C2ST, 0x0F)
	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
				IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0xC000, 0xCFFF, 0, 0x1000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0xD0000000, 0xDFFFFFFF, 0, 0x10000000)
			})
			Name (_PRT, Package ()
			{
				Package () { 0x0001FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0002FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0003FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0004FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0005FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0006FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0007FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0008FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0009FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x000AFFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x000BFFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x000CFFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x000DFFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x000EFFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x000FFFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0010FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0011FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0012FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0013FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0014FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0015FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0016FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0017FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x0018FFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x0019FFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x001AFFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x001BFFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x001CFFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x001DFFFF, 0, \_SB.LNKB, 0 },
				Package () { 0x001EFFFF, 0, \_SB.LNKA, 0 },
				Package () { 0x001FFFFF, 0, \_SB.LNKB, 0 }
			})
		}
		/* The two lines of <dm/vpci.h>: fixed, level, active high, so that PIC and I/O APIC agree. */
		Device (LNKA)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 1)
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 10 }
			})
			Method (_CRS, 0, NotSerialized) { Return (_PRS) }
			Method (_SRS, 1, NotSerialized) { }
			Method (_DIS, 0, NotSerialized) { }
		}
		Device (LNKB)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 2)
			Name (_PRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 11 }
			})
			Method (_CRS, 0, NotSerialized) { Return (_PRS) }
			Method (_SRS, 1, NotSerialized) { }
			Method (_DIS, 0, NotSerialized) { }
		}
		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xFED00000, 0x00000400) })
		}
		/* The memory of MCFG: a bridge's own memory is not among what it produces (PCI Firmware 3.2, 4.1.2). */
		Device (ECAM)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xE0000000, 0x00100000) })
		}
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Method (_STA, 0, NotSerialized) { Return (\C1ST) }
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 0, 8)
				IRQNoFlags () { 4 }
			})
		}
		Device (COM2)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 2)
			Method (_STA, 0, NotSerialized) { Return (\C2ST) }
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x02F8, 0x02F8, 0, 8)
				IRQNoFlags () { 3 }
			})
		}
		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 0, 2)
				IRQNoFlags () { 8 }
			})
		}
	}
}
