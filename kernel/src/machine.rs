// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which machine this is, as its PCI host bridge says.

use latchwork_x86::pci::{Address, Identity};

use crate::pci;

/// The address of the host bridge on every PC.
const HOST_BRIDGE: (u8, u8, u8) = (0, 0, 0);

/// The memory controller of QEMU's `q35` (Intel 3 Series Express Chipset Family datasheet, 5.1,
/// "VID" and "DID").
const Q35: Identity = Identity { vendor: 0x8086, device: 0x29c0 };
/// The host bridge of QEMU's `pc` (Intel 440FX PCIset datasheet, 3.2.1 and 3.2.2, "VID" and "DID").
const I440FX: Identity = Identity { vendor: 0x8086, device: 0x1237 };

/// The machine's name, as QEMU calls it; `unknown` for any other. Boot CPU, before others start.
pub(crate) fn name() -> &'static str {
    let mut space = pci::config_space();
    let (bus, device, function) = HOST_BRIDGE;
    match Address::new(bus, device, function).and_then(|bridge| space.identity(bridge)) {
        Some(Q35) => "q35",
        Some(I440FX) => "pc",
        _ => "unknown",
    }
}
