#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Stands for apt-get, and as `sudo` for that: notes what it is asked for in FAKE_LOG, and fails as
# without a network.
case $1 in
--version) exit ;;
esac
echo "$*" >>"$FAKE_LOG"
echo 'E: Failed to fetch: Temporary failure resolving a host' >&2
exit 100
