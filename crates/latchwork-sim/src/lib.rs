// SPDX-License-Identifier: MIT OR Apache-2.0
//! The simulated machine: Latchwork's real source, run on models of the hardware and searched for what
//! breaks it.

pub mod engine;
