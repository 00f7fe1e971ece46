// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: what the documents call a test, a mutant or a scenario is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::catalog::{SCENARIOS, Scenario};
use crate::mutants;
use crate::workspace;

/// Modules that a document may name as a whole.
const TEST_MODULES: [&str; 4] = ["loom", "nested", "icr", "Vector"];

fn document(name: &str) -> String {
    fs::read_to_string(workspace::root().join(name)).expect("a document")
}

/// The cells of each row of each table below `heading`, up to the next heading of that level.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let below = text.split(heading).nth(1).expect("the heading");
    let section = below.split("\n## ").next().expect("some text");
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|---");
    let cells = |line: &'a str| line.trim_matches('|').split(" | ").map(str::trim).collect();
    section.lines().filter(is_row).map(cells).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The names of all functions in the Rust files of `folder`.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            for line in text.lines() {
                if let Some((_, rest)) = line.split_once("fn ") {
                    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                    names.insert(rest[..end.unwrap_or(rest.len())].to_owned());
                }
            }
        }
    }
}

fn is_function(name: &str, functions: &BTreeSet<String>) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    match last.strip_suffix('…') {
        Some(start) => functions.iter().any(|function| function.starts_with(start)),
        None => functions.contains(last),
    }
}

fn is_of_scenario(name: &str, scenario: &Scenario) -> bool {
    scenario.name == name || scenario.faults.iter().any(|fault| fault.name == name)
}

#[test]
fn the_table_of_mutants_is_that_of_the_patches() {
    let text = document("VERIFICATION.md");
    let told: BTreeSet<(String, String)> = rows(&text, "\n## Mutants\n")
        .iter()
        .skip(1)
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].to_owned()))
        .collect();
    let there: BTreeSet<(String, String)> =
        mutants::names_and_mistakes().expect("good headers").into_iter().collect();
    assert_eq!(told, there);
}

#[test]
fn what_shows_the_answers_to_the_two_threads_exists() {
    let mutants: BTreeSet<String> = mutants::names_and_mistakes()
        .expect("good headers")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let mut known = BTreeSet::new();
    for folder in ["crates", "kernel/src"] {
        functions(&workspace::root().join(folder), &mut known);
    }
    let text = document("ARCHITECTURE.md");
    let answers = rows(&text, "\n## Questions of the two threads\n");
    assert!(answers.len() > 80, "{} rows", answers.len());
    for row in answers {
        let shown_by = row.last().expect("a cell");
        for name in quoted(shown_by) {
            let exists = is_function(name, &known)
                || mutants.contains(name)
                || SCENARIOS.iter().any(|scenario| is_of_scenario(name, scenario))
                || TEST_MODULES.contains(&name)
                || name.starts_with("cargo ");
            assert!(exists, "`{name}` in row {row:?}");
        }
    }
}
