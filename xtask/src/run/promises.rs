// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which promise each scenario shows, and which scenarios `run` boots by default: enough to show
//! each promise, in less than a minute.

use crate::catalog::Scenario;

/// What the library promises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Promise {
    NothingLost,
    NoFalseUnknown,
    AbsorbedInTime,
    WaitFree,
    RemovalOver,
    /// What the promises rest on.
    Groundwork,
}

/// When `run` boots a scenario.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum When {
    /// By default.
    First,
    /// If the user names it, or with `--all-scenarios`: it takes long, and others show its promise.
    Asked,
}

const SHOWN: [(&str, Promise, When); 19] = [
    ("shared-source", Promise::NothingLost, When::First),
    ("hot-remove", Promise::RemovalOver, When::First),
    ("self-nmi-in-handler", Promise::NothingLost, When::Asked),
    ("unknown", Promise::AbsorbedInTime, When::First),
    ("entry-state", Promise::Groundwork, When::First),
    ("idle-wake", Promise::Groundwork, When::First),
    ("hpet", Promise::NothingLost, When::First),
    ("button", Promise::Groundwork, When::First),
    ("watchdog-card", Promise::NoFalseUnknown, When::First),
    ("edu-msi", Promise::NothingLost, When::First),
    ("module-unload", Promise::RemovalOver, When::First),
    ("cpu-offline", Promise::WaitFree, When::First),
    ("lost-external", Promise::NothingLost, When::First),
    ("probe-coalesce", Promise::NoFalseUnknown, When::First),
    ("true-unknown-during-probes", Promise::AbsorbedInTime, When::First),
    ("stop-and-claim", Promise::NoFalseUnknown, When::First),
    ("deferred-storm", Promise::NothingLost, When::First),
    ("stuck-sender", Promise::WaitFree, When::First),
    ("sequences", Promise::NothingLost, When::Asked),
];

impl Promise {
    /// In a word or two.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::NothingLost => "nothing lost",
            Self::NoFalseUnknown => "no false unknown",
            Self::AbsorbedInTime => "absorbed in time",
            Self::WaitFree => "wait-free",
            Self::RemovalOver => "removal over",
            Self::Groundwork => "groundwork",
        }
    }
}

/// The promise that `scenario` shows.
pub(super) fn shown_by(scenario: &Scenario) -> Option<Promise> {
    row(scenario).map(|&(_, promise, _)| promise)
}

/// Whether `run` boots `scenario` by default.
pub(super) fn is_first(scenario: &Scenario) -> bool {
    row(scenario).is_some_and(|&(_, _, when)| when == When::First)
}

fn row(scenario: &Scenario) -> Option<&'static (&'static str, Promise, When)> {
    SHOWN.iter().find(|(name, ..)| *name == scenario.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SCENARIOS;

    #[test]
    fn every_scenario_has_its_row_in_order() {
        let rows = SHOWN.iter().map(|(name, ..)| *name);
        assert!(rows.eq(SCENARIOS.iter().map(|scenario| scenario.name)));
    }

    #[test]
    fn the_first_command_shows_every_promise() {
        for (asked, promise, _) in SHOWN {
            let by_first = |row: &&(_, Promise, When)| row.1 == promise && row.2 == When::First;
            assert!(SHOWN.iter().any(|row| by_first(&row)), "nothing shows {asked}'s promise");
        }
        for promise in [
            Promise::NothingLost,
            Promise::NoFalseUnknown,
            Promise::AbsorbedInTime,
            Promise::WaitFree,
            Promise::RemovalOver,
        ] {
            assert!(SHOWN.iter().any(|&(_, shown, _)| shown == promise), "{promise:?}");
        }
    }
}
