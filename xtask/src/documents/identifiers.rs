// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: a name in backticks that looks like one of the source is one.

use std::collections::BTreeSet;
use std::fs;

use super::{documents, files};
use crate::workspace;

/// Names of other projects' sources that documents speak of, and endings of names.
const FOREIGN: [&str; 10] = [
    "IRQ_HANDLED",
    "NMI_HANDLED",
    "_bytes",
    "_cycles",
    "_ms",
    "_ns",
    "_ticks",
    "_us",
    "rcu_gp",
    "stop_machine",
];

/// Documents that speak of emulators' sources.
const OF_EMULATORS: [&str; 2] = ["docs/src/verified/emulators.md", "findings/"];

/// Where the source lies.
const SOURCE: [&str; 4] = ["crates", "kernel", "tests", "xtask"];

fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty())
}

/// Whether the words are a name, simple or a path, and not plain prose.
fn is_name(code: &str) -> bool {
    let is_path = code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    is_path && code.contains(['_', ':'])
}

#[test]
fn every_name_in_backticks_is_in_the_source() {
    let root = workspace::root();
    let mut known: BTreeSet<String> = FOREIGN.iter().map(|&name| name.to_owned()).collect();
    for path in SOURCE.iter().flat_map(|folder| files(&root.join(folder), "rs")) {
        known.extend(words(&fs::read_to_string(path).expect("text")).map(str::to_owned));
    }
    let (mut checked, mut faults) = (0, Vec::new());
    let is_of_emulators = |name: &str| OF_EMULATORS.iter().any(|it| name.starts_with(it));
    for document in documents().iter().filter(|it| !is_of_emulators(&it.name)) {
        for code in document.code.iter().filter(|code| is_name(code)) {
            checked += 1;
            if let Some(word) = words(code).find(|word| !known.contains(*word)) {
                faults.push(format!("{}: `{code}`: there is no `{word}`", document.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 200, "{checked} names");
}

#[test]
fn names_are_told_from_other_words() {
    for name in ["try_remove", "Nmi::dispatch", "Recovery::Poll", "hold_us"] {
        assert!(is_name(name), "{name}");
    }
    for other in ["q35", "first-claim-stops", "sti; hlt", "cargo xtask run", "a_slot_given_up_…"]
    {
        assert!(!is_name(other), "{other}");
    }
}
