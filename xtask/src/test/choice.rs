// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chooses the steps to do.

use std::collections::BTreeSet;

use super::step::{Group, Step};
use crate::error::UserError;
use crate::nearest;

/// What the command line says of the steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'a> {
    /// Names of steps and groups; none means all.
    pub(super) names: &'a [String],
    /// The first step, if not all are wanted.
    pub(super) from: Option<&'a str>,
}

/// The chosen steps, in the order of `steps`, and how many it left out because they `have_passed`.
/// It adds the steps that a chosen step needs.
pub(super) fn choose(
    steps: Vec<Step>,
    choice: Choice<'_>,
    has_passed: impl Fn(&str) -> bool,
) -> Result<(Vec<Step>, usize), UserError> {
    let asked_for = wanted(&steps, choice)?;
    let mut wanted: BTreeSet<_> =
        asked_for.iter().filter(|name| !has_passed(name)).cloned().collect();
    // A step comes after those that it needs.
    for step in steps.iter().rev() {
        if wanted.contains(&step.name) {
            wanted.extend(step.needs.iter().cloned());
        }
    }
    let passed_before = asked_for.difference(&wanted).count();
    let chosen = steps.into_iter().filter(|step| wanted.contains(&step.name)).collect();
    Ok((chosen, passed_before))
}

/// Refuses a name that none of `steps` has.
pub(super) fn check(steps: &[Step], choice: Choice<'_>) -> Result<(), UserError> {
    wanted(steps, choice).map(drop)
}

fn wanted(steps: &[Step], choice: Choice<'_>) -> Result<BTreeSet<String>, UserError> {
    let unknown = |name: &str| {
        let few = nearest::few(name, names(steps));
        UserError::NothingChosen(format!(
            "there is no step `{name}`; the nearest names are {}; `cargo xtask test --list`, with \
             the same other options, names all",
            few.join(", ")
        ))
    };
    let first = match choice.from {
        None => 0,
        Some(from) => {
            steps.iter().position(|step| step.is_named(from)).ok_or_else(|| unknown(from))?
        }
    };
    for name in choice.names {
        if !steps.iter().any(|step| step.is_named(name)) {
            return Err(unknown(name));
        }
    }
    let is_wanted = |step: &&Step| match choice.names {
        [] => true,
        names => names.iter().any(|name| step.is_named(name)),
    };
    Ok(steps[first..].iter().filter(is_wanted).map(|step| step.name.clone()).collect())
}

/// All that steps can be chosen by: their names, the beginnings of these, and groups.
fn names(steps: &[Step]) -> BTreeSet<&str> {
    let whole = steps.iter().map(|step| step.name.as_str());
    let beginnings =
        whole.clone().flat_map(|name| name.match_indices("::").map(|(end, _)| &name[..end]));
    let groups = steps.iter().map(|step| step.group.name());
    whole.chain(beginnings).chain(groups).collect()
}

impl Step {
    /// Whether `name` is its own, its group's, or names all that begin with it and `::`.
    fn is_named(&self, name: &str) -> bool {
        let rest = self.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            || Group::name(self.group) == name
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::*;

    fn steps() -> Vec<Step> {
        let step = |name, group| Step::new(name, group, |_| Outcome::Passed);
        vec![
            step("kernel", Group::Preparations),
            step("clippy", Group::Checks),
            step("mutant::a", Group::Mutants),
            step("mutant::ab", Group::Mutants),
            step("sid::unknown::q35", Group::Boots).after("kernel"),
        ]
    }

    fn chosen(names: &[&str], from: Option<&str>, passed: &[&str]) -> (String, usize) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let choice = Choice { names: &names, from };
        let has_passed = |name: &str| passed.contains(&name);
        let (steps, before) = choose(steps(), choice, has_passed).expect("known names");
        (steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(" "), before)
    }

    #[test]
    fn every_listed_name_chooses_its_step() {
        for step in steps() {
            let (names, _) = chosen(&[&step.name], None, &[]);
            assert!(names.split(' ').any(|name| name == step.name), "{names}");
        }
        assert_eq!(chosen(&["mutant::a"], None, &[]).0, "mutant::a");
    }

    #[test]
    fn groups_and_beginnings_choose_several() {
        assert_eq!(chosen(&["mutants", "clippy"], None, &[]).0, "clippy mutant::a mutant::ab");
        assert_eq!(chosen(&["mutant"], None, &[]).0, "mutant::a mutant::ab");
        assert_eq!(chosen(&["sid"], None, &[]).0, "kernel sid::unknown::q35");
    }

    #[test]
    fn from_a_step_on_means_that_one_and_all_behind_it() {
        assert_eq!(chosen(&[], Some("mutant::ab"), &[]).0, "kernel mutant::ab sid::unknown::q35");
    }

    #[test]
    fn what_has_passed_is_left_out_unless_it_is_needed() {
        assert_eq!(
            chosen(&[], None, &["kernel", "clippy", "mutant::a"]),
            (String::from("kernel mutant::ab sid::unknown::q35"), 2)
        );
        assert_eq!(chosen(&["clippy"], None, &["clippy"]), (String::new(), 1));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        for (names, from) in [(&["mut"][..], None), (&["clippy", "x"], None), (&[], Some("y"))] {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            let choice = Choice { names: &names, from };
            let refused = choose(steps(), choice, |_| false).expect_err("unknown");
            assert!(refused.to_string().contains("--list"), "{refused}");
            assert_eq!(check(&steps(), choice), Err(refused));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        for (name, nearest) in [("clipy", "clippy"), ("mutnats", "mutants"), ("sidd", "sid")] {
            let names = [name.to_owned()];
            let refused = check(&steps(), Choice { names: &names, from: None });
            let error = refused.expect_err(name).to_string();
            assert!(error.contains(&format!("the nearest names are {nearest}, ")), "{error}");
        }
    }
}
