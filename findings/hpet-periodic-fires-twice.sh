#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Under the instruction clock, a periodic timer of QEMU's HPET fires twice in each period.
#
# Specified: once, when the main counter reaches the comparator, to which the period is added then
# (IA-PC HPET Specification 1.0a, 2.3.9.2.2, "Periodic Mode").
#
# Seen on 2026-11-28 with QEMU 11.1.3 (Debian sid), 10.0.2 (bookworm-backports) and 7.2.22
# (bookworm): with -icount, which serves a timer in the very tick in which it is due, it fires a
# second time, at once in 7.2.22 and a microsecond later in the newer ones. A one-shot timer fires
# once. The output is at the end.

# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

qemu 11.1.3 sid 1:11.1.3+ds-1
qemu 10.0.2 "bookworm bookworm-backports" 1:10.0.2+ds-2+deb13u1~bpo12+1
qemu 7.2.22 bookworm 1:7.2+dfsg-7+deb12u18+b3

guest timers <<'SOURCE'
    .set PIN, 20                            # one that timer 0 of QEMU's q35 can be routed to
    .set PERIOD, 2000                       # 20 us of QEMU's ticks, which last 10 ns each
    .set TIMER, PIN << 9 | 1 << 8 | 1 << 2  # routed, 32 bits, enabled, edge-triggered

main:
    gate 0x40, interrupt
    movl $0x1FF, LOCAL_APIC + 0xF0
    write_io_apic 2*PIN+0x11, 0
    write_io_apic 2*PIN+0x10, 0x40          # fixed, edge-triggered, not masked

    call restart_counter
    movl $TIMER | 1 << 6 | 1 << 3, HPET + 0x100
    movl $PERIOD, HPET + 0x108              # when it fires first
    movl $PERIOD, HPET + 0x108              # the period
    movl $1, HPET + 0x10
    mov $10 * PERIOD + PERIOD / 2, %edi
    call wait
    movl $0, HPET + 0x100
    say "periodic: "
    call report

    call restart_counter
    movl $TIMER, HPET + 0x100
    movl $1, HPET + 0x10
    xor %edi, %edi
1:  add $PERIOD, %edi
    mov %edi, HPET + 0x108
    add $PERIOD / 2, %edi
    call wait
    sub $PERIOD / 2, %edi
    cmp $10 * PERIOD, %edi
    jb 1b
    say "one-shot: "
    call report
    ret

restart_counter:
    movl $0, HPET + 0x10
    movl $0, HPET + 0xF0
    movl $0, HPET + 0xF4
    movl $0, count
    ret

# Waits with interrupts on until the main counter has reached EDI.
wait:
    sti
1:  cmp %edi, HPET + 0xF0
    jb 1b
    cli
    ret

interrupt:
    push %eax
    push %ecx
    mov count, %ecx
    mov HPET + 0xF0, %eax
    mov %eax, times(, %ecx, 4)
    incl count
    movl $0, LOCAL_APIC + 0xB0
    pop %ecx
    pop %eax
    iret

report:
    say_number count
    say " interrupts in ten periods of 20 us, the first four after"
    xor %esi, %esi
1:  mov times(, %esi, 4), %eax
    xor %edx, %edx
    mov $100, %ecx
    div %ecx
    say " "
    say_number %eax
    inc %esi
    cmp $4, %esi
    jb 1b
    say " us\n"
    ret

    .bss
count:
    .long 0
times:
    .skip 4 * 256
SOURCE

for version in 11.1.3 10.0.2 7.2.22; do
  echo "QEMU $version"
  boot "$version" timers -icount shift=0,sleep=off
done | expect "\
QEMU 11.1.3
periodic: 20 interrupts in ten periods of 20 us, the first four after 20 21 40 41 us
one-shot: 10 interrupts in ten periods of 20 us, the first four after 20 40 60 80 us
QEMU 10.0.2
periodic: 20 interrupts in ten periods of 20 us, the first four after 20 21 40 41 us
one-shot: 10 interrupts in ten periods of 20 us, the first four after 20 40 60 80 us
QEMU 7.2.22
periodic: 20 interrupts in ten periods of 20 us, the first four after 20 20 40 40 us
one-shot: 10 interrupts in ten periods of 20 us, the first four after 20 40 60 80 us"
