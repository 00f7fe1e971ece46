// SPDX-License-Identifier: MIT OR Apache-2.0
//! Selects the scenarios to boot.

use serde::Serialize;

use super::promises;
use crate::catalog::{COMMON_FAULTS, Fault, SCENARIOS, Scenario};
use crate::error::UserError;
use crate::guest::Job;
use crate::nearest;

/// Which scenarios the user asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted<'a> {
    /// Those that show every promise.
    First,
    /// All.
    All,
    /// These.
    Named(&'a [String]),
}

/// What to boot, and what the user should know about the choice.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) jobs: Vec<Job>,
    /// What the user asked for and `run` cannot boot.
    pub(crate) skipped: Vec<Skipped>,
    /// How many scenarios `run` boots only if the user asks for them.
    pub(crate) unasked: usize,
    pub(crate) notes: Vec<String>,
}

/// A scenario that is not booted, and why, in one line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Skipped {
    pub(crate) name: &'static str,
    pub(crate) reason: String,
}

/// Chooses scenarios and gives `fault` to those that know it; if the user names none, to any that
/// know it.
pub(crate) fn choose(
    wanted: Wanted<'_>,
    fault: Option<&str>,
    cpus: u8,
) -> Result<Chosen, UserError> {
    let cpus = usize::from(cpus);
    let Some(fault) = fault else {
        return Ok(match wanted {
            Wanted::First => {
                let mut chosen = fitting(cpus, promises::is_first);
                chosen.unasked = SCENARIOS.iter().filter(|it| !promises::is_first(it)).count();
                chosen
            }
            Wanted::All => fitting(cpus, |_| true),
            Wanted::Named(names) => {
                let scenarios = by_names(names, cpus)?;
                Chosen { jobs: scenarios.into_iter().map(clean).collect(), ..Chosen::default() }
            }
        });
    };
    match wanted {
        Wanted::First | Wanted::All => with_fault(fitting(cpus, |_| true), fault, cpus, false),
        Wanted::Named(names) => {
            let jobs = by_names(names, cpus)?.into_iter().map(clean).collect();
            with_fault(Chosen { jobs, ..Chosen::default() }, fault, cpus, true)
        }
    }
}

/// Scenarios with some of their faults, and some of those that every scenario has, to be listed.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) scenarios: Vec<(&'static Scenario, Vec<&'static Fault>)>,
    pub(crate) common: Vec<&'static Fault>,
}

impl Selection {
    /// The scenarios of these names, or all if there are none, with all their faults. Where one
    /// `fault` is named, only those that have it, with that alone.
    pub(crate) fn of(names: &[String], fault: Option<&str>) -> Result<Self, UserError> {
        let scenarios: Vec<_> = match names {
            [] => SCENARIOS.iter().collect(),
            _ => by_names(names, usize::MAX)?,
        };
        let is_named = |it: &&Fault| fault.is_none_or(|name| it.name == name);
        let common: Vec<_> = COMMON_FAULTS.iter().filter(is_named).collect();
        let own = |scenario: &'static Scenario| {
            (scenario, scenario.faults.iter().filter(is_named).collect::<Vec<_>>())
        };
        let mut selected: Vec<_> = scenarios.iter().copied().map(own).collect();
        if let (Some(name), true) = (fault, common.is_empty()) {
            selected.retain(|(_, faults)| !faults.is_empty());
            if selected.is_empty() {
                return Err(unknown_fault(name, &scenarios));
            }
        }
        Ok(Self { scenarios: selected, common })
    }
}

/// Leaves out each scenario for which `refusal` gives a reason. It is an error if the user named
/// it, or if nothing is left.
pub(crate) fn leave_out(
    chosen: &mut Chosen,
    wanted: Wanted<'_>,
    refusal: impl Fn(&Scenario) -> Option<String>,
) -> Result<(), UserError> {
    let skipped = &mut chosen.skipped;
    chosen.jobs.retain(|job| match refusal(job.scenario) {
        None => true,
        Some(reason) => {
            skipped.push(Skipped { name: job.scenario.name, reason });
            false
        }
    });
    let refused = chosen.skipped.first();
    match refused.filter(|_| matches!(wanted, Wanted::Named(_)) || chosen.jobs.is_empty()) {
        None => Ok(()),
        Some(Skipped { name, reason }) => {
            Err(UserError::CannotBoot { scenario: (*name).to_owned(), reason: reason.clone() })
        }
    }
}

/// Every scenario that is `included` and that has enough CPUs.
fn fitting(cpus: usize, included: impl Fn(&Scenario) -> bool) -> Chosen {
    let mut chosen = Chosen::default();
    for scenario in SCENARIOS.iter().filter(|scenario| included(scenario)) {
        if scenario.min_cpus <= cpus {
            chosen.jobs.push(clean(scenario));
        } else {
            let reason = format!("it needs at least {} CPUs", scenario.min_cpus);
            chosen.skipped.push(Skipped { name: scenario.name, reason });
        }
    }
    chosen
}

