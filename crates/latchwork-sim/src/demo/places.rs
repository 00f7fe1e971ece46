// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs one policy with all cues, at every place in its code at which they can come.

use super::cue::{Cue, Cues};
use crate::{
    engine::Violation,
    event_log::{self, LogEntry},
    run::Setting,
};

/// One execution in which all cues have come.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) violation: Option<Violation>,
    pub(super) entries: Vec<LogEntry>,
    /// When each cue came, in microseconds after the beginning.
    pub(super) given_us: Vec<u64>,
}

/// How many executions it tries at most.
const MOST_RUNS: usize = 5_000;

/// All executions in which all cues come, the earliest places first. CPUs take turns as they do by
/// default.
pub(super) fn runs(setting: &Setting<'_>, cues: &[Cue]) -> Result<Vec<Run>, String> {
    let mut runs = Vec::new();
    let mut skips = vec![0; cues.len()];
    for _ in 0..MOST_RUNS {
        let (run, given) = run(setting, cues, &skips)?;
        if given == cues.len() {
            runs.push(run);
        }
        if !advance(&mut skips, cues, given) {
            return Ok(runs);
        }
    }
    Err(format!("there are more than {MOST_RUNS} places for what happens"))
}

fn run(setting: &Setting<'_>, cues: &[Cue], skips: &[usize]) -> Result<(Run, usize), String> {
    let mut director = Cues::new(cues, skips);
    let bounds = setting.scenario.bounds();
    let (directed, entries) = event_log::record(|| setting.direct(&bounds, &mut director));
    if !directed.is_whole {
        return Err("an execution does not end".to_owned());
    }
    let given = director.given();
    Ok((Run { violation: directed.violation, entries, given_us: director.given_us }, given))
}

/// Moves to the next places: the last free cue comes one place later, or, if some cue did not come,
/// the free cue before that one. Returns whether there are such places.
fn advance(skips: &mut [usize], cues: &[Cue], given: usize) -> bool {
    let later = (0..cues.len().min(given)).rev().find(|place| cues[*place].when.is_free());
    let Some(place) = later else { return false };
    skips[place] += 1;
    skips[place + 1..].fill(0);
    true
}
