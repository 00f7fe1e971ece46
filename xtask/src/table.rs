// SPDX-License-Identifier: MIT OR Apache-2.0
//! How every table looks.

use std::env;

use comfy_table::{Cell, ContentArrangement, Table, presets};

/// Columns of text, where the environment names no other width.
const WIDTH: u16 = 140;

/// An empty table under `header`. It is as wide as `COLUMNS` says.
pub(crate) fn new<T: Into<Cell>>(header: impl IntoIterator<Item = T>) -> Table {
    let width = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(WIDTH);
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width).set_header(header.into_iter().map(Into::into).collect::<Vec<Cell>>());
    table
}
