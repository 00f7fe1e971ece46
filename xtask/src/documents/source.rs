// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust files, as text: which functions there are, and what each line is part of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::files;

/// The word after `fn `, if the line has one.
fn function_in(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    if before.chars().last().is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (end != 0).then(|| &rest[..end])
}

/// The names of all functions in the Rust files of `folder`.
pub(super) fn functions(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files(folder, "rs") {
        let text = fs::read_to_string(path).expect("text");
        names.extend(text.lines().filter_map(function_in).map(str::to_owned));
    }
    names
}

/// Each line of code, without comments and without the file's tests, with the function that it is
/// in.
pub(super) fn lines_of_code(text: &str) -> Vec<(&str, &str)> {
    let mut function = "";
    let mut lines = Vec::new();
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or(line).trim();
        if code.starts_with("mod tests {") {
            break;
        }
        if let Some(name) = function_in(code) {
            function = name;
        }
        if !code.is_empty() {
            lines.push((function, code));
        }
    }
    lines
}

#[test]
fn lines_are_in_their_functions() {
    let text =
        "// fn no() {}\npub(crate) fn a<T>() {\n    b(); // fn c\n}\nmod tests {\n fn d() {}";
    assert_eq!(lines_of_code(text), [("a", "pub(crate) fn a<T>() {"), ("a", "b();"), ("a", "}")]);
}
