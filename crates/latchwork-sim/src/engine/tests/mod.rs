// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine on worlds whose answers are known.

mod interruptions;
mod memory;
mod reduction;
mod reference;
mod replay;
mod toy;
mod waits;
