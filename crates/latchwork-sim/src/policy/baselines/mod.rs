// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of other kernels' NMI code, small and written anew, which the same searches break that
//! ours has to withstand. A baseline keeps what makes a difference to the properties: the order in
//! which it asks, what it remembers from one NMI to the next, what CPUs share and by which
//! instructions.
//!
//! Each names its sources. We took no code from any of them.

mod backtrace;
mod credit;
mod delayed_work;
mod drivers;
mod freebsd;
mod handler_list;
mod linux;
mod pcint;
mod statics;

use self::{
    credit::CallAll,
    freebsd::{FreeBsd, StopHandler},
    linux::Linux,
    pcint::Drivers,
};
use super::Policy;
use crate::engine::Property;

/// A baseline, and how it breaks.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Makes it.
    pub policy: fn() -> Box<dyn Policy>,
    /// The properties that it breaks in [`scenario`](Self::scenario): these and no others. It is
    /// here to break the first.
    pub breaks: &'static [Property],
    /// The scenario that shows it.
    pub scenario: &'static str,
    /// A scenario in which it breaks nothing, and so does what it was made for.
    pub holds_in: &'static str,
}

/// All baselines.
#[must_use]
pub const fn baselines() -> &'static [Baseline] {
    BASELINES
}

static BASELINES: &[Baseline] = &[
    Baseline {
        name: "linux",
        summary: "local handlers first; port 0x61 only if nothing local was claimed",
        policy: || Box::new(Linux::Today),
        breaks: &[Property::L],
        scenario: "pmi-collapse-port61",
        holds_in: "unknown-among-pmis",
    },
    Baseline {
        name: "linux-amd-100ms",
        summary: "the same, where perf claims every NMI for 100 ms after each of its own",
        policy: || Box::new(Linux::Amd),
        breaks: &[Property::N2, Property::N3],
        scenario: "unknown-after-pmi",
        holds_in: "amd-counters",
    },
    Baseline {
        name: "linux-2014-posted",
        summary: "a dummy NMI after each claim; the flag that swallows it stays",
        policy: || Box::new(Linux::Posted),
        breaks: &[Property::N2],
        scenario: "unknown-among-pmis",
        holds_in: "pmi-collapse-port61",
    },
    Baseline {
        name: "linux-2014-intended",
        summary: "the same, with the flag cleared where its comment means to",
        policy: || Box::new(Linux::Intended),
        breaks: &[Property::N1],
        scenario: "pmi-collapse-port61",
        holds_in: "unknown-after-pmi",
    },
    Baseline {
        name: "freebsd-landed",
        summary: "the registered list of 2024, all of it called",
        policy: || Box::new(freebsd("freebsd-landed")),
        breaks: &[Property::Q],
        scenario: "remove-while-called",
        holds_in: "unknown-after-pmi",
    },
    Baseline {
        name: "freebsd-first-claim",
        summary: "the same list, up to the first claim",
        policy: || Box::new(FreeBsd { first_claim_ends: true, ..freebsd("freebsd-first-claim") }),
        breaks: &[Property::C],
        scenario: "pmi-collapse-bsp",
        holds_in: "unknown-after-pmi",
    },
    Baseline {
        name: "freebsd-stop-inverted",
        summary: "the stop handler in the list, returning 0 for \"mine\"",
        policy: || {
            Box::new(FreeBsd {
                stop_handler: StopHandler::ListedAsItIs,
                drivers: Drivers::Careful,
                ..freebsd("freebsd-stop-inverted")
            })
        },
        breaks: &[Property::N1],
        scenario: "stop-and-pmi",
        holds_in: "pmi-collapse-some",
    },
    Baseline {
        name: "freebsd-stop-double",
        summary: "the stop handler in the list, claiming in the same NMI as another",
        policy: || {
            Box::new(FreeBsd {
                stop_handler: StopHandler::Listed,
                drivers: Drivers::Careful,
                ..freebsd("freebsd-stop-double")
            })
        },
        breaks: &[Property::N1],
        scenario: "stop-and-pmi",
        holds_in: "unknown-among-pmis",
    },
    Baseline {
        name: "freebsd-late-topa",
        summary: "the stop handler in the list, and a ToPA PMI that rings before the one before it \
                  is acknowledged",
        policy: || {
            Box::new(FreeBsd {
                stop_handler: StopHandler::Listed,
                drivers: Drivers::PmcUnmasksFirst,
                ..freebsd("freebsd-late-topa")
            })
        },
        breaks: &[Property::N1],
        scenario: "topa-twice",
        holds_in: "unknown-after-pmi",
    },
    Baseline {
        name: "call-all",
        summary: "everybody is asked, and no edge is absorbed",
        policy: || Box::new(CallAll { name: "call-all", most_credit: 0 }),
        breaks: &[Property::N1],
        scenario: "stop-and-pmi",
        holds_in: "unknown-among-pmis",
    },
    Baseline {
        name: "credit-cap-one",
        summary: "everybody is asked, and one edge is absorbed at most",
        policy: || Box::new(CallAll { name: "credit-cap-one", most_credit: 1 }),
        breaks: &[Property::N1],
        scenario: "three-doorbells",
        holds_in: "stop-and-pmi",
    },
];

/// FreeBSD as the commit landed.
const fn freebsd(name: &'static str) -> FreeBsd {
    FreeBsd {
        name,
        first_claim_ends: false,
        stop_handler: StopHandler::Outside,
        drivers: Drivers::Landed,
    }
}
