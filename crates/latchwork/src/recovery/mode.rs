// SPDX-License-Identifier: MIT OR Apache-2.0
//! The setting that says how a tick pays debts.

/// How a tick pays a debt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// It asks the Platform handlers itself, with interrupts off, outside any NMI: there is no
    /// extra NMI, and nothing to absorb.
    #[default]
    Poll = 0,
    /// It sends its own CPU a [`Request::Probe`](crate::Request::Probe), so that the CPU asks the
    /// Platform handlers in NMI context.
    ProbeNmi = 1,
}
