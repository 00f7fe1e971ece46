// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: the chapter *Orderings* has a row for each fence of the core, and for each access with an
//! ordering.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::markdown::{Document, quoted};
use super::source::{functions, lines_of_code};
use super::{document, files};
use crate::workspace;

/// A file, a function in it, and an ordering.
type Access = (String, String, String);

const ORDERINGS: [&str; 4] = ["AcqRel", "Acquire", "Release", "SeqCst"];

/// The source of the core, but for its tests and the atomics' backends.
fn core_source() -> Vec<(String, String)> {
    let folder = workspace::root().join("crates/latchwork/src");
    let in_core = files(&folder, "rs").into_iter().filter_map(|path| {
        let name = path.strip_prefix(&folder).expect("below").to_string_lossy().replace('\\', "/");
        let is_core = !name.starts_with("tests/") && !name.starts_with("primitive/");
        is_core.then(|| (name, fs::read_to_string(&path).expect("text")))
    });
    in_core.collect()
}

/// The fences in a line: for each its ordering, or that it follows a read-modify-write.
fn fences_in(code: &str) -> Vec<&str> {
    let called = code.match_indices("fence").filter_map(|(at, name)| {
        let is_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &code[at + name.len()..];
        if rest.starts_with("_after_rmw()") {
            return is_word.then_some("after-rmw");
        }
        let order = rest.strip_prefix('(')?.split(')').next()?;
        is_word.then(|| order.trim_start_matches("Ordering::"))
    });
    called.collect()
}

/// Every fence of the source.
fn fences(source: &[(String, String)]) -> Vec<Access> {
    let mut found = Vec::new();
    for (file, text) in source {
        for (function, code) in lines_of_code(text) {
            for kind in fences_in(code) {
                found.push((file.clone(), function.to_owned(), kind.to_owned()));
            }
        }
    }
    found.sort();
    found
}

/// Every access of the source that is ordered, each once for its function and ordering.
fn accesses(source: &[(String, String)]) -> BTreeSet<Access> {
    let mut found = BTreeSet::new();
    for (file, text) in source {
        for (function, code) in
            lines_of_code(text).iter().filter(|line| fences_in(line.1).is_empty())
        {
            for order in ORDERINGS {
                if code.contains(&format!("Ordering::{order}")) {
                    found.insert((file.clone(), (*function).to_owned(), order.to_owned()));
                }
            }
        }
    }
    found
}

/// Each access, and how often it occurs.
fn in_numbers(all: impl IntoIterator<Item = Access>) -> BTreeMap<Access, usize> {
    let mut numbers = BTreeMap::new();
    for access in all {
        *numbers.entry(access).or_insert(0) += 1;
    }
    numbers
}

fn first_quoted(cell: &str) -> String {
    quoted(cell).next().unwrap_or_else(|| panic!("no name in `{cell}`")).to_owned()
}

/// The table of fences: the access of each row, by its number.
fn documented_fences(chapter: &Document) -> BTreeMap<&str, (Access, &str)> {
    let rows = chapter.rows("## Fences");
    let count = rows.len();
    let documented: BTreeMap<_, _> = rows
        .into_iter()
        .map(|row| {
            let access = (first_quoted(row[1]), first_quoted(row[2]), row[3].to_owned());
            (row[0], (access, row[4]))
        })
        .collect();
    assert_eq!(documented.len(), count, "two rows have one number");
    documented
}

/// The table of words: each access that a row names, in the files that it names; and the accesses
/// that rows name and the source lacks.
fn documented_accesses(
    chapter: &Document,
    there: &BTreeSet<Access>,
) -> (BTreeSet<Access>, Vec<String>) {
    let (mut documented, mut faults) = (BTreeSet::new(), Vec::new());
    for row in chapter.rows("## Words") {
        let files: Vec<&str> = quoted(row[1]).collect();
        for entry in row[2].split(", ").chain(row[3].split(", ")) {
            let function = first_quoted(entry);
            let order = entry.rsplit(' ').next().expect("a word").to_owned();
            let in_file = |file: &&str| ((*file).to_owned(), function.clone(), order.clone());
            let named: Vec<Access> =
                files.iter().map(in_file).filter(|access| there.contains(access)).collect();
            if named.is_empty() {
                faults.push(format!("row `{}`: there is no {entry} in {files:?}", row[0]));
            }
            documented.extend(named);
        }
    }
    (documented, faults)
}

#[test]
fn every_fence_has_a_row_and_every_row_a_fence() {
    let chapter = document("docs/src/orderings.md");
    let rows = documented_fences(&chapter);
    let documented = in_numbers(rows.into_values().map(|(access, _)| access));
    let there = in_numbers(fences(&core_source()));
    assert!(there.len() > 10, "{} fences", there.len());
    let only_in = |one: &BTreeMap<Access, usize>, other: &BTreeMap<Access, usize>| {
        let only = one.iter().filter(|(access, count)| other.get(*access) != Some(count));
        only.map(|(access, _)| access.clone()).collect::<Vec<Access>>()
    };
    let (undocumented, gone) = (only_in(&there, &documented), only_in(&documented, &there));
    assert!(
        undocumented.is_empty() && gone.is_empty(),
        "fences without a row: {undocumented:?}; rows without a fence: {gone:?}"
    );
}

#[test]
fn partners_name_each_other() {
    let chapter = document("docs/src/orderings.md");
    let documented = documented_fences(&chapter);
    let known = functions(&workspace::root().join("crates/latchwork/src"));
    for (number, (_, partners)) in &documented {
        if let Some(name) = quoted(partners).next() {
            let function = name.rsplit("::").next().expect("a name");
            assert!(known.contains(function), "{number}: there is no `{name}`");
            continue;
        }
        for partner in partners.split(", ") {
            let (_, back) =
                documented.get(partner).unwrap_or_else(|| panic!("{number}: no {partner}"));
            let is_mutual = back.split(", ").any(|it| it == *number);
            assert!(is_mutual, "{number} names {partner}, and {partner} does not name {number}");
        }
    }
}

#[test]
fn every_ordered_access_has_a_row() {
    let chapter = document("docs/src/orderings.md");
    let there = accesses(&core_source());
    assert!(there.len() > 40, "{} accesses", there.len());
    let (documented, mut faults) = documented_accesses(&chapter, &there);
    faults.extend(there.difference(&documented).map(|access| format!("without a row: {access:?}")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn fences_are_recognised() {
    assert_eq!(fences_in("fence(Ordering::SeqCst);"), ["SeqCst"]);
    assert_eq!(fences_in("fence(order); fence_after_rmw();"), ["order", "after-rmw"]);
    assert!(fences_in("primitive::{Ordering, fence}, self.fence_count(), a_fence()").is_empty());
    let source = [("a.rs".to_owned(), "fn f() {\n    fence(Ordering::SeqCst);\n}".to_owned())];
    assert_eq!(fences(&source), [("a.rs".to_owned(), "f".to_owned(), "SeqCst".to_owned())]);
}
