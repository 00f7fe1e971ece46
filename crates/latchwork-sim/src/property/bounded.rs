// SPDX-License-Identifier: MIT OR Apache-2.0
//! W: dispatch is bounded.

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::Fact,
};

/// How many accesses, to memory and to hardware, one NMI makes at most, without those of NMIs that
/// nest in it. On the longest path the dispatcher asks every handler of a scenario: that of the PMU
/// makes 14 accesses, those of up to four external devices 2 each, that of port 0x61 9. It asks
/// them again for a poll that a CPU owes meanwhile, and one of them sends, with up to 22 accesses
/// for both halves of the ICR. The dispatcher's own accesses are about 20 for each poll and 30 for
/// the rest. Where it settles deferred edges, before and after, there may be one more poll each
/// time.
pub const MOST_ACCESSES: usize = 600;

/// The monitor of W.
#[derive(Debug)]
pub struct Bounded;

impl Monitor for Bounded {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        match *fact {
            Fact::Ended { cpu, accesses, .. } if accesses > MOST_ACCESSES => Err(Violation::new(
                Property::W,
                format!("CPU {cpu} made {accesses} accesses in an NMI, {MOST_ACCESSES} at most"),
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
        let ended = |accesses| Fact::Ended { cpu: 0, serial: 1, ending: Ending::Claimed, accesses };
        assert_eq!(verdict(Bounded, &[ended(MOST_ACCESSES)]), Ok(()));
        assert!(verdict(Bounded, &[ended(MOST_ACCESSES + 1)]).is_err());
    }
}
