// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: words in backticks that look like a path of the repository are one.

use std::path::PathBuf;

use super::documents;
use super::markdown::Document;
use crate::workspace;

/// The endings of the file names in documents.
const ENDINGS: [&str; 6] = [".rs", ".md", ".toml", ".patch", ".svg", ".sh"];

/// Folders at the top, by which a path without such an ending is known.
const TOP_FOLDERS: [&str; 9] = [
    ".ci/",
    "crates/",
    "docs/",
    "findings/",
    "kernel/",
    "mutants/",
    "tests/",
    "xtask/",
    "examples/",
];

/// Whether the words are a path. Words with a placeholder in capitals, such as `NAME`, are not.
fn is_path(words: &str) -> bool {
    let plain = words.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let stem = words.rsplit('/').next().unwrap_or(words);
    let placeholder = stem.split('.').next().is_some_and(|it| {
        it.len() > 1 && it.chars().all(|c| c.is_ascii_uppercase()) && !words.ends_with(".md")
    });
    let ends = ENDINGS.iter().any(|ending| words.len() > ending.len() && words.ends_with(ending));
    let begins = TOP_FOLDERS.iter().any(|folder| words.starts_with(folder));
    plain && !placeholder && (ends || begins)
}

/// Where a document may take its paths from.
fn bases(document: &Document) -> [PathBuf; 5] {
    let root = workspace::root();
    let folder = document.folder();
    [
        root.to_owned(),
        folder.to_owned(),
        folder.join("src"),
        root.join("crates/latchwork/src"),
        root.join("crates/latchwork-sim"),
    ]
}

/// Whether the words on a link say where it points: the file, or a folder that it is in.
fn is_label_of(words: &str, link: &str) -> bool {
    let words = words.trim_end_matches('/');
    link.ends_with(words) || format!("{link}/").contains(&format!("{words}/"))
}

#[test]
fn every_path_in_backticks_exists() {
    let mut checked = 0;
    let mut missing = Vec::new();
    for document in documents() {
        let bases = bases(&document);
        for words in document.code.iter().filter(|words| is_path(words)) {
            checked += 1;
            if !bases.iter().any(|base| base.join(words).exists()) {
                missing.push(format!("{}: `{words}`", document.name));
            }
        }
        for (words, link) in document.labels.iter().filter(|(words, _)| is_path(words)) {
            checked += 1;
            if !is_label_of(words, link) {
                missing.push(format!("{}: `{words}` stands on a link to {link}", document.name));
            }
        }
    }
    assert!(missing.is_empty(), "no such files:\n{}", missing.join("\n"));
    assert!(checked > 100, "{checked} paths");
}

#[test]
fn paths_are_told_from_other_words() {
    for path in ["dispatch.rs", "recovery/debt.rs", "crates/latchwork-sim", "docs/src", "README.md"]
    {
        assert!(is_path(path), "{path}");
    }
    for other in
        ["mutants/NAME.patch", "Recovery::Poll", "q35", "sti; hlt", "cargo xtask run", ".rs"]
    {
        assert!(!is_path(other), "{other}");
    }
}