/// Makes those of `chosen` that know the fault make it. Of the others, it keeps those that were
/// `named`, without a fault.
fn with_fault(chosen: Chosen, fault: &str, cpus: usize, named: bool) -> Result<Chosen, UserError> {
    let scenarios: Vec<_> = chosen.jobs.iter().map(|job| job.scenario).collect();
    if !scenarios.iter().any(|scenario| find_fault(scenario, fault).is_some()) {
        return Err(unknown_fault(fault, &scenarios));
    }
    let mut faulty = Chosen::default();
    for scenario in scenarios {
        match find_fault(scenario, fault) {
            Some(known) if known.min_cpus > cpus => {
                let what = format!("fault `{fault}` of scenario `{}`", scenario.name);
                return Err(UserError::TooFewCpus { what, needed: known.min_cpus, given: cpus });
            }
            Some(known) => faulty.jobs.push(Job { scenario, fault: Some(known.name) }),
            None if named => {
                let name = scenario.name;
                faulty
                    .notes
                    .push(format!("{name} has no fault `{fault}` and is booted without one"));
                faulty.jobs.push(clean(scenario));
            }
            None => {}
        }
    }
    Ok(faulty)
}

const fn clean(scenario: &'static Scenario) -> Job {
    Job { scenario, fault: None }
}

fn by_names(names: &[String], cpus: usize) -> Result<Vec<&'static Scenario>, UserError> {
    let mut scenarios: Vec<&'static Scenario> = Vec::new();
    for name in names {
        let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == name) else {
            let known = || SCENARIOS.iter().map(|scenario| scenario.name);
            return Err(UserError::UnknownName {
                what: "scenario",
                name: name.clone(),
                question: nearest::question(name, known()),
                known: join(known()),
            });
        };
        if scenario.min_cpus > cpus {
            let what = format!("scenario `{name}`");
            return Err(UserError::TooFewCpus { what, needed: scenario.min_cpus, given: cpus });
        }
        if !scenarios.iter().any(|known| known.name == scenario.name) {
            scenarios.push(scenario);
        }
    }
    Ok(scenarios)
}

