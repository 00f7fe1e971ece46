#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# In QEMU, an IRET that faults leaves NMIs blocked.
#
# Specified: IRET unblocks NMIs even if it faults, before the fault's handler is called (SDM
# Vol. 3A, "Handling Multiple NMIs"; Vol. 2A, "IRET/IRETD/IRETQ"). So an NMI that is pending then
# comes before the first instruction of that handler, on top of whatever the NMI handler left.
#
# Seen on 2026-11-28 with QEMU 11.1.3 (Debian sid) and 10.0.2 (bookworm-backports): it comes after
# the fault handler's own IRET, so a kernel that does not survive an NMI there seems to survive one. The output
# is at the end.

# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

qemu 11.1.3 sid 1:11.1.3+ds-1
qemu 10.0.2 "bookworm bookworm-backports" 1:10.0.2+ds-2+deb13u1~bpo12+1

guest returns <<'SOURCE'
main:
    gate 2, nmi
    gate 11, not_present
    movl $0x1FF, LOCAL_APIC + 0xF0
    mov LOCAL_APIC + 0x20, %eax
    mov %eax, LOCAL_APIC + 0x310            # this CPU is the destination
    movl $0, good_iret
    call ring
    movl $0, nmis
    movl $1, good_iret
    call ring
    ret

ring:
    movl $0x4400, LOCAL_APIC + 0x300
    nop
    say ", end\n"
    ret

# The first NMI sends another, which has to wait, and returns: by an IRET to a code segment that is
# not present, or by a good one.
nmi:
    incl nmis
    cmpl $1, nmis
    jne 2f
    say "first NMI"
    movl $0x4400, LOCAL_APIC + 0x300
    nop
    cmpl $0, good_iret
    jne 1f
    say ", IRET that faults"
    push $1 << 1
    push $CODE_NOT_PRESENT
    push $0
    iret
1:  say ", IRET"
    iret
2:  say ", second NMI"
    iret

# Returns in the place of the IRET that faulted.
not_present:
    nop
    say ", #NP handler, its IRET"
    add $4 + 12 + 12, %esp                  # error code, its own frame, the frame that was bad
    iret

    .bss
nmis:
    .long 0
good_iret:
    .long 0
SOURCE

for version in 11.1.3 10.0.2; do
  echo "QEMU $version"
  boot "$version" returns -icount shift=0,sleep=off
done | expect "\
QEMU 11.1.3
first NMI, IRET that faults, #NP handler, its IRET, second NMI, end
first NMI, IRET, second NMI, end
QEMU 10.0.2
first NMI, IRET that faults, #NP handler, its IRET, second NMI, end
first NMI, IRET, second NMI, end"
