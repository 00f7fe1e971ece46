// SPDX-License-Identifier: MIT OR Apache-2.0
//! A scenario on Bochs as the check that catches a mutant.

use std::time::Duration;

use anyhow::Context as _;

use super::check::Verdict;
use super::tree::Tree;
use crate::catalog::{SCENARIOS, Scenario};
use crate::guest::bochs::{self, BochsHost};
use crate::guest::boot::Deaf;
use crate::guest::{Breakage, Emulator as _, Job, Limits, ScenarioOutcome, kernel};
use crate::iso::grub;
use crate::machine::{Apic, Machine};

/// A guest that is silent for this long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// The kernel of the copied source, and the scenario that it boots.
#[derive(Debug)]
pub(super) struct Guest {
    host: BochsHost,
    scenario: &'static Scenario,
    words: String,
}

impl Guest {
    /// Builds the kernel from the copy. `words` are part of the reason for which the scenario must
    /// not hold.
    pub(super) fn build(scenario: &str, words: &str, tree: &Tree) -> anyhow::Result<Self> {
        let named = SCENARIOS.iter().find(|known| known.name == scenario);
        let scenario = named.with_context(|| format!("there is no scenario `{scenario}`"))?;
        if let Some(error) = bochs::refuses(scenario) {
            return Err(error.into());
        }
        let host = BochsHost {
            bochs: bochs::find_or_install(false)?,
            grub: grub::find_or_install(false)?,
            kernel: kernel::build(&tree.source(), &tree.build_dir("kernel"))?,
        };
        Ok(Self { host, scenario, words: words.to_owned() })
    }

    /// Boots the scenario on as few CPUs as it needs: other checks cover what reaches other CPUs.
    pub(super) fn run(&self, limit: Duration) -> anyhow::Result<Verdict> {
        let machine = Machine {
            machine_type: bochs::MACHINE_TYPE,
            cpus: u8::try_from(self.scenario.min_cpus)?,
            apic: Apic::Xapic,
            clock: bochs::CLOCK,
        };
        let job = Job { scenario: self.scenario, fault: None };
        let limits =
            Limits { silence: SILENCE.min(limit), total: limit, over_at_end_record: false };
        Ok(judge(&self.host.run_job(job, machine, limits, &mut Deaf)?, &self.words))
    }
}

fn judge(outcome: &ScenarioOutcome, words: &str) -> Verdict {
    if outcome.report.held {
        return Verdict::Passed;
    }
    let failed = || outcome.report.checks.iter().filter(|check| !check.held);
    if failed().any(|check| format!("{}: {}", check.name, check.saw).contains(words)) {
        return Verdict::Failed;
    }
    if outcome.breakages.contains(&Breakage::Hung) {
        return Verdict::TimedOut;
    }
    let reasons: Vec<_> = failed().map(|check| format!("{}: {}", check.name, check.saw)).collect();
    Verdict::Strange(reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::ScenarioReport;
    use crate::guest::wire::{Check, Totals};

    fn outcome(held: bool, saw: &str, breakages: &[Breakage]) -> ScenarioOutcome {
        let check = Check { name: "c".into(), held, expected: "e".into(), saw: saw.into() };
        let report = ScenarioReport {
            name: "s".into(),
            held,
            totals: Totals::default(),
            boots: Vec::new(),
            checks: vec![check],
        };
        ScenarioOutcome { report, breakages: breakages.to_vec(), tails: Vec::new() }
    }

    #[test]
    fn only_the_reason_that_was_named_is_a_catch() {
        let panicked = [Breakage::Panicked];
        assert_eq!(
            judge(&outcome(false, "errors 0x40", &panicked), "errors 0x40"),
            Verdict::Failed
        );
        assert_eq!(judge(&outcome(false, "errors 0x40", &[]), "c: errors"), Verdict::Failed);
        assert_eq!(judge(&outcome(true, "errors 0x40", &[]), "errors 0x40"), Verdict::Passed);
        assert!(matches!(
            judge(&outcome(false, "errors 0x20", &panicked), "errors 0x40"),
            Verdict::Strange(why) if why == "c: errors 0x20"
        ));
        let hung = outcome(false, "no output", &[Breakage::Hung]);
        assert_eq!(judge(&hung, "errors 0x40"), Verdict::TimedOut);
    }
}
