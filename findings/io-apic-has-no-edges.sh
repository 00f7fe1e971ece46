#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# An edge-triggered entry of QEMU's I/O APIC fires though its line is active all the time.
#
# Specified: such an entry fires when its line becomes active (82093AA datasheet, 3.2.4, "Trigger
# Mode"); and the line of an HPET timer that is level-triggered is active while the timer's status
# is set (IA-PC HPET Specification 1.0a, 2.3.6), so it is for one interrupt.
#
# Seen on 2026-11-28 with QEMU 11.1.3 (Debian sid) and 10.0.2 (bookworm-backports): a one-shot
# timer fires three times and nobody clears its status, and the entry fires at each. The device
# raises the line anew, and the I/O APIC does not look whether it was active. The output is at the
# end.

# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

qemu 11.1.3 sid 1:11.1.3+ds-1
qemu 10.0.2 "bookworm bookworm-backports" 1:10.0.2+ds-2+deb13u1~bpo12+1

guest levels <<'SOURCE'
    .set PIN, 20                            # one that timer 0 of QEMU's q35 can be routed to
    .set TIMER, PIN << 9 | 1 << 8 | 1 << 2 | 1 << 1  # routed, 32 bits, enabled, a level

main:
    gate 0x40, interrupt
    movl $0x1FF, LOCAL_APIC + 0xF0
    write_io_apic 2*PIN+0x11, 0
    write_io_apic 2*PIN+0x10, 0x40          # fixed, edge-triggered, not masked

    movl $0, HPET + 0x10
    movl $0, HPET + 0xF0
    movl $0, HPET + 0xF4
    movl $TIMER, HPET + 0x100
    movl $1, HPET + 0x10
    mov $1000, %edi
    sti
1:  mov %edi, HPET + 0x108                  # the timer fires when the counter is EDI
    add $500, %edi
2:  cmp %edi, HPET + 0xF0
    jb 2b
    say "fired, status "
    call say_status
    say ", interrupts "
    say_number count
    say "\n"
    add $500, %edi
    cmp $4000, %edi
    jb 1b

    movl $1, HPET + 0x20
    say "cleared, status "
    call say_status
    say "\n"
    ret

say_status:
    mov HPET + 0x20, %eax
    and $1, %eax
    say_number %eax
    ret

interrupt:
    incl count
    movl $0, LOCAL_APIC + 0xB0
    iret

    .bss
count:
    .long 0
SOURCE

for version in 11.1.3 10.0.2; do
  echo "QEMU $version"
  boot "$version" levels -icount shift=0,sleep=off
done | expect "\
QEMU 11.1.3
fired, status 1, interrupts 1
fired, status 1, interrupts 2
fired, status 1, interrupts 3
cleared, status 0
QEMU 10.0.2
fired, status 1, interrupts 1
fired, status 1, interrupts 2
fired, status 1, interrupts 3
cleared, status 0"