fn find_fault(scenario: &'static Scenario, name: &str) -> Option<&'static Fault> {
    scenario.faults.iter().chain(COMMON_FAULTS).find(|fault| fault.name == name)
}

/// None of `scenarios` has a fault of that name.
fn unknown_fault(name: &str, scenarios: &[&'static Scenario]) -> UserError {
    let own = scenarios.iter().map(|scenario| (scenario.name, scenario.faults));
    let groups: Vec<_> = own.chain([("every scenario", COMMON_FAULTS)]).collect();
    let names = |faults: &'static [Fault]| faults.iter().map(|fault| fault.name);
    let known = groups.iter().map(|&(of, faults)| format!("{} ({of})", join(names(faults))));
    UserError::UnknownFault {
        name: name.to_owned(),
        question: nearest::question(name, groups.iter().flat_map(|&(_, faults)| names(faults))),
        known: known.collect::<Vec<_>>().join("; "),
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn chosen(
        scenarios: &[&str],
        fault: Option<&str>,
        cpus: u8,
    ) -> Vec<(&'static str, Option<&'static str>)> {
        let names = names(scenarios);
        let wanted = if names.is_empty() { Wanted::First } else { Wanted::Named(&names) };
        let chosen = choose(wanted, fault, cpus).expect("a good choice");
        chosen.jobs.iter().map(|job| (job.scenario.name, job.fault)).collect()
    }

    #[test]
    fn of_all_scenarios_those_that_do_not_fit_are_skipped() {
        let large = choose(Wanted::All, None, 8).expect("all fit");
        assert_eq!((large.jobs.len(), large.skipped.len()), (SCENARIOS.len(), 0));
        let small = choose(Wanted::All, None, 1).expect("some fit");
        assert_eq!(small.jobs.len() + small.skipped.len(), SCENARIOS.len());
        assert!(small.jobs.iter().all(|job| job.scenario.min_cpus <= 1));
        assert!(small.skipped.iter().all(|it| it.reason == "it needs at least 2 CPUs"));
    }

    #[test]
    fn what_is_not_booted_at_first_is_counted() {
        let first = choose(Wanted::First, None, 8).expect("all fit");
        assert_eq!(first.jobs.len() + first.unasked, SCENARIOS.len());
        assert!(first.unasked > 0);
        assert_eq!(choose(Wanted::All, None, 8).expect("all fit").unasked, 0);
    }

    #[test]
    fn names_are_taken_in_order_and_once() {
        let twice = chosen(&["unknown", "hot-remove", "unknown"], None, 4);
        assert_eq!(twice, [("unknown", None), ("hot-remove", None)]);
    }

    #[test]
    fn a_fault_alone_chooses_the_scenarios_that_know_it() {
        assert_eq!(chosen(&[], Some("poison-early"), 4), [("hot-remove", Some("poison-early"))]);
        assert_eq!(chosen(&[], Some("double-ring"), 4), [("sequences", Some("double-ring"))]);
        assert_eq!(chosen(&[], Some("panic"), 8).len(), SCENARIOS.len());
    }

    #[test]
    fn a_scenario_without_the_fault_is_booted_clean() {
        let both = chosen(&["unknown", "hot-remove"], Some("poison-early"), 4);
        assert_eq!(both, [("unknown", None), ("hot-remove", Some("poison-early"))]);
    }

    #[test]
    fn wrong_names_are_answered_with_the_right_ones() {
        let error =
            choose(Wanted::Named(&names(&["nope"])), None, 4).expect_err("no such scenario");
        let known = "there is no scenario `nope`; there are: shared-source, hot-remove";
        assert!(error.to_string().contains(known), "{error}");
        let error = choose(Wanted::Named(&names(&["unknown"])), Some("poison-early"), 4)
            .expect_err("another scenario's fault");
        assert!(matches!(error, UserError::UnknownFault { .. }));
        let text = error.to_string();
        assert!(text.contains("hidden-claim") && text.contains("hang"), "{text}");
    }

    #[test]
    fn what_an_emulator_cannot_boot_is_skipped_with_its_reason() {
        let refuse = |scenario: &Scenario| {
            (!scenario.devices.is_empty()).then(|| format!("no devices for {}", scenario.name))
        };
        let mut chosen = choose(Wanted::All, None, 8).expect("all fit");
        leave_out(&mut chosen, Wanted::All, refuse).expect("some are left");
        assert!(chosen.jobs.iter().all(|job| job.scenario.devices.is_empty()));
        assert_eq!(chosen.jobs.len() + chosen.skipped.len(), SCENARIOS.len());
        assert!(chosen.skipped.iter().all(|it| it.reason.ends_with(it.name)), "{chosen:?}");
    }

    #[test]
    fn what_was_named_or_leaves_nothing_is_an_error_and_not_skipped() {
        let refuse = |scenario: &Scenario| (scenario.name == "hpet").then(|| String::from("why"));
        let both = names(&["hpet", "unknown"]);
        let wanted = Wanted::Named(&both);
        let mut chosen = choose(wanted, None, 4).expect("both fit");
        let error = leave_out(&mut chosen, wanted, refuse).expect_err("named");
        assert_eq!(error.to_string(), "scenario `hpet` cannot be booted: why");
        let mut chosen = choose(Wanted::First, None, 4).expect("some fit");
        let error = leave_out(&mut chosen, Wanted::First, |_| Some(String::from("why")));
        assert!(error.is_err_and(|error| error.to_string().contains("shared-source")));
    }

    fn listed(scenarios: &[&str], fault: Option<&str>) -> (String, String) {
        let selection = Selection::of(&names(scenarios), fault).expect("known names");
        let of = |(scenario, faults): &(&Scenario, Vec<&Fault>)| {
            let names: Vec<_> = faults.iter().map(|fault| fault.name).collect();
            format!("{}: {}", scenario.name, names.join(" "))
        };
        let own = selection.scenarios.iter().map(of).collect::<Vec<_>>();
        (own.join("; "), join(selection.common.iter().map(|fault| fault.name)))
    }

    #[test]
    fn what_is_named_is_listed_alone() {
        let all = Selection::of(&[], None).expect("all");
        assert_eq!(all.scenarios.len(), SCENARIOS.len());
        assert_eq!(all.common.len(), COMMON_FAULTS.len());
        let (hot_remove, common) = listed(&["hot-remove"], None);
        assert!(hot_remove.starts_with("hot-remove: ") && hot_remove.contains(" poison-early"));
        assert!(!hot_remove.contains(';') && common.contains("hang"), "{hot_remove}; {common}");
        let poison_early = (String::from("hot-remove: poison-early"), String::new());
        assert_eq!(listed(&[], Some("poison-early")), poison_early);
        assert_eq!(listed(&["unknown", "hot-remove"], Some("poison-early")), poison_early);
        let hang = (String::from("hot-remove: "), String::from("hang"));
        assert_eq!(listed(&["hot-remove"], Some("hang")), hang);
    }

    #[test]
    fn what_cannot_be_listed_is_refused() {
        let refused = |scenarios: &[&str], fault| {
            Selection::of(&names(scenarios), fault).expect_err("unknown").to_string()
        };
        assert!(refused(&["nope"], None).contains("no scenario `nope`"));
        assert!(refused(&[], Some("nope")).contains("a fault `nope`"));
        assert!(refused(&["unknown"], Some("poison-early")).contains("hidden-claim"));
    }

    #[test]
    fn too_few_cpus_are_refused_by_name() {
        let hot_remove = names(&["hot-remove"]);
        let error = choose(Wanted::Named(&hot_remove), Some("no-wait"), 1).expect_err("needs two");
        assert_eq!(
            error.to_string(),
            "fault `no-wait` of scenario `hot-remove` needs at least 2 CPUs, but --cpus is 1"
        );
        let idle_wake = names(&["idle-wake"]);
        let error = choose(Wanted::Named(&idle_wake), None, 1).expect_err("needs two");
        assert_eq!(
            error.to_string(),
            "scenario `idle-wake` needs at least 2 CPUs, but --cpus is 1"
        );
    }
}
