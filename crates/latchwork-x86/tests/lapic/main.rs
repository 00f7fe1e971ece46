// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC driver against a model that is written from the manual and shares no constant
//! with it.

mod apic_base;
mod errors;
#[path = "../nmi_lines/image.rs"]
mod image;
mod lint_nmis;
mod model;
mod nmi_sends;
mod registers;
