# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# What the findings share: Debian packages of a pinned version, unpacked beside the system, and
# small guests that an emulator of theirs boots. Sourced by each finding.
#
# A finding ends with status
#   0  what was seen is still so;
#   1  it changed: what was seen and what is seen now are printed;
#   2  it cannot be tried here (no Debian on amd64, no network, no space);
#   3  a pinned version is no longer served.
#
# FINDINGS_MIRROR names a Debian mirror; without it, it is the one that the machine's own apt
# sources name.

set -euo pipefail

findings=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mirror=${FINDINGS_MIRROR:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cannot_try() {
  echo "cannot be tried here: $*" >&2
  exit 2
}

# The mirror that apt uses for the release that is installed.
debian_mirror() {
  local id codename
  id=$(. /etc/os-release && echo "${ID:-}")
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-sid}")
  [ "$id" = debian ] || return 0
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v codename="$codename" '
      ($2 == codename || $2 ~ /^(stable|testing|unstable|sid)$/) && $3 == "main" && !found++ {
        print $1
      }'
}

# unpack NAME "SUITE..." PACKAGE VERSION
#
# Downloads the package and all that it depends on, checked by apt against Debian's keys, unpacks
# them into $work/NAME, and makes $work/NAME.run, which runs a program of theirs with their own
# libraries. The package comes from the last of the suites, and so does what it needs, if it can.
unpack() {
  local name=$1 suites=$2 package=$3 version=$4
  local apt=$work/$name.apt root=$work/$name
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  local tool suite served archive
  [ "$(uname -m)" = x86_64 ] || cannot_try "the packages are for amd64"
  for tool in apt-get apt-cache dpkg-deb; do
    command -v "$tool" >/dev/null || cannot_try "$tool is missing"
  done
  [ -e "$keyring" ] || cannot_try "$keyring is missing (package debian-archive-keyring)"
  : "${mirror:=$(debian_mirror)}"
  [ -n "$mirror" ] || cannot_try "apt names no mirror of Debian; FINDINGS_MIRROR can"

  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root"
  : >"$apt/status"
  for suite in $suites; do
    echo "deb [signed-by=$keyring] $mirror $suite main"
  done >"$apt/sources.list"
  local options=(
    -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status"
    -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives"
    -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
    -o APT::Architecture=amd64 -o APT::Architectures=amd64
    -o APT::Default-Release="${suites##* }" -o APT::Install-Recommends=false
    -o APT::Sandbox::User="$(id -un)" -o APT::Keep-Downloaded-Packages=true
    -o Acquire::Languages=none
  )
  apt-get "${options[@]}" -qq --error-on=any update ||
    cannot_try "apt cannot read '$suites' of its mirror"

  if ! apt-get "${options[@]}" -qq --yes --download-only install "$package=$version"; then
    served=$(apt-cache "${options[@]}" madison "$package" | awk '{ print $3 }')
    grep -qxF "$version" <<<"$served" && cannot_try "apt cannot download $package $version"
    echo "$package $version is no longer served in '$suites', but ${served//$'\n'/, }" >&2
    exit 3
  fi
  for archive in "$apt"/archives/*.deb; do
    dpkg-deb --extract "$archive" "$root" || cannot_try "$archive cannot be unpacked"
    rm "$archive"
  done

  cat >"$root.run" <<RUN
#!/bin/sh
libraries=$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu
for loader in $root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 \\
  $root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2; do
  [ ! -e "\$loader" ] || break
done
export QEMU_MODULE_DIR=$root/usr/lib/x86_64-linux-gnu/qemu
exec "\$loader" --library-path "\$libraries:\${libraries##*:}/pulseaudio" $root/usr/bin/"\$@"
RUN
  chmod +x "$root.run"
}

# qemu VERSION "SUITE..." DEBIAN_VERSION: unpacks this QEMU for `boot VERSION`.
qemu() {
  unpack "qemu-$1" "$2" qemu-system-x86 "$3"
  "$work/qemu-$1.run" qemu-system-x86_64 --version | grep -qF "version $1 " ||
    cannot_try "the unpacked QEMU $1 does not run"
}

# guest NAME: assembles the source on standard input, behind guest.s, into $work/NAME.elf.
guest() {
  local as=(as) ld=(ld)
  if ! command -v as >/dev/null || ! command -v ld >/dev/null; then
    [ -e "$work/binutils.run" ] || unpack binutils bookworm binutils 2.40-2 </dev/null
    as=("$work/binutils.run" x86_64-linux-gnu-as) ld=("$work/binutils.run" x86_64-linux-gnu-ld)
  fi
  cat "$findings/guest.s" - | "${as[@]}" --32 -o "$work/$1.o" -
  "${ld[@]}" -m elf_i386 -z noexecstack -Ttext 0x200000 -e boot -o "$work/$1.elf" "$work/$1.o"
}

# boot VERSION GUEST [OPTION...]: the guest on this QEMU. Prints what the guest says; and what QEMU
# says and how it ends, unless the guest ends it.
boot() {
  local root=$work/qemu-$1 kernel=$work/$2.elf status=0
  shift 2
  : >"$work/said"
  timeout 60 "$root.run" qemu-system-x86_64 -nodefaults -display none -machine q35 -m 32M \
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" \
    -debugcon "file:$work/said" -device isa-debug-exit,iobase=0xf4,iosize=1 \
    -kernel "$kernel" "$@" </dev/null >"$work/complaint" 2>&1 || status=$?
  cat "$work/said"
  if [ "$status" -ne 33 ]; then
    sed 's/^.*qemu-system-x86_64: //' "$work/complaint"
    echo "QEMU ended with status $status"
  fi
}

# expect OUTPUT: compares what is seen, on standard input, with what was seen.
expect() {
  local seen
  seen=$(cat)
  echo "$seen"
  if [ "$seen" != "$1" ]; then
    printf 'This is new. It was:\n%s\n' "$1" >&2
    exit 1
  fi
}
