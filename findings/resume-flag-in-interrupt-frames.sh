#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# QEMU sets RF in the frames of NMIs and of maskable interrupts, so that an execution breakpoint
# on the interrupted instruction is lost.
#
# Specified: for an interrupt between two instructions, the RF in the frame is that of EFLAGS, and
# that is 0 (SDM Vol. 3B, "Instruction-Breakpoint Exception Condition"). So the breakpoint, which
# has a lower priority than the interrupt, is met after IRET (SDM Vol. 3A, "Priority Among
# Concurrent Events").
#
# Seen on 2026-11-28: with QEMU 11.1.3 (Debian sid) and 10.0.2 (bookworm-backports), RF is 1 in
# both frames, and the breakpoint is not met. QEMU 7.2.22 (bookworm) does as is specified. The
# output is at the end.

# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

qemu 11.1.3 sid 1:11.1.3+ds-1
qemu 10.0.2 "bookworm bookworm-backports" 1:10.0.2+ds-2+deb13u1~bpo12+1
qemu 7.2.22 bookworm 1:7.2+dfsg-7+deb12u18+b3

guest frames <<'SOURCE'
    .set RF, 1 << 16

main:
    gate 1, breakpoint
    gate 2, interrupt
    gate 0x40, interrupt
    movl $0x1FF, LOCAL_APIC + 0xF0
    mov LOCAL_APIC + 0x20, %eax
    mov %eax, LOCAL_APIC + 0x310            # this CPU is the destination
    mov $target, %eax
    mov %eax, %dr0
    mov $1, %eax
    mov %eax, %dr7

    say "no interrupt: "
    call target
    call report
    say "NMI: "
    mov $0x4400, %eax
    call ring
    call report_frame
    say "maskable interrupt: "
    mov $0x4040, %eax
    call ring
    call report_frame
    ret

# Sends an interrupt, which comes in front of the instruction with the breakpoint.
ring:
    sti
    nop
    mov %eax, LOCAL_APIC + 0x300
target:
    nop
    cli
    ret

report_frame:
    say "RF "
    mov frame_flags, %eax
    shr $16, %eax
    and $1, %eax
    say_number %eax
    cmpl $target, frame_ip
    je 1f
    say " not at the breakpoint"
1:  say ", "
report:
    say_number breakpoints
    say " breakpoints\n"
    movl $0, breakpoints
    ret

interrupt:
    mov (%esp), %eax
    mov %eax, frame_ip
    mov 8(%esp), %eax
    mov %eax, frame_flags
    movl $0, LOCAL_APIC + 0xB0
    iret

breakpoint:
    incl breakpoints
    orl $RF, 8(%esp)
    iret

    .bss
breakpoints:
    .long 0
frame_ip:
    .long 0
frame_flags:
    .long 0
SOURCE

for version in 11.1.3 10.0.2 7.2.22; do
  echo "QEMU $version"
  boot "$version" frames -icount shift=0,sleep=off
done | expect "\
QEMU 11.1.3
no interrupt: 1 breakpoints
NMI: RF 1, 0 breakpoints
maskable interrupt: RF 1, 0 breakpoints
QEMU 10.0.2
no interrupt: 1 breakpoints
NMI: RF 1, 0 breakpoints
maskable interrupt: RF 1, 0 breakpoints
QEMU 7.2.22
no interrupt: 1 breakpoints
NMI: RF 0, 1 breakpoints
maskable interrupt: RF 0, 1 breakpoints"
