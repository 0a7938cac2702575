/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Source of the bytes in dsdt_aml.h (scripts/aml makes them). \_S5 is the sleep type that dev_pm.c takes for power-off;
 * QEMU0001 is the device by which Linux reports a panic (CONFIG_PVPANIC_MMIO). The PCI bus is empty but for functions
 * of the hypervisor's (connections), from slot 16 on; window and interrupts are those of VPCI_USER_* in <dm/vpci.h>.
 */
DefinitionBlock ("", "DSDT", 2, "ARIL", "ARILVM", 1)
{
	Name (\_S5, Package () { 5, 5, 0, 0 })
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
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0xD1000000, 0xDFFFFFFF, 0, 0x0F000000)
			})
			Name (_PRT, Package ()
			{
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
		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0520, 0x0520, 1, 1)
			})
		}
	}
}
