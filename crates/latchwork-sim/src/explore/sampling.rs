// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random search: long executions, one for each seed.

use std::ops::Range;

use serde::Serialize;

use super::Entry;
use crate::{
    engine::{Bounds, Property, Verdict},
    run::Setting,
    scenario::{Extent, Scenario},
};

/// The result of a policy in a scenario for a range of seeds: as JSON, one line, which
/// [merges](super::merge_lines) with lines of other ranges.
#[derive(Debug, Serialize)]
pub struct Line {
    schema: u32,
    policy: &'static str,
    scenario: &'static str,
    /// Ranges, as they were asked for.
    seeds: Vec<String>,
    executions: usize,
    points: u64,
    seconds: f64,
    violation: Option<Violated>,
}

#[derive(Debug, Serialize)]
struct Violated {
    property: String,
    text: String,
    seed: Option<u64>,
    replay: String,
}

impl Line {
    /// Whether nothing was violated.
    #[must_use]
    pub const fn held(&self) -> bool {
        self.violation.is_none()
    }

    /// How many choice points were passed.
    #[must_use]
    pub const fn points(&self) -> u64 {
        self.points
    }

    /// The violation in words, and the command that replays it.
    #[must_use]
    pub fn found(&self) -> Option<(&str, &str)> {
        self.violation.as_ref().map(|it| (it.text.as_str(), it.replay.as_str()))
    }

    /// The policy and the scenario.
    #[must_use]
    pub const fn place(&self) -> (&'static str, &'static str) {
        (self.policy, self.scenario)
    }
}

/// How many choice points a long execution has at most.
pub const LONG_POINTS: usize = 5_000_000;

/// Runs `entry` in `scenario` once for each seed, up to the first violation. It minimises that, if
/// `is_new` says of the property that nobody has yet: that takes as long as tens of thousands of
/// executions. Otherwise the line names the seed that finds it again.
#[must_use]
pub fn sample(
    entry: &Entry,
    scenario: &'static Scenario,
    seeds: Range<u64>,
    is_new: &dyn Fn(Property) -> bool,
) -> Line {
    let bounds = Bounds { points: LONG_POINTS, ..scenario.bounds() };
    let setting = Setting::new(scenario, Extent::Long, &entry.policy);
    let report = setting.sample(&bounds, seeds.clone());
    let violation = match report.verdict {
        Verdict::Violated(found) => {
            let seed = found.seed.unwrap_or(seeds.start);
            let (shown, how) = if is_new(found.violation.property) {
                let least = setting.minimise(&bounds, &found);
                let how = format!("--long --replay {}", least.trace);
                (least.violation, how)
            } else {
                (found.violation, format!("--seed-range {seed}..{}", seed.wrapping_add(1)))
            };
            let (policy, scenario) = (entry.name, scenario.name);
            Some(Violated {
                property: shown.property.to_string(),
                text: shown.to_string(),
                seed: found.seed,
                replay: format!(
                    "cargo xtask explore --policy {policy} --scenario {scenario} {how}"
                ),
            })
        }
        Verdict::Unfinished(limit) => Some(Violated {
            property: "unfinished".to_owned(),
            text: limit.to_string(),
            seed: None,
            replay: String::new(),
        }),
        Verdict::Held => None,
    };
    Line {
        schema: 1,
        policy: entry.name,
        scenario: scenario.name,
        seeds: vec![format!("{}..{}", seeds.start, seeds.end)],
        executions: report.executions,
        points: report.points,
        seconds: report.elapsed.as_secs_f64(),
        violation,
    }
}
