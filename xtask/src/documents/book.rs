// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: the book is complete, its indexes stay short, and the source uses its words.

use std::collections::BTreeSet;
use std::fs;

use super::markdown::{Document, quoted};
use super::{document, documents};
use crate::workspace;

/// How long the two indexes may be.
const MOST_LINES_OF_AN_INDEX: usize = 150;

/// The book's chapters.
fn chapters() -> Vec<Document> {
    let is_chapter =
        |it: &Document| it.name.starts_with("docs/src/") && !it.name.ends_with("SUMMARY.md");
    documents().into_iter().filter(is_chapter).collect()
}

#[test]
fn the_summary_lists_every_chapter_once() {
    let summary = document("docs/src/SUMMARY.md");
    let listed: BTreeSet<String> =
        summary.links.iter().map(|link| format!("docs/src/{link}")).collect();
    assert_eq!(listed.len(), summary.links.len(), "a chapter is listed twice");
    let there: BTreeSet<String> = chapters().into_iter().map(|chapter| chapter.name).collect();
    assert_eq!(listed, there);
}

#[test]
fn every_chapter_opens_with_who_may_skip_what() {
    for chapter in chapters() {
        let opening: String = chapter
            .text
            .lines()
            .skip_while(|line| !line.starts_with('>'))
            .take_while(|line| line.starts_with('>'))
            .collect();
        let before = chapter.text.lines().take_while(|line| !line.starts_with('>')).count();
        assert!(before <= 3, "{} opens with something else", chapter.name);
        let says_who = opening.starts_with("> For ");
        assert!(says_who, "{}: `{opening}`", chapter.name);
    }
}

#[test]
fn the_indexes_stay_short() {
    for name in ["ARCHITECTURE.md", "VERIFICATION.md"] {
        let lines = document(name).text.lines().count();
        assert!(lines <= MOST_LINES_OF_AN_INDEX, "{name} has {lines} lines");
    }
}

/// Lower case, single blanks between words, and names of types taken apart.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut before = ' ';
    for c in text.chars() {
        let begins_word = c.is_uppercase() && before.is_lowercase();
        if (begins_word || !c.is_alphanumeric()) && !plain.ends_with(' ') {
            plain.push(' ');
        }
        if c.is_alphanumeric() {
            plain.extend(c.to_lowercase());
        }
        before = c;
    }
    plain
}

/// The table of our words: each term, and the file in which it lives.
fn terms(chapter: &Document) -> Vec<(&str, &str)> {
    let headings = chapter.text.lines().filter(|line| line.starts_with("## "));
    let rows = headings.flat_map(|heading| chapter.rows(heading));
    rows.map(|row| {
        assert_eq!(row.len(), 4, "{row:?}");
        (row[0], row[3].split_once("](").and_then(|it| it.1.strip_suffix(')')).expect("a link"))
    })
    .collect()
}

#[test]
fn every_word_is_used() {
    let words = document("docs/src/words.md");
    let terms = terms(&words);
    assert!(terms.len() > 50, "{} terms", terms.len());
    let others: Vec<String> =
        documents().iter().filter(|it| it.name != words.name).map(|it| plain(&it.text)).collect();
    let mut faults = Vec::new();
    for (term, link) in terms {
        let term = plain(term);
        if !others.iter().any(|text| text.contains(&term)) {
            faults.push(format!("no document uses `{term}`"));
        }
        // The tests of `links` find a link that leads nowhere.
        let file = fs::read_to_string(words.folder().join(link)).unwrap_or_default();
        if !plain(&file).contains(&term) {
            faults.push(format!("`{term}` is not in {link}, where it is said to live"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_said_of_a_word_is_one_line() {
    let words = document("docs/src/words.md");
    let headings = words.text.lines().filter(|line| line.starts_with("## "));
    for row in headings.flat_map(|heading| words.rows(heading)) {
        assert!(row[1].len() <= 110, "{row:?}");
        assert!(!row[2].is_empty() && quoted(row[3]).count() == 1, "{row:?}");
    }
}

#[test]
fn the_book_is_built_beside_other_products() {
    let settings = fs::read_to_string(workspace::root().join("docs/book.toml")).expect("settings");
    assert!(
        settings.contains("build-dir = \"../target/book\""),
        "links to the source need it there"
    );
}
