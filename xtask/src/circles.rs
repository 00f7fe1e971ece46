// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests: the files of the core crate do not use each other in circles, nor do its rooms.
//!
//! A file uses another if it imports what that one defines. A re-export uses nothing, and the test
//! follows it to the definition. Between rooms, the root's files do not count: they hold each
//! room's state, and each room adds its calls to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{File, Item, UseTree, Visibility};

use crate::workspace;

/// The way to a module, or to an item, from the crate's root.
type Names = Vec<String>;
type Graph = BTreeMap<Names, BTreeSet<Names>>;

/// Every module below `folder`, but those of the tests.
fn modules(folder: &Path, at: &[String], found: &mut BTreeMap<Names, File>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let named = [at, std::slice::from_ref(&stem)].concat();
        if path.is_file() {
            let file = syn::parse_file(&fs::read_to_string(&path).expect("text")).expect("Rust");
            let name = if stem == "lib" || stem == "mod" { at.to_vec() } else { named };
            found.insert(name, file);
        } else if stem != "tests" {
            modules(&path, &named, found);
        }
    }
}

fn leaves(tree: &UseTree, before: &[String], found: &mut Vec<Names>) {
    let and = |name: &dyn ToString| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &and(&path.ident), found),
        UseTree::Name(name) => found.push(and(&name.ident)),
        UseTree::Rename(rename) => found.push(and(&rename.ident)),
        UseTree::Glob(_) => found.push(before.to_vec()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, before, found)),
    }
}

/// What a module imports, or what it re-exports.
fn uses(file: &File, re_exports: bool) -> Vec<Names> {
    let mut found = Vec::new();
    for item in &file.items {
        if let Item::Use(item) = item {
            if matches!(item.vis, Visibility::Inherited) != re_exports {
                leaves(&item.tree, &[], &mut found);
            }
        }
    }
    found
}

/// The module that defines what module `from` calls `path`.
fn definition(path: &[String], from: &[String], all: &BTreeMap<Names, File>) -> Option<Names> {
    let (first, rest) = path.split_first()?;
    let mut module = match first.as_str() {
        "crate" => Vec::new(),
        "super" => from[..from.len() - 1].to_vec(),
        child => [from, &[child.to_owned()]].concat(),
    };
    for name in rest {
        let inner = [module.as_slice(), std::slice::from_ref(name)].concat();
        if all.contains_key(&inner) {
            module = inner;
            continue;
        }
        let re_exports = uses(all.get(&module)?, true);
        let through = re_exports.iter().find(|it| it.last() == Some(name));
        return through.and_then(|it| definition(it, &module, all)).or(Some(module));
    }
    all.contains_key(&module).then_some(module)
}

/// The circles: what is left after removing, again and again, each node that uses no remaining node
/// or that none uses.
fn circles(graph: &Graph) -> Graph {
    let mut left = graph.clone();
    loop {
        let before = left.clone();
        let used: BTreeSet<Names> = left.values().flatten().cloned().collect();
        left.retain(|user, _| used.contains(user));
        left.values_mut().for_each(|used| used.retain(|it| before.contains_key(it)));
        left.retain(|_, used| !used.is_empty());
        if left == before {
            return left;
        }
    }
}

#[test]
fn neither_files_nor_rooms_of_the_core_use_each_other_in_circles() {
    let mut all = BTreeMap::new();
    modules(&workspace::root().join("crates/latchwork/src"), &[], &mut all);
    let (mut files, mut rooms) = (Graph::new(), Graph::new());
    for (module, file) in &all {
        for used in uses(file, false).iter().filter_map(|path| definition(path, module, &all)) {
            if used == *module {
                continue;
            }
            if module.len() > 1 && used.len() > 1 && module[0] != used[0] {
                rooms.entry(vec![module[0].clone()]).or_default().insert(vec![used[0].clone()]);
            }
            files.entry(module.clone()).or_default().insert(used);
        }
    }
    assert!(files.len() > 50 && rooms.len() > 7, "{} files, {} rooms", files.len(), rooms.len());
    assert_eq!(circles(&files), Graph::new());
    assert_eq!(circles(&rooms), Graph::new());
}
