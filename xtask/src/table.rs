// SPDX-License-Identifier: MIT OR Apache-2.0
//! The style of every table.

use std::env;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsRawFd as _;

use comfy_table::{Cell, ContentArrangement, Table, TableComponent, presets};
use nix::pty::Winsize;

/// The width in columns, where neither the environment nor a terminal gives another.
const WIDTH: u16 = 140;

/// From this width on, there is room for lines between columns.
const ROOMY: u16 = 100;

mod request {
    nix::ioctl_read_bad!(window_size, nix::libc::TIOCGWINSZ, nix::pty::Winsize);
}

/// An empty table under `header`, as wide as what it is printed on.
pub(crate) fn new<T: Into<Cell>>(header: impl IntoIterator<Item = T>) -> Table {
    of_width(width(), header)
}

/// An empty table under `header` that is no wider than that.
pub(crate) fn of_width<T: Into<Cell>>(width: u16, header: impl IntoIterator<Item = T>) -> Table {
    if width < ROOMY {
        return without_lines(width, header);
    }
    let mut table = plain(width, header);
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table
}

/// The same, with blanks between columns instead of lines.
pub(crate) fn without_lines<T: Into<Cell>>(
    width: u16,
    header: impl IntoIterator<Item = T>,
) -> Table {
    let mut table = plain(width, header);
    table.load_preset(presets::NOTHING).remove_style(TableComponent::VerticalLines);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 1));
    });
    table
}

fn plain<T: Into<Cell>>(width: u16, header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(header.into_iter().map(Into::into).collect::<Vec<Cell>>());
    table
}

/// How wide a table may be: as `COLUMNS` says, or as wide as the terminal.
pub(crate) fn width() -> u16 {
    width_or(WIDTH)
}

/// The same; `otherwise` where neither tells.
pub(crate) fn width_or(otherwise: u16) -> u16 {
    let named = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    named.filter(|&columns| columns > 0).or_else(terminal_width).unwrap_or(otherwise)
}

/// The width of the terminal at standard output, if there is one and it knows.
fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one such structure to the place, which is ours alone.
    unsafe { request::window_size(stdout.as_raw_fd(), &raw mut size) }.ok()?;
    Some(size.ws_col).filter(|&columns| columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_table_is_as_wide_as_it_may_be_and_keeps_every_word() {
        let sentence = "some words that are longer than a narrow terminal is wide in one line";
        for width in [60, 80, 100, 140] {
            let mut table = of_width(width, ["one", "other"]);
            table.add_row([sentence, sentence]);
            let text = table.to_string();
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(usize::from(width)), "{text}");
            for word in sentence.split(' ') {
                assert!(text.matches(word).count() >= 2, "{word} in\n{text}");
            }
        }
    }
}
