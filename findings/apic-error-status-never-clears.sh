#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The error status register of QEMU's local APIC keeps a bit for ever.
#
# Specified: a write, of any value, fetches what happened since the write before; so after two
# writes without an error in between, the register reads 0 (SDM Vol. 3A, "Error Handling").
#
# Seen on 2026-11-28 with QEMU 11.1.3 (Debian sid) and 10.0.2 (bookworm-backports): a bit that was
# set once, here the one for the address of a register that is not there, is read after each later
# write, too. The output is at the end.

# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

qemu 11.1.3 sid 1:11.1.3+ds-1
qemu 10.0.2 "bookworm bookworm-backports" 1:10.0.2+ds-2+deb13u1~bpo12+1

guest errors <<'SOURCE'
    .set ERROR_STATUS, LOCAL_APIC + 0x280

main:
    movl $0x1FF, LOCAL_APIC + 0xF0
    movl $0, ERROR_STATUS
    movl $0, ERROR_STATUS
    say "before: "
    say_number ERROR_STATUS
    mov LOCAL_APIC + 0x40, %eax             # reserved
    movl $0, ERROR_STATUS
    say ", after an error and a write: "
    say_number ERROR_STATUS
    movl $0, ERROR_STATUS
    say ", after another write: "
    say_number ERROR_STATUS
    movl $0, ERROR_STATUS
    say ", and another: "
    say_number ERROR_STATUS
    say "\n"
    ret
SOURCE

for version in 11.1.3 10.0.2; do
  echo "QEMU $version: $(boot "$version" errors)"
done | expect "\
QEMU 11.1.3: before: 0, after an error and a write: 128, after another write: 128, and another: 128
QEMU 10.0.2: before: 0, after an error and a write: 128, after another write: 128, and another: 128"
