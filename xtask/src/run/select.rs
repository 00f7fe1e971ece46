// SPDX-License-Identifier: MIT OR Apache-2.0
//! From names to what is booted.

use crate::catalog::{COMMON_FAULTS, Fault, SCENARIOS, Scenario};
use crate::error::UserError;
use crate::guest::{Job, bochs};

/// What is to be booted, and what the user should know about the choice.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) jobs: Vec<Job>,
    pub(crate) notes: Vec<String>,
}

/// Chooses scenarios by `names` (all that fit, if there are none) and gives `fault` to those that know it.
pub(crate) fn choose(names: &[String], fault: Option<&str>, cpus: u8) -> Result<Chosen, UserError> {
    let cpus = usize::from(cpus);
    let mut notes = Vec::new();
    let scenarios =
        if names.is_empty() { fitting(cpus, &mut notes) } else { by_names(names, cpus)? };
    let Some(fault) = fault else {
        let jobs = scenarios.into_iter().map(|scenario| Job { scenario, fault: None }).collect();
        return Ok(Chosen { jobs, notes });
    };
    if !scenarios.iter().any(|scenario| find_fault(scenario, fault).is_some()) {
        return Err(UserError::UnknownFault {
            name: fault.to_owned(),
            known: known_faults(&scenarios),
        });
    }
    let mut jobs = Vec::new();
    for scenario in scenarios {
        match find_fault(scenario, fault) {
            Some(known) if known.min_cpus > cpus => {
                let what = format!("fault `{fault}` of scenario `{}`", scenario.name);
                return Err(UserError::TooFewCpus { what, needed: known.min_cpus, given: cpus });
            }
            Some(known) => jobs.push(Job { scenario, fault: Some(known.name) }),
            None if names.is_empty() => {}
            None => {
                notes.push(format!(
                    "{} has no fault `{fault}` and is booted without one",
                    scenario.name
                ));
                jobs.push(Job { scenario, fault: None });
            }
        }
    }
    Ok(Chosen { jobs, notes })
}

/// Leaves out what Bochs has no device for, with a note; refuses it if it was asked for by name.
pub(crate) fn keep_to_bochs(chosen: &mut Chosen, by_name: bool) -> Result<(), UserError> {
    let mut refused = None;
    let notes = &mut chosen.notes;
    chosen.jobs.retain(|job| match bochs::refuses(job.scenario) {
        None => true,
        Some(error) => {
            notes.push(format!("{} is left out: {error}", job.scenario.name));
            refused.get_or_insert(error);
            false
        }
    });
    match refused {
        Some(error) if by_name || chosen.jobs.is_empty() => Err(error),
        _ => Ok(()),
    }
}

fn fitting(cpus: usize, notes: &mut Vec<String>) -> Vec<&'static Scenario> {
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.min_cpus > cpus) {
        notes.push(format!(
            "{} is left out: it needs at least {} CPUs",
            scenario.name, scenario.min_cpus
        ));
    }
    SCENARIOS.iter().filter(|scenario| scenario.min_cpus <= cpus).collect()
}

fn by_names(names: &[String], cpus: usize) -> Result<Vec<&'static Scenario>, UserError> {
    let mut scenarios: Vec<&'static Scenario> = Vec::new();
    for name in names {
        let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == name) else {
            let known = join(SCENARIOS.iter().map(|scenario| scenario.name));
            return Err(UserError::UnknownScenario { name: name.clone(), known });
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

fn known_faults(scenarios: &[&Scenario]) -> String {
    let own = scenarios.iter().map(|scenario| {
        let names = join(scenario.faults.iter().map(|fault| fault.name));
        format!("{names} ({})", scenario.name)
    });
    let common = join(COMMON_FAULTS.iter().map(|fault| fault.name));
    own.chain([format!("{common} (every scenario)")]).collect::<Vec<_>>().join("; ")
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
        let chosen = choose(&names(scenarios), fault, cpus).expect("a good choice");
        chosen.jobs.iter().map(|job| (job.scenario.name, job.fault)).collect()
    }

    #[test]
    fn without_names_every_scenario_that_fits_is_chosen() {
        let large = choose(&[], None, 8).expect("all fit");
        assert_eq!((large.jobs.len(), large.notes.len()), (SCENARIOS.len(), 0));
        let small = choose(&[], None, 1).expect("some fit");
        assert_eq!(small.jobs.len() + small.notes.len(), SCENARIOS.len());
        assert!(small.jobs.iter().all(|job| job.scenario.min_cpus <= 1));
    }

    #[test]
    fn names_are_taken_in_order_and_once() {
        let twice = chosen(&["unknown", "hot-remove", "unknown"], None, 4);
        assert_eq!(twice, [("unknown", None), ("hot-remove", None)]);
    }

    #[test]
    fn a_fault_alone_chooses_the_scenarios_that_know_it() {
        assert_eq!(chosen(&[], Some("poison-early"), 4), [("hot-remove", Some("poison-early"))]);
        assert_eq!(chosen(&[], Some("panic"), 8).len(), SCENARIOS.len());
    }

    #[test]
    fn a_scenario_without_the_fault_is_booted_clean() {
        let both = chosen(&["unknown", "hot-remove"], Some("poison-early"), 4);
        assert_eq!(both, [("unknown", None), ("hot-remove", Some("poison-early"))]);
    }

    #[test]
    fn wrong_names_are_answered_with_the_right_ones() {
        let error = choose(&names(&["nope"]), None, 4).expect_err("no such scenario");
        assert!(
            error.to_string().contains(
                "there is no scenario `nope`; the scenarios are: shared-source, hot-remove"
            )
        );
        let error = choose(&names(&["unknown"]), Some("poison-early"), 4)
            .expect_err("another scenario's fault");
        assert!(matches!(error, UserError::UnknownFault { .. }));
        assert!(
            error.to_string().contains("hidden-claim") && error.to_string().contains("hang"),
            "{error}"
        );
    }

    #[test]
    fn bochs_boots_what_needs_no_device() {
        let mut chosen = choose(&[], None, 8).expect("all fit");
        keep_to_bochs(&mut chosen, false).expect("some are left");
        assert!(chosen.jobs.iter().all(|job| job.scenario.devices.is_empty()));
        assert_eq!(chosen.jobs.len() + chosen.notes.len(), SCENARIOS.len());
        for scenario in SCENARIOS.iter().filter(|scenario| !scenario.devices.is_empty()) {
            let mut chosen = choose(&names(&[scenario.name]), None, 8).expect("it fits");
            let error = keep_to_bochs(&mut chosen, true).expect_err("no such device");
            assert!(error.to_string().contains(scenario.name), "{error}");
        }
    }

    #[test]
    fn too_few_cpus_are_refused_by_name() {
        let error = choose(&names(&["hot-remove"]), Some("no-wait"), 1).expect_err("needs two");
        assert_eq!(
            error.to_string(),
            "fault `no-wait` of scenario `hot-remove` needs at least 2 CPUs, but --cpus is 1"
        );
        let error = choose(&names(&["idle-wake"]), None, 1).expect_err("needs two");
        assert_eq!(
            error.to_string(),
            "scenario `idle-wake` needs at least 2 CPUs, but --cpus is 1"
        );
    }
}
