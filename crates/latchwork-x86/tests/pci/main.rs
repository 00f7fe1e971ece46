// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PCI driver against a model of a bus that is written from the specification and shares no
//! constant with it.

mod header;
mod model;
mod msi;
mod own;
