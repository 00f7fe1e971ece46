// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two logs of each sequence, and where they differ.

use std::fmt::Write as _;

use crate::guest::wire::Played;

/// How wide a column is.
const WIDTH: usize = 46;

/// The logs of both sides for one seed. A side that has not played it has none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pair<'a> {
    pub(crate) simulated: Option<&'a Played>,
    pub(crate) emulated: Option<&'a Played>,
}

/// A sequence in which the sides differ, from that line of their logs on, counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Difference<'a> {
    pub(crate) pair: Pair<'a>,
    pub(crate) line: usize,
}

/// All sequences of two runs.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) sequences: usize,
    /// What the simulated machine did in all of them.
    pub(crate) sums: Played,
    pub(crate) agreeing: Vec<Pair<'a>>,
    pub(crate) differences: Vec<Difference<'a>>,
}

impl Pair<'_> {
    pub(crate) fn seed(&self) -> u64 {
        self.simulated.or(self.emulated).map_or(0, |played| played.seed)
    }

    fn logs(&self) -> [Vec<&str>; 2] {
        [self.simulated, self.emulated]
            .map(|side| side.map_or(Vec::new(), |played| played.log.split("; ").collect()))
    }

    /// The first line that differs, if the sides do not agree in everything.
    fn first_difference(&self) -> Option<usize> {
        if self.simulated == self.emulated {
            return None;
        }
        let [simulated, emulated] = self.logs();
        let same = simulated.iter().zip(&emulated).take_while(|(one, other)| one == other);
        Some(same.count() + 1)
    }
}

impl<'a> Comparison<'a> {
    /// Pairs the sides by seed, which must occur once on each.
    pub(crate) fn of(simulated: &'a [Played], emulated: &'a [Played]) -> Self {
        let length = simulated.len().max(emulated.len());
        let mut comparison = Self {
            sequences: length,
            sums: Played::default(),
            agreeing: Vec::new(),
            differences: Vec::new(),
        };
        for place in 0..length {
            let pair = Pair { simulated: simulated.get(place), emulated: emulated.get(place) };
            if let Some(played) = pair.simulated {
                add(&mut comparison.sums, played);
            }
            match pair.first_difference() {
                None => comparison.agreeing.push(pair),
                Some(line) => comparison.differences.push(Difference { pair, line }),
            }
        }
        comparison
    }

    /// Whether both sides did the same throughout, in at least one sequence and with NMIs.
    pub(crate) fn agrees(&self) -> bool {
        self.differences.is_empty() && self.sequences != 0 && self.sums.steps != 0
    }
}

/// Whether both sides did the same, in at least one sequence and with NMIs.
pub(crate) fn agree(simulated: &[Played], emulated: &[Played]) -> bool {
    Comparison::of(simulated, emulated).agrees()
}

fn add(sums: &mut Played, played: &Played) {
    let Played { steps, dispatches, claims, absorbed, deferred, unknown, .. } = *played;
    sums.steps += steps;
    sums.dispatches += dispatches;
    sums.claims += claims;
    sums.absorbed += absorbed;
    sums.deferred += deferred;
    sums.unknown += unknown;
}

/// Both logs, line by line, with a mark at lines that differ.
pub(crate) fn side_by_side(pair: &Pair<'_>) -> String {
    let [simulated, emulated] = pair.logs();
    let mut text = format!("    {:WIDTH$} {}\n", "simulated machine", "reference kernel");
    for line in 0..simulated.len().max(emulated.len()) {
        let [one, other] = [&simulated, &emulated].map(|log| log.get(line).copied().unwrap_or(""));
        let mark = if one == other { ' ' } else { '!' };
        let _ = writeln!(text, "  {mark} {one:WIDTH$} {other}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(seed: u64, log: &str) -> Played {
        Played { seed, steps: 1, dispatches: 2, log: log.to_owned(), ..Played::default() }
    }

    #[test]
    fn sides_that_do_the_same_agree() {
        let side = [played(1, "a; b"), played(2, "c")];
        let comparison = Comparison::of(&side, &side);
        assert!(comparison.agrees());
        assert_eq!((comparison.sequences, comparison.sums.dispatches), (2, 4));
    }

    #[test]
    fn another_line_is_a_difference_from_there_on() {
        let (one, other) = ([played(1, "a; b; c")], [played(1, "a; x; c")]);
        let comparison = Comparison::of(&one, &other);
        assert!(!comparison.agrees());
        assert_eq!(comparison.differences[0].line, 2);
        let text = side_by_side(&comparison.differences[0].pair);
        assert!(text.contains("  ! b") && !text.contains("! a") && !text.contains("! c"), "{text}");
    }

    #[test]
    fn a_log_that_goes_on_is_a_difference() {
        let (one, other) = ([played(1, "a")], [played(1, "a; b")]);
        assert_eq!(Comparison::of(&one, &other).differences[0].line, 2);
        assert_eq!(Comparison::of(&other, &one).differences[0].line, 2);
    }

    #[test]
    fn another_seed_or_count_is_a_difference_though_the_logs_are_the_same() {
        let (one, other) = ([played(1, "a")], [played(2, "a")]);
        assert!(!Comparison::of(&one, &other).agrees());
        let other = [Played { unknown: 1, ..played(1, "a") }];
        assert!(!Comparison::of(&one, &other).agrees());
    }

    #[test]
    fn a_sequence_that_one_side_has_not_played_is_a_difference() {
        let side = [played(1, "a"), played(2, "b")];
        for (one, other) in [(&side[..], &side[..1]), (&side[..1], &side[..])] {
            let comparison = Comparison::of(one, other);
            assert_eq!((comparison.differences.len(), comparison.agrees()), (1, false));
            assert_eq!(comparison.differences[0].pair.seed(), 2);
        }
    }

    #[test]
    fn nothing_does_not_agree_with_nothing() {
        assert!(!Comparison::of(&[], &[]).agrees());
        let idle = [Played { steps: 0, ..played(1, "") }];
        assert!(!Comparison::of(&idle, &idle).agrees());
    }
}
