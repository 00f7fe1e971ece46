// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which functions there are (PCI Local Bus Specification 3.0, 6.2.1).

use super::{Address, ConfigSpace, Identity, Register};
use crate::hw::Port;

const MULTI_FUNCTION: u32 = 1 << 23;
const LAST_FUNCTION: u8 = 7;
const LAST_DEVICE: u8 = 31;

impl<P: Port> ConfigSpace<P> {
    /// All functions of all devices on all 256 buses, in the order of their addresses.
    ///
    /// Asks every address, some 8,200 of them, which takes about 20 ms on hardware. It need not
    /// understand bridges: a bus that is not there does not answer.
    pub fn functions(&mut self) -> Functions<'_, P> {
        Functions { space: self, next: Address::new(0, 0, 0) }
    }

    /// The first function that is called `identity`.
    pub fn find(&mut self, identity: Identity) -> Option<Address> {
        self.functions().find(|(_, other)| *other == identity).map(|(address, _)| address)
    }

    fn has_more_functions(&mut self, address: Address) -> bool {
        self.read(address, Register::HEADER_TYPE) & MULTI_FUNCTION != 0
    }
}

/// Iterator over all functions of all devices.
#[derive(Debug)]
pub struct Functions<'s, P> {
    space: &'s mut ConfigSpace<P>,
    next: Option<Address>,
}

impl<P: Port> Iterator for Functions<'_, P> {
    type Item = (Address, Identity);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(address) = self.next {
            let identity = self.space.identity(address);
            // Only function 0 must be there, and says whether to ask the others.
            let is_last = address.function == 0
                && (identity.is_none() || !self.space.has_more_functions(address));
            self.next = following(address, is_last);
            if let Some(identity) = identity {
                return Some((address, identity));
            }
        }
        None
    }
}

impl<P: Port> core::iter::FusedIterator for Functions<'_, P> {}

fn following(address: Address, is_last_function: bool) -> Option<Address> {
    let Address { bus, device, function } = address;
    if !is_last_function && function < LAST_FUNCTION {
        Some(Address { function: function.checked_add(1)?, ..address })
    } else if device < LAST_DEVICE {
        Address::new(bus, device.checked_add(1)?, 0)
    } else {
        Address::new(bus.checked_add(1)?, 0, 0)
    }
}
