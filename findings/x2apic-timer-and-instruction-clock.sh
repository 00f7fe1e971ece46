#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Under the instruction clock, QEMU ends when its guest reads the APIC timer in x2APIC mode.
#
# Specified: RDMSR of 839H returns the current count, as a read of offset 390H does in xAPIC mode
# (SDM Vol. 3A, "x2APIC Register Address Space").
#
# Seen on 2026-11-28 with QEMU 11.1.3 (Debian sid) and 10.0.2 (bookworm-backports), whose TCG has
# x2APIC: with -icount, QEMU reports an error and ends with status 1. It does not without -icount,
# nor where a translation block has one instruction, nor in xAPIC mode. The output is at the end.

# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

qemu 11.1.3 sid 1:11.1.3+ds-1
qemu 10.0.2 "bookworm bookworm-backports" 1:10.0.2+ds-2+deb13u1~bpo12+1

guest xapic <<'SOURCE'
main:
    movl $0x1FF, LOCAL_APIC + 0xF0
    movl $0x10000, LOCAL_APIC + 0x320       # one-shot, masked
    movl $0xB, LOCAL_APIC + 0x3E0           # divided by one
    movl $1000000000, LOCAL_APIC + 0x380
    mov LOCAL_APIC + 0x390, %edi
1:  cmp %edi, LOCAL_APIC + 0x390
    jae 1b
    say "counts down\n"
    ret
SOURCE

guest x2apic <<'SOURCE'
    .macro write_msr index, value
    mov $\index, %ecx
    mov $\value, %eax
    xor %edx, %edx
    wrmsr
    .endm

main:
    mov $0x1B, %ecx
    rdmsr
    or $0xC00, %eax                         # xAPIC mode is on, x2APIC mode comes
    wrmsr
    write_msr 0x80F, 0x1FF
    write_msr 0x832, 0x10000                # one-shot, masked
    write_msr 0x83E, 0xB                    # divided by one
    write_msr 0x838, 1000000000
    mov $0x839, %ecx
    rdmsr
    mov %eax, %edi
1:  rdmsr
    cmp %edi, %eax
    jae 1b
    say "counts down\n"
    ret
SOURCE

for version in 11.1.3 10.0.2; do
  clock="shift=0,sleep=off"
  echo "QEMU $version, xAPIC mode, -icount: $(boot "$version" xapic -icount "$clock")"
  echo "QEMU $version, x2APIC mode: $(boot "$version" x2apic -cpu qemu64,+x2apic)"
  echo "QEMU $version, x2APIC mode, -icount, one instruction a block: $(
    boot "$version" x2apic -cpu qemu64,+x2apic -icount "$clock" -accel tcg,one-insn-per-tb=on
  )"
  echo "QEMU $version, x2APIC mode, -icount: $(
    boot "$version" x2apic -cpu qemu64,+x2apic -icount "$clock"
  )"
done | expect "\
QEMU 11.1.3, xAPIC mode, -icount: counts down
QEMU 11.1.3, x2APIC mode: counts down
QEMU 11.1.3, x2APIC mode, -icount, one instruction a block: counts down
QEMU 11.1.3, x2APIC mode, -icount: Bad icount read
QEMU ended with status 1
QEMU 10.0.2, xAPIC mode, -icount: counts down
QEMU 10.0.2, x2APIC mode: counts down
QEMU 10.0.2, x2APIC mode, -icount, one instruction a block: counts down
QEMU 10.0.2, x2APIC mode, -icount: Bad icount read
QEMU ended with status 1"
