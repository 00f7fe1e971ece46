#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Answers as QEMU does, and plays a guest whose scenario holds, or one that goes on for ever.
# FAKE_VERSION, FAKE_MACHINES and FAKE_DEVICES are what it has; FAKE_GUEST is how the guest behaves.
case $1 in
--version) echo "QEMU emulator version ${FAKE_VERSION:-10.0.2}"; exit ;;
esac
case "$1 $2" in
# A real one dies of it where another one's modules are installed.
'-device help') echo 'Assertion failed' >&2; exit 134 ;;
'-machine help') printf '%s\n' ${FAKE_MACHINES-pc q35}; exit ;;
'-device '*,help)
  for device in ${FAKE_DEVICES-isa-debug-exit edu i6300esb}; do
    [ "$2" != "$device,help" ] || echo "$device options:"
  done
  exit ;;
esac

record() {
  echo "@latchwork $1"
}

record "{\"event\":\"machine\",\"machine\":\"$2\",\"cpus\":4,\"apic\":\"xapic\",\"kernel_target\":\"t\"}"
case ${FAKE_GUEST-} in
for-ever)
  # As a wrapper would that starts the emulator and does not become it.
  sleep 600 &
  echo "$$ $!" >>"$FAKE_PIDS"
  wait ;;
for-ever-as-itself)
  echo "$$" >>"$FAKE_PIDS"
  exec sleep 600 ;;
esac
case "$*" in
*scenario=unknown*policy=panic*)
  echo 'unknown NMI on CPU 0, ip 0x1000'
  record '{"event":"stopped","reason":"unknown NMI"}'
  exit 37 ;;
esac
record '{"event":"check","name":"c","held":true,"expected":"1","saw":"1"}'
record '{"event":"totals","nmis":3,"claimed":3,"absorbed":0,"unknown":0,"lost":0}'
record '{"event":"end"}'
exit 33
