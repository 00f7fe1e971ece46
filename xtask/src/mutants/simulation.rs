// SPDX-License-Identifier: MIT OR Apache-2.0
//! A scenario of the simulated machine as the check that catches a mutant.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::check::Verdict;
use super::tree::Tree;
use crate::explore::{self, Explorer};
use crate::process;

/// The explorer of the copied source, and the violation that it is to find.
#[derive(Debug)]
pub(super) struct Simulation {
    explorer: Explorer,
    scenario: String,
    property: String,
    output: PathBuf,
}

/// The fields of the explorer's JSON that this module uses.
#[derive(Debug, Deserialize)]
struct Found {
    policies: Vec<explore::Policy>,
}

impl Simulation {
    pub(super) fn build(scenario: &str, property: &str, tree: &Tree) -> anyhow::Result<Self> {
        let build_dir = tree.build_dir("simulation");
        let explorer = Explorer::build(&tree.source(), &build_dir)?;
        let output = build_dir.join("found.json");
        Ok(Self { explorer, scenario: scenario.to_owned(), property: property.to_owned(), output })
    }

    /// Searches the scenario with our own policies.
    pub(super) fn run(&self, limit: Duration) -> anyhow::Result<Verdict> {
        let mut command = Command::new(self.explorer.program());
        command.args(["--format", "json", "--scenario", &self.scenario, "--output"]);
        command.arg(&self.output);
        for policy in explore::OUR_POLICIES {
            command.args(["--policy", policy]);
        }
        drop(fs::remove_file(&self.output));
        let captured = process::capture(&mut command, limit).context("cannot run the explorer")?;
        let Some(status) = captured.status else {
            return Ok(Verdict::TimedOut);
        };
        let Ok(json) = fs::read_to_string(&self.output) else {
            let last = captured.output.lines().last().unwrap_or_default();
            return Ok(Verdict::Strange(format!("{status}: {last}")));
        };
        let found: Found = serde_json::from_str(&json).context("in the explorer's JSON")?;
        judge(&found, &self.property)
    }
}

fn judge(found: &Found, property: &str) -> anyhow::Result<Verdict> {
    if found.policies.is_empty() {
        return Ok(Verdict::NotRun);
    }
    let (mut is_violated, mut is_unfinished, mut others) = (false, false, Vec::new());
    for (name, outcome) in found.policies.iter().flat_map(|policy| &policy.properties) {
        match outcome.as_str() {
            "violated" if name == property => is_violated = true,
            "violated" => others.push(name.as_str()),
            "unfinished" => is_unfinished = true,
            "held" => {}
            other => bail!("property {name} is `{other}`, which is neither held nor violated"),
        }
    }
    // The search goes on for other properties after it has found one, and may not see all for
    // those.
    Ok(match (is_violated, is_unfinished) {
        (true, _) => Verdict::Failed,
        (false, true) => Verdict::TimedOut,
        (false, false) if others.is_empty() => Verdict::Passed,
        (false, false) => {
            Verdict::Strange(format!("not {property} is violated, but {}", others.join(", ")))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(json: &str) -> Verdict {
        judge(&serde_json::from_str(json).expect("good JSON"), "N1").expect("a verdict")
    }

    #[test]
    fn only_the_named_property_catches() {
        let policy = |n1: &str, l: &str| {
            format!(r#"{{"policies":[{{"name":"p","properties":{{"N1":"{n1}","L":"{l}"}}}}]}}"#)
        };
        assert_eq!(verdict(&policy("held", "held")), Verdict::Passed);
        assert_eq!(verdict(&policy("violated", "held")), Verdict::Failed);
        assert_eq!(verdict(&policy("violated", "violated")), Verdict::Failed);
        assert!(matches!(verdict(&policy("held", "violated")), Verdict::Strange(_)));
        assert_eq!(verdict(&policy("held", "unfinished")), Verdict::TimedOut);
        assert_eq!(verdict(&policy("violated", "unfinished")), Verdict::Failed);
        assert_eq!(verdict(r#"{"policies":[]}"#), Verdict::NotRun);
    }
}
