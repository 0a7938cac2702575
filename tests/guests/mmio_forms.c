/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instructions on forwarded device memory, of all widths but 32 bits (mmio.c has those): each form runs on memory and
 * on the test device's scratch, which behaves like it (devicemodel-stub/dev_test.c), and must leave the same registers,
 * flags, bytes, and vector registers. SDM vol. 2.
 */
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>

const char subject_name[] = "mmio_forms";

#define TEST_PORT 0x500
#define REG_ID    0x18
#define ID_VALUE  0x44545241U
#define SCRATCH   0xd0001000UL
#define AREA      256U /* bytes that are compared; RSI points to their middle */
#define MIDDLE    128U

/* What a form needs of the CPU. */
enum { NEED_NOTHING, NEED_SSE, NEED_AVX };

/*
 * number, need, name, instructions. RSI: the device; R14: 64 bytes of memory, for the other operand and for vectors. (A
 * move of quadwords to less than 8 bytes further on is what the simulator gets wrong on memory.)
 */
#define FORMS(X) \
	X(0, 0, "MOV m8, r", "movb %al, (%rsi)") \
	X(1, 0, "MOV r, m8", "movb (%rsi), %al") \
	X(2, 0, "MOV m8, imm", "movb $-0x6b, (%rsi)") \
	X(3, 0, "ADD m8, r", "addb %al, (%rsi)") \
	X(4, 0, "ADD r, m8", "addb (%rsi), %al") \
	X(5, 0, "ADD m8, imm", "addb $-5, (%rsi)") \
	X(6, 0, "OR m8, r", "orb %al, (%rsi)") \
	X(7, 0, "OR r, m8", "orb (%rsi), %al") \
	X(8, 0, "OR m8, imm", "orb $-5, (%rsi)") \
	X(9, 0, "ADC m8, r", "adcb %al, (%rsi)") \
	X(10, 0, "ADC r, m8", "adcb (%rsi), %al") \
	X(11, 0, "ADC m8, imm", "adcb $-5, (%rsi)") \
	X(12, 0, "SBB m8, r", "sbbb %al, (%rsi)") \
	X(13, 0, "SBB r, m8", "sbbb (%rsi), %al") \
	X(14, 0, "SBB m8, imm", "sbbb $-5, (%rsi)") \
	X(15, 0, "AND m8, r", "andb %al, (%rsi)") \
	X(16, 0, "AND r, m8", "andb (%rsi), %al") \
	X(17, 0, "AND m8, imm", "andb $-5, (%rsi)") \
	X(18, 0, "SUB m8, r", "subb %al, (%rsi)") \
	X(19, 0, "SUB r, m8", "subb (%rsi), %al") \
	X(20, 0, "SUB m8, imm", "subb $-5, (%rsi)") \
	X(21, 0, "XOR m8, r", "xorb %al, (%rsi)") \
	X(22, 0, "XOR r, m8", "xorb (%rsi), %al") \
	X(23, 0, "XOR m8, imm", "xorb $-5, (%rsi)") \
	X(24, 0, "CMP m8, r", "cmpb %al, (%rsi)") \
	X(25, 0, "CMP r, m8", "cmpb (%rsi), %al") \
	X(26, 0, "CMP m8, imm", "cmpb $-5, (%rsi)") \
	X(27, 0, "TEST m8, r", "testb %al, (%rsi)") \
	X(28, 0, "TEST m8, imm", "testb $0x41, (%rsi)") \
	X(29, 0, "LOCK INC m8", "lock incb (%rsi)") \
	X(30, 0, "LOCK DEC m8", "lock decb (%rsi)") \
	X(31, 0, "LOCK NOT m8", "lock notb (%rsi)") \
	X(32, 0, "LOCK NEG m8", "lock negb (%rsi)") \
	X(33, 0, "XCHG m8", "xchgb %al, (%rsi)") \
	X(34, 0, "LOCK XADD m8", "lock xaddb %cl, (%rsi)") \
	X(35, 0, "CMPXCHG m8, unequal", "cmpxchgb %cl, (%rsi)") \
	X(36, 0, "CMPXCHG m8, equal", "movb (%rsi), %al\n\tlock cmpxchgb %cl, (%rsi)") \
	X(37, 0, "LODS, 8 bits", "lodsb") \
	X(38, 0, "STOS down, 8 bits", "std\n\tmovq %rsi, %rdi\n\tmovl $3, %ecx\n\trep stosb\n\tcld") \
	X(39, 0, "REP STOS, 8 bits", "movq %rsi, %rdi\n\tmovl $7, %ecx\n\trep stosb") \
	X(40, 0, "REP MOVS from it, 8 bits", "movq %r14, %rdi\n\tmovl $7, %ecx\n\trep movsb") \
	X(41, 0, "REP MOVS to it, 8 bits", "movq %rsi, %rdi\n\tmovq %r14, %rsi\n\tmovl $7, %ecx\n\trep movsb") \
	X(42, 0, "REP MOVS within it, 8 bits", "leaq 3(%rsi), %rdi\n\tmovl $7, %ecx\n\trep movsb") \
	X(43, 0, "REPE CMPS, 8 bits", "movq %r14, %rdi\n\tmovl $7, %ecx\n\trepe cmpsb") \
	X(44, 0, "REPNE SCAS, 8 bits", "movq %rsi, %rdi\n\tmovl $7, %ecx\n\trepne scasb") \
	X(45, 0, "MOV m16, r", "movw %ax, (%rsi)") \
	X(46, 0, "MOV r, m16", "movw (%rsi), %ax") \
	X(47, 0, "MOV m16, imm", "movw $-0x6b, (%rsi)") \
	X(48, 0, "ADD m16, r", "addw %ax, (%rsi)") \
	X(49, 0, "ADD r, m16", "addw (%rsi), %ax") \
	X(50, 0, "ADD m16, imm", "addw $-5, (%rsi)") \
	X(51, 0, "OR m16, r", "orw %ax, (%rsi)") \
	X(52, 0, "OR r, m16", "orw (%rsi), %ax") \
	X(53, 0, "OR m16, imm", "orw $-5, (%rsi)") \
	X(54, 0, "ADC m16, r", "adcw %ax, (%rsi)") \
	X(55, 0, "ADC r, m16", "adcw (%rsi), %ax") \
	X(56, 0, "ADC m16, imm", "adcw $-5, (%rsi)") \
	X(57, 0, "SBB m16, r", "sbbw %ax, (%rsi)") \
	X(58, 0, "SBB r, m16", "sbbw (%rsi), %ax") \
	X(59, 0, "SBB m16, imm", "sbbw $-5, (%rsi)") \
	X(60, 0, "AND m16, r", "andw %ax, (%rsi)") \
	X(61, 0, "AND r, m16", "andw (%rsi), %ax") \
	X(62, 0, "AND m16, imm", "andw $-5, (%rsi)") \
	X(63, 0, "SUB m16, r", "subw %ax, (%rsi)") \
	X(64, 0, "SUB r, m16", "subw (%rsi), %ax") \
	X(65, 0, "SUB m16, imm", "subw $-5, (%rsi)") \
	X(66, 0, "XOR m16, r", "xorw %ax, (%rsi)") \
	X(67, 0, "XOR r, m16", "xorw (%rsi), %ax") \
	X(68, 0, "XOR m16, imm", "xorw $-5, (%rsi)") \
	X(69, 0, "CMP m16, r", "cmpw %ax, (%rsi)") \
	X(70, 0, "CMP r, m16", "cmpw (%rsi), %ax") \
	X(71, 0, "CMP m16, imm", "cmpw $-5, (%rsi)") \
	X(72, 0, "TEST m16, r", "testw %ax, (%rsi)") \
	X(73, 0, "TEST m16, imm", "testw $0x41, (%rsi)") \
	X(74, 0, "LOCK INC m16", "lock incw (%rsi)") \
	X(75, 0, "LOCK DEC m16", "lock decw (%rsi)") \
	X(76, 0, "LOCK NOT m16", "lock notw (%rsi)") \
	X(77, 0, "LOCK NEG m16", "lock negw (%rsi)") \
	X(78, 0, "XCHG m16", "xchgw %ax, (%rsi)") \
	X(79, 0, "LOCK XADD m16", "lock xaddw %cx, (%rsi)") \
	X(80, 0, "CMPXCHG m16, unequal", "cmpxchgw %cx, (%rsi)") \
	X(81, 0, "CMPXCHG m16, equal", "movw (%rsi), %ax\n\tlock cmpxchgw %cx, (%rsi)") \
	X(82, 0, "LODS, 16 bits", "lodsw") \
	X(83, 0, "STOS down, 16 bits", "std\n\tmovq %rsi, %rdi\n\tmovl $3, %ecx\n\trep stosw\n\tcld") \
	X(84, 0, "REP STOS, 16 bits", "movq %rsi, %rdi\n\tmovl $7, %ecx\n\trep stosw") \
	X(85, 0, "REP MOVS from it, 16 bits", "movq %r14, %rdi\n\tmovl $7, %ecx\n\trep movsw") \
	X(86, 0, "REP MOVS to it, 16 bits", "movq %rsi, %rdi\n\tmovq %r14, %rsi\n\tmovl $7, %ecx\n\trep movsw") \
	X(87, 0, "REP MOVS within it, 16 bits", "leaq 3(%rsi), %rdi\n\tmovl $7, %ecx\n\trep movsw") \
	X(88, 0, "REPE CMPS, 16 bits", "movq %r14, %rdi\n\tmovl $7, %ecx\n\trepe cmpsw") \
	X(89, 0, "REPNE SCAS, 16 bits", "movq %rsi, %rdi\n\tmovl $7, %ecx\n\trepne scasw") \
	X(90, 0, "MOV m64, r", "movq %rax, (%rsi)") \
	X(91, 0, "MOV r, m64", "movq (%rsi), %rax") \
	X(92, 0, "MOV m64, imm", "movq $-0x6b, (%rsi)") \
	X(93, 0, "ADD m64, r", "addq %rax, (%rsi)") \
	X(94, 0, "ADD r, m64", "addq (%rsi), %rax") \
	X(95, 0, "ADD m64, imm", "addq $-5, (%rsi)") \
	X(96, 0, "OR m64, r", "orq %rax, (%rsi)") \
	X(97, 0, "OR r, m64", "orq (%rsi), %rax") \
	X(98, 0, "OR m64, imm", "orq $-5, (%rsi)") \
	X(99, 0, "ADC m64, r", "adcq %rax, (%rsi)") \
	X(100, 0, "ADC r, m64", "adcq (%rsi), %rax") \
	X(101, 0, "ADC m64, imm", "adcq $-5, (%rsi)") \
	X(102, 0, "SBB m64, r", "sbbq %rax, (%rsi)") \
	X(103, 0, "SBB r, m64", "sbbq (%rsi), %rax") \
	X(104, 0, "SBB m64, imm", "sbbq $-5, (%rsi)") \
	X(105, 0, "AND m64, r", "andq %rax, (%rsi)") \
	X(106, 0, "AND r, m64", "andq (%rsi), %rax") \
	X(107, 0, "AND m64, imm", "andq $-5, (%rsi)") \
	X(108, 0, "SUB m64, r", "subq %rax, (%rsi)") \
	X(109, 0, "SUB r, m64", "subq (%rsi), %rax") \
	X(110, 0, "SUB m64, imm", "subq $-5, (%rsi)") \
	X(111, 0, "XOR m64, r", "xorq %rax, (%rsi)") \
	X(112, 0, "XOR r, m64", "xorq (%rsi), %rax") \
	X(113, 0, "XOR m64, imm", "xorq $-5, (%rsi)") \
	X(114, 0, "CMP m64, r", "cmpq %rax, (%rsi)") \
	X(115, 0, "CMP r, m64", "cmpq (%rsi), %rax") \
	X(116, 0, "CMP m64, imm", "cmpq $-5, (%rsi)") \
	X(117, 0, "TEST m64, r", "testq %rax, (%rsi)") \
	X(118, 0, "TEST m64, imm", "testq $0x41, (%rsi)") \
	X(119, 0, "LOCK INC m64", "lock incq (%rsi)") \
	X(120, 0, "LOCK DEC m64", "lock decq (%rsi)") \
	X(121, 0, "LOCK NOT m64", "lock notq (%rsi)") \
	X(122, 0, "LOCK NEG m64", "lock negq (%rsi)") \
	X(123, 0, "XCHG m64", "xchgq %rax, (%rsi)") \
	X(124, 0, "LOCK XADD m64", "lock xaddq %rcx, (%rsi)") \
	X(125, 0, "CMPXCHG m64, unequal", "cmpxchgq %rcx, (%rsi)") \
	X(126, 0, "CMPXCHG m64, equal", "movq (%rsi), %rax\n\tlock cmpxchgq %rcx, (%rsi)") \
	X(127, 0, "LODS, 64 bits", "lodsq") \
	X(128, 0, "STOS down, 64 bits", "std\n\tmovq %rsi, %rdi\n\tmovl $3, %ecx\n\trep stosq\n\tcld") \
	X(129, 0, "REP STOS, 64 bits", "movq %rsi, %rdi\n\tmovl $7, %ecx\n\trep stosq") \
	X(130, 0, "REP MOVS from it, 64 bits", "movq %r14, %rdi\n\tmovl $7, %ecx\n\trep movsq") \
	X(131, 0, "REP MOVS to it, 64 bits", "movq %rsi, %rdi\n\tmovq %r14, %rsi\n\tmovl $7, %ecx\n\trep movsq") \
	X(132, 0, "REP MOVS within it, 64 bits", "leaq 11(%rsi), %rdi\n\tmovl $7, %ecx\n\trep movsq") \
	X(133, 0, "REPE CMPS, 64 bits", "movq %r14, %rdi\n\tmovl $7, %ecx\n\trepe cmpsq") \
	X(134, 0, "REPNE SCAS, 64 bits", "movq %rsi, %rdi\n\tmovl $7, %ecx\n\trepne scasq") \
	X(135, 0, "BT m16, r outside", "btw %di, (%rsi)") \
	X(136, 0, "BT m16, imm", "btw $13, (%rsi)") \
	X(137, 0, "BT m64, r outside", "btq %rdi, (%rsi)") \
	X(138, 0, "BT m64, imm", "btq $13, (%rsi)") \
	X(139, 0, "BTS m16, r outside", "btsw %di, (%rsi)") \
	X(140, 0, "BTS m16, imm", "btsw $13, (%rsi)") \
	X(141, 0, "BTS m64, r outside", "btsq %rdi, (%rsi)") \
	X(142, 0, "BTS m64, imm", "btsq $13, (%rsi)") \
	X(143, 0, "BTR m16, r outside", "btrw %di, (%rsi)") \
	X(144, 0, "BTR m16, imm", "btrw $13, (%rsi)") \
	X(145, 0, "BTR m64, r outside", "btrq %rdi, (%rsi)") \
	X(146, 0, "BTR m64, imm", "btrq $13, (%rsi)") \
	X(147, 0, "BTC m16, r outside", "btcw %di, (%rsi)") \
	X(148, 0, "BTC m16, imm", "btcw $13, (%rsi)") \
	X(149, 0, "BTC m64, r outside", "btcq %rdi, (%rsi)") \
	X(150, 0, "BTC m64, imm", "btcq $13, (%rsi)") \
	X(151, 0, "MOV m8, AH", "movb %ah, (%rsi)") \
	X(152, 0, "MOV BH, m8", "movb (%rsi), %bh") \
	X(153, 0, "ADD m8, CH", "addb %ch, (%rsi)") \
	X(154, 0, "XCHG m8, DH", "xchgb %dh, (%rsi)") \
	X(155, 0, "MOVZBW", "movzbw (%rsi), %ax") \
	X(156, 0, "MOVZBL", "movzbl (%rsi), %eax") \
	X(157, 0, "MOVZBQ", "movzbq (%rsi), %rax") \
	X(158, 0, "MOVZWL", "movzwl (%rsi), %eax") \
	X(159, 0, "MOVZWQ", "movzwq (%rsi), %rax") \
	X(160, 0, "MOVSBW", "movsbw (%rsi), %ax") \
	X(161, 0, "MOVSBL", "movsbl (%rsi), %eax") \
	X(162, 0, "MOVSBQ", "movsbq (%rsi), %rax") \
	X(163, 0, "MOVSWL", "movswl (%rsi), %eax") \
	X(164, 0, "MOVSWQ", "movswq (%rsi), %rax") \
	X(165, 0, "MOVSXD r64", "movslq (%rsi), %r9") \
	X(166, 0, "SETZ", "setz (%rsi)") \
	X(167, 0, "SETC", "setc (%rsi)") \
	X(168, 0, "CMOVC r64", "cmovcq (%rsi), %rax") \
	X(169, 0, "MOVNTI r64", "movntiq %rax, (%rsi)") \
	X(170, 0, "MOVBE r16", "movbew (%rsi), %ax") \
	X(171, 0, "MOVBE m64", "movbeq %rax, (%rsi)") \
	X(172, 0, "MOVBE r32", "movbel (%rsi), %r10d") \
	X(173, 0, "CMPXCHG8B, unequal", "cmpxchg8b (%rsi)") \
	X(174, 0, "CMPXCHG8B, equal", "movl (%rsi), %eax\n\tmovl 4(%rsi), %edx\n\tlock cmpxchg8b (%rsi)") \
	X(175, 0, "CMPXCHG16B, unequal", "cmpxchg16b (%rsi)") \
	X(176, 0, "CMPXCHG16B, equal", "movq (%rsi), %rax\n\tmovq 8(%rsi), %rdx\n\tlock cmpxchg16b (%rsi)") \
	X(177, 0, "PUSH m64", "pushq (%rsi)\n\tpopq %rax") \
	X(178, 0, "POP m64", "pushq %rax\n\tpopq (%rsi)") \
	X(179, 0, "PUSH m16", "pushw (%rsi)\n\tpopw %ax") \
	X(180, 0, "MOV m16, DS", "movw %ds, (%rsi)") \
	X(181, 1, "MOVUPS xmm, m", "movups (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(182, 1, "MOVUPS m, xmm", "movdqu (%r14), %xmm9\n\tmovups %xmm9, (%rsi)") \
	X(183, 1, "MOVUPD xmm, m", "movupd (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(184, 1, "MOVUPD m, xmm", "movdqu (%r14), %xmm9\n\tmovupd %xmm9, (%rsi)") \
	X(185, 1, "MOVDQU xmm, m", "movdqu (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(186, 1, "MOVDQU m, xmm", "movdqu (%r14), %xmm9\n\tmovdqu %xmm9, (%rsi)") \
	X(187, 1, "MOVAPS xmm, m", "movaps (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(188, 1, "MOVAPS m, xmm", "movdqu (%r14), %xmm9\n\tmovaps %xmm9, (%rsi)") \
	X(189, 1, "MOVAPD xmm, m", "movapd (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(190, 1, "MOVAPD m, xmm", "movdqu (%r14), %xmm9\n\tmovapd %xmm9, (%rsi)") \
	X(191, 1, "MOVDQA xmm, m", "movdqa (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(192, 1, "MOVDQA m, xmm", "movdqu (%r14), %xmm9\n\tmovdqa %xmm9, (%rsi)") \
	X(193, 1, "MOVNTDQ", "movdqu (%r14), %xmm9\n\tmovntdq %xmm9, (%rsi)") \
	X(194, 1, "MOVNTPS", "movdqu (%r14), %xmm9\n\tmovntps %xmm9, (%rsi)") \
	X(195, 1, "MOVNTPD", "movdqu (%r14), %xmm9\n\tmovntpd %xmm9, (%rsi)") \
	X(196, 1, "MOVDQU xmm, m unaligned", "movdqu 5(%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(197, 1, "MOVUPS m unaligned, xmm", "movdqu (%r14), %xmm9\n\tmovups %xmm9, 9(%rsi)") \
	X(198, 1, "LDDQU", "lddqu 3(%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(199, 1, "MOVNTDQA", "movntdqa (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(200, 1, "MOVSS clears the rest", "movdqu (%r14), %xmm3\n\tmovss (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(201, 1, "MOVSD xmm, m64", "movdqu (%r14), %xmm3\n\tmovsd (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(202, 1, "MOVQ xmm, m64", "movdqu (%r14), %xmm3\n\tmovq (%rsi), %xmm3\n\tmovdqu %xmm3, (%r14)") \
	X(203, 1, "MOVQ m64, xmm", "movdqu (%r14), %xmm3\n\tmovq %xmm3, (%rsi)") \
	X(204, 2, "MOVDQU leaves the upper half of YMM", \
		"vmovdqu (%r14), %ymm3\n\tmovdqu (%rsi), %xmm3\n\tvmovdqu %ymm3, (%r14)") \
	X(205, 2, "VMOVUPS ymm, m", "vmovups (%rsi), %ymm3\n\tvmovdqu %ymm3, (%r14)") \
	X(206, 2, "VMOVUPS m, ymm", "vmovdqu (%r14), %ymm9\n\tvmovups %ymm9, (%rsi)") \
	X(207, 2, "VMOVUPD ymm, m", "vmovupd (%rsi), %ymm3\n\tvmovdqu %ymm3, (%r14)") \
	X(208, 2, "VMOVUPD m, ymm", "vmovdqu (%r14), %ymm9\n\tvmovupd %ymm9, (%rsi)") \
	X(209, 2, "VMOVDQU ymm, m", "vmovdqu (%rsi), %ymm3\n\tvmovdqu %ymm3, (%r14)") \
	X(210, 2, "VMOVDQU m, ymm", "vmovdqu (%r14), %ymm9\n\tvmovdqu %ymm9, (%rsi)") \
	X(211, 2, "VMOVAPS ymm, m", "vmovaps (%rsi), %ymm3\n\tvmovdqu %ymm3, (%r14)") \
	X(212, 2, "VMOVAPS m, ymm", "vmovdqu (%r14), %ymm9\n\tvmovaps %ymm9, (%rsi)") \
	X(213, 2, "VMOVAPD ymm, m", "vmovapd (%rsi), %ymm3\n\tvmovdqu %ymm3, (%r14)") \
	X(214, 2, "VMOVAPD m, ymm", "vmovdqu (%r14), %ymm9\n\tvmovapd %ymm9, (%rsi)") \
	X(215, 2, "VMOVDQA ymm, m", "vmovdqa (%rsi), %ymm3\n\tvmovdqu %ymm3, (%r14)") \
	X(216, 2, "VMOVDQA m, ymm", "vmovdqu (%r14), %ymm9\n\tvmovdqa %ymm9, (%rsi)") \
	X(217, 2, "VMOVDQU xmm, m clears the upper half", \
		"vmovdqu (%r14), %ymm3\n\tvmovdqu (%rsi), %xmm3\n\tvmovdqu %ymm3, (%r14)") \
	X(218, 2, "VMOVDQU ymm, m unaligned", "vmovdqu 7(%rsi), %ymm12\n\tvmovdqu %ymm12, (%r14)") \
	X(219, 2, "VMOVNTDQ", "vmovdqu (%r14), %ymm9\n\tvmovntdq %ymm9, (%rsi)") \
	X(220, 2, "VMOVQ", "vmovdqu (%r14), %ymm3\n\tvmovq (%rsi), %xmm3\n\tvmovdqu %ymm3, (%r14)")

/* Flags that the SDM leaves undefined. */
#define LOST_SHIFT (FLAG_AF | FLAG_OF)
#define LOST_MUL   (FLAG_ARITH & ~(FLAG_CF | FLAG_OF))
#define LOST_SCAN  (FLAG_ARITH & ~FLAG_ZF)

/* number, need, undefined flags, name, instructions. */
#define FORMS_LOSING(X) \
	X(221, 0, 0, "ROL m8 by 1", "rolb (%rsi)") \
	X(222, 0, 0, "ROL m16 by 1", "rolw (%rsi)") \
	X(223, 0, 0, "ROL m32 by 1", "roll (%rsi)") \
	X(224, 0, 0, "ROL m64 by 1", "rolq (%rsi)") \
	X(225, 0, LOST_SHIFT, "ROL m16 by 11", "rolw $11, (%rsi)") \
	X(226, 0, LOST_SHIFT, "ROL m64 by CL", "rolq %cl, (%rsi)") \
	X(227, 0, LOST_SHIFT, "ROL m8 by CL", "movb $6, %cl\n\trolb %cl, (%rsi)") \
	X(228, 0, 0, "ROR m8 by 1", "rorb (%rsi)") \
	X(229, 0, 0, "ROR m16 by 1", "rorw (%rsi)") \
	X(230, 0, 0, "ROR m32 by 1", "rorl (%rsi)") \
	X(231, 0, 0, "ROR m64 by 1", "rorq (%rsi)") \
	X(232, 0, LOST_SHIFT, "ROR m16 by 11", "rorw $11, (%rsi)") \
	X(233, 0, LOST_SHIFT, "ROR m64 by CL", "rorq %cl, (%rsi)") \
	X(234, 0, LOST_SHIFT, "ROR m8 by CL", "movb $6, %cl\n\trorb %cl, (%rsi)") \
	X(235, 0, 0, "RCL m8 by 1", "rclb (%rsi)") \
	X(236, 0, 0, "RCL m16 by 1", "rclw (%rsi)") \
	X(237, 0, 0, "RCL m32 by 1", "rcll (%rsi)") \
	X(238, 0, 0, "RCL m64 by 1", "rclq (%rsi)") \
	X(239, 0, LOST_SHIFT, "RCL m16 by 11", "rclw $11, (%rsi)") \
	X(240, 0, LOST_SHIFT, "RCL m64 by CL", "rclq %cl, (%rsi)") \
	X(241, 0, LOST_SHIFT, "RCL m8 by CL", "movb $6, %cl\n\trclb %cl, (%rsi)") \
	X(242, 0, 0, "RCR m8 by 1", "rcrb (%rsi)") \
	X(243, 0, 0, "RCR m16 by 1", "rcrw (%rsi)") \
	X(244, 0, 0, "RCR m32 by 1", "rcrl (%rsi)") \
	X(245, 0, 0, "RCR m64 by 1", "rcrq (%rsi)") \
	X(246, 0, LOST_SHIFT, "RCR m16 by 11", "rcrw $11, (%rsi)") \
	X(247, 0, LOST_SHIFT, "RCR m64 by CL", "rcrq %cl, (%rsi)") \
	X(248, 0, LOST_SHIFT, "RCR m8 by CL", "movb $6, %cl\n\trcrb %cl, (%rsi)") \
	X(249, 0, FLAG_AF, "SHL m8 by 1", "shlb (%rsi)") \
	X(250, 0, FLAG_AF, "SHL m16 by 1", "shlw (%rsi)") \
	X(251, 0, FLAG_AF, "SHL m32 by 1", "shll (%rsi)") \
	X(252, 0, FLAG_AF, "SHL m64 by 1", "shlq (%rsi)") \
	X(253, 0, LOST_SHIFT, "SHL m16 by 11", "shlw $11, (%rsi)") \
	X(254, 0, LOST_SHIFT, "SHL m64 by CL", "shlq %cl, (%rsi)") \
	X(255, 0, LOST_SHIFT, "SHL m8 by CL", "movb $6, %cl\n\tshlb %cl, (%rsi)") \
	X(256, 0, FLAG_AF, "SHR m8 by 1", "shrb (%rsi)") \
	X(257, 0, FLAG_AF, "SHR m16 by 1", "shrw (%rsi)") \
	X(258, 0, FLAG_AF, "SHR m32 by 1", "shrl (%rsi)") \
	X(259, 0, FLAG_AF, "SHR m64 by 1", "shrq (%rsi)") \
	X(260, 0, LOST_SHIFT, "SHR m16 by 11", "shrw $11, (%rsi)") \
	X(261, 0, LOST_SHIFT, "SHR m64 by CL", "shrq %cl, (%rsi)") \
	X(262, 0, LOST_SHIFT, "SHR m8 by CL", "movb $6, %cl\n\tshrb %cl, (%rsi)") \
	X(263, 0, FLAG_AF, "SAR m8 by 1", "sarb (%rsi)") \
	X(264, 0, FLAG_AF, "SAR m16 by 1", "sarw (%rsi)") \
	X(265, 0, FLAG_AF, "SAR m32 by 1", "sarl (%rsi)") \
	X(266, 0, FLAG_AF, "SAR m64 by 1", "sarq (%rsi)") \
	X(267, 0, LOST_SHIFT, "SAR m16 by 11", "sarw $11, (%rsi)") \
	X(268, 0, LOST_SHIFT, "SAR m64 by CL", "sarq %cl, (%rsi)") \
	X(269, 0, LOST_SHIFT, "SAR m8 by CL", "movb $6, %cl\n\tsarb %cl, (%rsi)") \
	X(270, 0, LOST_MUL, "MUL m8", "mulb (%rsi)") \
	X(271, 0, LOST_MUL, "MUL m16", "mulw (%rsi)") \
	X(272, 0, LOST_MUL, "MUL m32", "mull (%rsi)") \
	X(273, 0, LOST_MUL, "MUL m64", "mulq (%rsi)") \
	X(274, 0, LOST_MUL, "IMUL m8", "imulb (%rsi)") \
	X(275, 0, LOST_MUL, "IMUL m16", "imulw (%rsi)") \
	X(276, 0, LOST_MUL, "IMUL m32", "imull (%rsi)") \
	X(277, 0, LOST_MUL, "IMUL m64", "imulq (%rsi)") \
	X(278, 0, LOST_MUL, "IMUL r16, m16", "imulw (%rsi), %ax") \
	X(279, 0, LOST_MUL, "IMUL r32, m32", "imull (%rsi), %r9d") \
	X(280, 0, LOST_MUL, "IMUL r64, m64", "imulq (%rsi), %rax") \
	X(281, 0, LOST_MUL, "IMUL r16, m16, imm", "imulw $0x1234, (%rsi), %ax") \
	X(282, 0, LOST_MUL, "IMUL r32, m32, imm8", "imull $-3, (%rsi), %r9d") \
	X(283, 0, LOST_MUL, "IMUL r64, m64, imm", "imulq $0x12345678, (%rsi), %rax") \
	X(284, 0, FLAG_ARITH, "DIV m8", "movl $0x1234, %eax\n\tdivb (%rsi)") \
	X(285, 0, FLAG_ARITH, "DIV m16", "xorl %edx, %edx\n\tdivw (%rsi)") \
	X(286, 0, FLAG_ARITH, "DIV m32", "xorl %edx, %edx\n\tdivl (%rsi)") \
	X(287, 0, FLAG_ARITH, "DIV m64", "xorl %edx, %edx\n\tdivq (%rsi)") \
	X(288, 0, FLAG_ARITH, "IDIV m8", "movl $0x1234, %eax\n\tidivb (%rsi)") \
	X(289, 0, FLAG_ARITH, "IDIV m16", "movw $-2, %dx\n\tidivw (%rsi)") \
	X(290, 0, FLAG_ARITH, "IDIV m32", "movq $-1, %rdx\n\tidivl (%rsi)") \
	X(291, 0, FLAG_ARITH, "IDIV m64", "movq $-1, %rdx\n\tidivq (%rsi)") \
	X(292, 0, LOST_SCAN, "BSF m16", "bsfw (%rsi), %ax") \
	X(293, 0, LOST_SCAN, "BSF m32", "bsfl (%rsi), %r9d") \
	X(294, 0, LOST_SCAN, "BSF m64", "bsfq (%rsi), %rax") \
	X(295, 0, LOST_SCAN, "BSR m16", "bsrw (%rsi), %ax") \
	X(296, 0, LOST_SCAN, "BSR m32", "bsrl (%rsi), %r9d") \
	X(297, 0, LOST_SCAN, "BSR m64", "bsrq (%rsi), %rax") \
	X(298, 0, LOST_SCAN, "TZCNT m16", "tzcntw (%rsi), %ax") \
	X(299, 0, LOST_SCAN, "TZCNT m32", "tzcntl (%rsi), %r9d") \
	X(300, 0, LOST_SCAN, "TZCNT m64", "tzcntq (%rsi), %rax") \
	X(301, 0, LOST_SCAN, "LZCNT m16", "lzcntw (%rsi), %ax") \
	X(302, 0, LOST_SCAN, "LZCNT m32", "lzcntl (%rsi), %r9d") \
	X(303, 0, LOST_SCAN, "LZCNT m64", "lzcntq (%rsi), %rax") \
	X(304, 2, 0, "POPCNT m64", "popcntq (%rsi), %rax") \
	X(305, 2, 0, "POPCNT m16", "popcntw (%rsi), %r9w")

#define X(number, need, name, insn) STUB(form_##number, insn);
FORMS(X)
#undef X
#define X(number, need, lost, name, insn) STUB(form_##number, insn);
FORMS_LOSING(X)
#undef X

static const struct {
	const uint8_t *stub;
	unsigned int need;
	uint64_t lost; /* flags that are undefined */
	const char *name;
} forms[] = {
#define X(number, need, name, insn) { form_##number, need, 0, name },
	FORMS(X)
#undef X
#define X(number, need, lost, name, insn) { form_##number, need, lost, name },
	FORMS_LOSING(X)
#undef X
};

struct result {
	struct regs r;
	uint8_t area[AREA], other[64];
};

static uint8_t memory[AREA] __attribute__((aligned(64)));
static uint8_t other[64] __attribute__((aligned(64)));

static void fill(volatile uint64_t *at, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes / 8; i++)
		at[i] = (i + seed) * 0x9e3779b97f4a7c15UL;
}

static void run(const uint8_t *stub, uint64_t at, unsigned int round, struct result *res)
{
	const volatile uint64_t *area = (const volatile uint64_t *)at;

	fill((volatile uint64_t *)at, AREA, round);
	fill((volatile uint64_t *)other, sizeof(other), round + 16 + (round & 1));
	regs_fill(&res->r);
	res->r.rax = 0x1122334455667780UL + (round << 6);
	res->r.rcx = 0x8877665511223344UL;
	res->r.rdx = 0x0102030405060708UL;
	res->r.rsi = at + MIDDLE;
	res->r.rdi = (round & 1) ? -77UL : 93UL; /* bit offsets outside of the operand */
	res->r.r14 = (uint64_t)other;
	res->r.rflags = 2 | ((round & 1) ? FLAG_ARITH : 0);
	exec_regs(&res->r, stub);
	if (res->r.rsi - at < AREA)
		res->r.rsi -= at;
	if (res->r.rdi - at < AREA)
		res->r.rdi -= at;
	for (size_t i = 0; i < AREA / 8; i++)
		((uint64_t *)res->area)[i] = area[i];
	for (size_t i = 0; i < sizeof(other); i++)
		res->other[i] = other[i];
}

static bool same(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i] != b[i])
			return false;
	}
	return true;
}

static void test_form(size_t f)
{
	static struct result mem, dev;
	bool ok = true;

	for (unsigned int round = 0; round < 3; round++) {
		run(forms[f].stub, (uint64_t)memory, round, &mem);
		run(forms[f].stub, SCRATCH, round, &dev);
		if (!regs_equal(&mem.r, &dev.r, FLAG_ARITH & ~forms[f].lost) || !same(mem.area, dev.area, AREA) ||
		    !same(mem.other, dev.other, sizeof(other))) {
			report_info("%s, round %u: RAX %#lx, not %#lx; RSI %#lx, %#lx; flags %#lx, %#lx; memory %s",
				    forms[f].name, round, dev.r.rax, mem.r.rax, dev.r.rsi, mem.r.rsi, dev.r.rflags,
				    mem.r.rflags, same(mem.area, dev.area, AREA) ? "right" : "wrong");
			ok = false;
		}
	}
	report(ok, "%s", forms[f].name);
}

STUB(div_by_it, "divl (%rsi)");

static void test_divide_error(void)
{
	struct regs r;
	struct trap t;

	*(volatile uint32_t *)SCRATCH = 0;
	regs_fill(&r);
	r.rsi = SCRATCH;
	report(exec_catch(&r, div_by_it, &t) == VEC_DE && t.rip == (uint64_t)div_by_it && t.rax == r.rax,
	       "DIV by 0 on the device: #DE");
}

void test_main(void)
{
	unsigned int have = NEED_SSE;

	if (inl(TEST_PORT + REG_ID) != ID_VALUE) {
		report_skip("there is no test device");
		return;
	}
	write_cr4(read_cr4() | CR4_OSFXSR);
	if ((cpuid(1, 0).ecx & (BIT(26) | BIT(28))) == (BIT(26) | BIT(28))) {
		write_cr4(read_cr4() | CR4_OSXSAVE);
		__asm__ volatile("xsetbv" : : "a"(7), "c"(0), "d"(0));
		have = NEED_AVX;
	}
	for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
		if (forms[f].need <= have)
			test_form(f);
	}
	test_divide_error();
	if (have != NEED_AVX)
		report_skip("no AVX");
}
