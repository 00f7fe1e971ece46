// SPDX-License-Identifier: MIT OR Apache-2.0
//! How debts are paid: a setting.

/// How a tick pays a debt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// It asks the Platform handlers there and then, with interrupts off, outside any NMI: no extra
    /// NMI, and nothing to absorb.
    #[default]
    Poll = 0,
    /// It sends its own CPU a [`Request::Probe`](crate::Request::Probe), so that the Platform
    /// handlers are asked in NMI context.
    ProbeNmi = 1,
}
