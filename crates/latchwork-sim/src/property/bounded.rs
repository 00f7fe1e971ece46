// SPDX-License-Identifier: MIT OR Apache-2.0
//! W: dispatch is bounded.

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::Fact,
};

/// As many accesses, to memory and to hardware, one NMI makes at most, those of NMIs that nest in
/// it not counted. The longest way leads through every handler of a scenario: a PMU's, of 14
/// accesses, up to four external devices', of 2 each, and port 0x61's, of 9, asked once and again
/// for a poll that is owed meanwhile, and a send by one of them, of up to 22 with both halves of
/// the ICR; besides, the dispatcher's own are about 20 for each poll and 30 for the rest. Where
/// deferred edges are settled, before and after, there may be one more poll each time.
pub const MOST_ACCESSES: usize = 400;

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
    use super::super::history::tell;
    use super::*;
    use crate::machine::Ending;

    #[test]
    fn one_access_more_is_too_many() {
        let ended = |accesses| Fact::Ended { cpu: 0, serial: 1, ending: Ending::Claimed, accesses };
        assert_eq!(tell(Bounded, &[ended(MOST_ACCESSES)]), Ok(()));
        assert!(tell(Bounded, &[ended(MOST_ACCESSES + 1)]).is_err());
    }
}
