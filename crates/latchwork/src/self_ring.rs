// SPDX-License-Identifier: MIT OR Apache-2.0
//! An NMI that a CPU sends to itself, for what it has noted in an NMI before.

use crate::{
    contract::{Platform, Request},
    cpu::PerCpu,
};

impl PerCpu {
    /// Has this CPU take an NMI for what it has noted for itself. Returns whether it will. Own CPU,
    /// with interrupts off.
    pub(crate) fn ring_itself(&self, platform: &dyn Platform, cpu: usize) -> bool {
        self.own.sending.begin();
        let mailbox = &self.senders.mailbox;
        let is_posted = !self.presence().is_away() && mailbox.post(Request::Again).is_ok();
        let has_rung = is_posted && platform.ring(cpu).is_ok();
        if is_posted {
            mailbox.finish();
        }
        self.own.sending.end();
        has_rung
    }
}
