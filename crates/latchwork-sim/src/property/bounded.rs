// SPDX-License-Identifier: MIT OR Apache-2.0
//! W: dispatch is bounded.
//!
//! The bound is the sum of what the core's code can do in one NMI, each part as often and as long
//! as its loops allow. So no search sees an NMI that long; the constants are the core's, and no
//! term grows with how many edges come, how many NMIs come on top, or what other CPUs do meanwhile.

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Fact, Hardware},
};

/// An entry of the ledger has three words, and there are six. A step reads each entry that is in
/// use, and which are; it writes each once at most, which are in use, since when they explain, when
/// the CPU could take them, and the latest ring taken.
const STEP: usize = (1 + 6 * 3) + (6 * 3 + 5 + 8);
/// A debt, its maker, and the interrupt for work.
const OWE: usize = 10;
/// Records of edges that wait.
const RECORDS: usize = 4;
/// The Unknown handlers' order, what is due after leaving, and a storm that begins.
const UNKNOWN: usize = 7;
/// The excuses of late sends, and all records, each as late sends and as unknown edges.
const LAST_RESORT: usize = 1 + STEP + RECORDS * 2 * UNKNOWN;
/// One step for all records.
const ABSORB: usize = 2 + RECORDS + STEP;
/// A record each, and a tick.
const DEFER: usize = RECORDS * 9 + 3;
/// The handler of PMIs makes eleven accesses, the library seven around it, and sends: 31, with both
/// halves of the ICR. A second handler may be behind the same doorbell.
const LOCAL: usize = 2 * (11 + 7) + 31;
/// What dispatch does around all that, from the read word to what is due after leaving.
const AROUND: usize = 50;

/// How many accesses, to memory and to hardware, one NMI makes at most on that machine, without
/// those of NMIs that nest in it.
pub fn most_accesses(hardware: &Hardware) -> usize {
    let handlers = hardware.externals.len() + usize::from(hardware.port61.is_some());
    // One look at senders goes to 64 CPUs at most, and ends one walk and begins another.
    let walk = 23 + 2 * hardware.cpus.min(64);
    // For each Platform handler, and then a step.
    let adopt = 21 + 10 * handlers + STEP;
    let balance = STEP + walk + 18;
    let prepare = adopt + 6 + balance;
    let look = STEP + walk + handlers + 21;
    // The library makes 28 accesses for each handler that claims. That of an external device makes
    // two, that of port 0x61 seventeen.
    let asking = 2 + OWE + 30 * handlers + 15 * usize::from(hardware.port61.is_some());
    // The lock is tried twice, where it is lost, and there are two rounds.
    let poll = 1 + 3 * (OWE + 2) + OWE + 2 * asking;
    let deferred = RECORDS * 12 + prepare + ABSORB + LAST_RESORT;
    let own = look + deferred + 2 * (prepare + ABSORB) + poll + DEFER + LAST_RESORT;
    let tray = 21 + 2 * (prepare + ABSORB) + OWE + poll + adopt + balance + DEFER + LAST_RESORT;
    let leave = look + adopt + STEP;
    let parked = adopt + STEP;
    // The tray is looked at twice, and what is deferred before this edge and after it.
    AROUND + LOCAL + own + 2 * tray + deferred + leave + parked
}

/// The monitor of W.
#[derive(Debug)]
pub struct Bounded {
    most_accesses: usize,
}

impl Bounded {
    /// For that machine.
    pub fn new(hardware: &Hardware) -> Self {
        Self { most_accesses: most_accesses(hardware) }
    }
}

impl Monitor for Bounded {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        let most = self.most_accesses;
        match *fact {
            Fact::Ended { cpu, accesses, .. } if accesses > most => Err(Violation::new(
                Property::W,
                format!("CPU {cpu} made {accesses} accesses in an NMI, {most} at most"),
            )),
            _ => Ok(()),
        }
    }

    fn fold(&self, _: &mut Fingerprint) {}
}

#[cfg(test)]
mod tests {
    use super::super::history::verdict;
    use super::*;
    use crate::machine::Ending;

    #[test]
    fn one_access_more_is_too_many() {
        let most = most_accesses(&Hardware::BARE);
        let ended = |accesses| Fact::Ended { cpu: 0, serial: 1, ending: Ending::Claimed, accesses };
        let judge = || Bounded::new(&Hardware::BARE);
        assert_eq!(verdict(judge(), &[ended(most)]), Ok(()));
        assert!(verdict(judge(), &[ended(most + 1)]).is_err());
    }

    #[test]
    fn the_bound_grows_with_cpus_up_to_those_of_one_look() {
        let with = |cpus| most_accesses(&Hardware { cpus, ..Hardware::BARE });
        assert!(with(3) > with(2));
        assert_eq!(with(64), with(4_096));
    }
}
