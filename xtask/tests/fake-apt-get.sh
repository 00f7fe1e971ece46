#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Stands for apt-get, and as `sudo` for that: notes what it is asked for in FAKE_LOG, and fails as
# without a network. Where FAKE_REMOVES names a package, there is a network, and that package is in
# the way of whatever is to be installed.
case $1 in
--version) exit ;;
esac
echo "$*" >>"$FAKE_LOG"
if [ -n "${FAKE_REMOVES-}" ]; then
  case "$*" in
  *update) exit ;;
  *--simulate*) echo "Remv $FAKE_REMOVES [1:7.2]"; exit ;;
  esac
  echo 'E: Packages need to be removed but remove is disabled.' >&2
  exit 100
fi
echo 'E: Failed to fetch: Temporary failure resolving a host' >&2
exit 100
