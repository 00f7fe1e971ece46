// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mutants --list`.

use comfy_table::ColumnConstraint;
use serde::Serialize;

use super::patch::Patch;
use crate::cli::Format;
use crate::table;

/// Columns of text where no terminal is known: what reads it may be as narrow as any.
const WIDTH: u16 = 80;

#[derive(Serialize)]
struct List<'a> {
    schema: u32,
    mutants: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    what: &'a str,
    caught_by: Vec<String>,
}

pub(super) fn print(patches: &[Patch], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string(&list(patches))?),
        Format::Table => {
            let mut table =
                table::without_lines(table::width_or(WIDTH), ["mutant", "what is wrong"]);
            if let Some(names) = table.column_mut(0) {
                names.set_constraint(ColumnConstraint::ContentWidth);
            }
            table.add_rows(patches.iter().map(|patch| [&patch.name, &patch.what]));
            println!("{}", table.trim_fmt());
        }
    }
    Ok(())
}

fn list(patches: &[Patch]) -> List<'_> {
    let mutants = patches.iter().map(|patch| Entry {
        name: &patch.name,
        what: &patch.what,
        caught_by: patch.caught_by.iter().map(ToString::to_string).collect(),
    });
    List { schema: 1, mutants: mutants.collect() }
}
