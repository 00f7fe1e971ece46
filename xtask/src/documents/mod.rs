// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the documents: what they link to, name and tabulate exists, and is as they say.

mod book;
mod commands;
mod identifiers;
mod links;
mod markdown;
mod names;
mod orderings;
mod paths;
mod snippets;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use markdown::Document;

use crate::workspace;

/// Folders that hold no documents of ours.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// The files of `folder` and below whose names end in `extension`, in order.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        let is_skipped = path.file_name().is_some_and(|name| SKIPPED.iter().any(|it| name == *it));
        if path.is_dir() && !is_skipped {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

/// Every Markdown file of the repository.
fn documents() -> Vec<Document> {
    let root = workspace::root();
    let documents: Vec<Document> =
        files(root, "md").iter().map(|path| Document::read(root, path)).collect();
    assert!(documents.len() > 25, "{} documents", documents.len());
    documents
}

/// One document, by its path from the repository's root.
fn document(name: &str) -> Document {
    let root = workspace::root();
    Document::read(root, &root.join(name))
}
