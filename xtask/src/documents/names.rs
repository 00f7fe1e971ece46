// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: whatever the documents call a test, a mutant or a scenario is one.

use std::collections::BTreeSet;
use std::fs;

use super::markdown::quoted;
use super::source::functions;
use super::{document, documents, files};
use crate::catalog::{SCENARIOS, Scenario};
use crate::mutants;
use crate::workspace;

/// Modules that a document may name as a whole.
const TEST_MODULES: [&str; 4] = ["loom", "nested", "icr", "Vector"];

fn mutants() -> BTreeSet<(String, String)> {
    mutants::names_and_mistakes().expect("good headers").into_iter().collect()
}

/// The names that a document may give as evidence.
struct Known {
    functions: BTreeSet<String>,
    mutants: BTreeSet<String>,
}

impl Known {
    fn collect() -> Self {
        let mut all = BTreeSet::new();
        for folder in ["crates", "kernel/src"] {
            all.extend(functions(&workspace::root().join(folder)));
        }
        Self { functions: all, mutants: mutants().into_iter().map(|(name, _)| name).collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.is_function(name)
            || self.mutants.contains(name)
            || SCENARIOS.iter().any(|scenario| is_of_scenario(name, scenario))
            || TEST_MODULES.contains(&name)
            || name.starts_with("cargo ")
    }

    fn is_function(&self, name: &str) -> bool {
        let last = name.rsplit("::").next().unwrap_or(name);
        match last.strip_suffix('…') {
            Some(start) => self.functions.iter().any(|function| function.starts_with(start)),
            None => self.functions.contains(last),
        }
    }
}

fn is_of_scenario(name: &str, scenario: &Scenario) -> bool {
    scenario.name == name || scenario.faults.iter().any(|fault| fault.name == name)
}

#[test]
fn the_table_of_mutants_is_that_of_the_patches() {
    let chapter = document("docs/src/verified/mutants.md");
    let documented: BTreeSet<(String, String)> = chapter
        .rows("## The table")
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].to_owned()))
        .collect();
    let there = mutants();
    let (rowless, gone): (Vec<_>, Vec<_>) =
        (there.difference(&documented).collect(), documented.difference(&there).collect());
    assert!(documented == there, "patches without such a row: {rowless:#?}; rows: {gone:#?}");
}

/// Every name in the last column of the tables below `heading` is known. Returns how many rows
/// there are.
fn last_column_is_known(name: &str, heading: &str, known: &Known) -> usize {
    let document = document(name);
    let rows = document.rows(heading);
    for row in &rows {
        for quoted in quoted(row.last().expect("a cell")) {
            assert!(known.has(quoted), "`{quoted}` in row {row:?} of {name}");
        }
    }
    rows.len()
}

#[test]
fn what_shows_the_answers_to_the_two_threads_exists() {
    let known = Known::collect();
    for (name, heading, fewest) in [
        ("docs/src/threads/linux-2014.md", "# Linux, 2014: a delayed dummy NMI for lost NMIs", 35),
        ("docs/src/threads/freebsd-d46421.md", "# FreeBSD, D46421: NMI handlers as a list", 51),
    ] {
        let rows = last_column_is_known(name, heading, &known);
        assert!(rows >= fewest, "{rows} rows in {name}");
    }
}

#[test]
fn what_shows_the_invariants_exists() {
    let rows = last_column_is_known("ARCHITECTURE.md", "## Invariants", &Known::collect());
    assert!(rows >= 12, "{rows} invariants");
}

/// The names in backticks that follow one of `words`, such as "the mutant `first-claim-stops`".
fn named_after<'t>(text: &'t str, words: &[&str]) -> Vec<&'t str> {
    let is_name = |name: &&str| {
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let starts =
        words.iter().flat_map(|word| text.match_indices(word).map(|(at, _)| at + word.len()));
    starts.filter_map(|at| text[at..].split('`').next()).filter(is_name).collect()
}

#[test]
fn what_prose_calls_a_mutant_a_scenario_or_a_fault_is_one() {
    let mutants: BTreeSet<String> = mutants().into_iter().map(|(name, _)| name).collect();
    let mut source = String::new();
    for folder in ["kernel/src/catalog", "kernel/src/scenario", "crates/latchwork-sim/src/scenario"]
    {
        for path in files(&workspace::root().join(folder), "rs") {
            source.push_str(&fs::read_to_string(path).expect("text"));
        }
    }
    let (mut checked, mut faults) = (0, Vec::new());
    for document in documents() {
        let text = document.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let called_mutants = named_after(&text, &["mutant `", "Mutant `"]);
        let called_others = named_after(&text, &["cenario `", "fault `", "Fault `"]);
        checked += called_mutants.len() + called_others.len();
        let gone = called_mutants.into_iter().filter(|name| !mutants.contains(*name));
        let is_quoted = |name: &&str| source.contains(&format!("\"{name}\""));
        let gone = gone.chain(called_others.into_iter().filter(|name| !is_quoted(name)));
        faults.extend(gone.map(|name| format!("{}: there is no `{name}`", document.name)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 20, "{checked} names");
}

#[test]
fn names_that_are_not_there_are_not_known() {
    let known = Known::collect();
    for name in ["first-claim-stops", "hot-remove", "loom::registry::a_handler_is_published_whole"]
    {
        assert!(known.has(name), "{name}");
    }
    for name in ["no-such-mutant", "no_such_test", "loom::no_such_test", "a_handler_is_published…s"]
    {
        assert!(!known.has(name), "{name}");
    }
}
