#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Stands for a program of the simulated machine, one that goes on when it has said something.
echo told
exec sleep 20
