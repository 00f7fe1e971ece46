// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timelines as a picture, on a background of its own, so that it is readable on any page.

use svg::{
    Document, Node,
    node::element::{Circle, Group, Line as Stroke, Rectangle, Text},
};

use super::{
    lines::{Latch, Line, Mark, Weight},
    text,
};

/// One policy's timeline.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
    /// The outcome, in words.
    pub(super) verdict: String,
    pub(super) holds: bool,
}

/// All in pixels. A character of the monospaced font is 0.6 of its size wide.
const FONT: f64 = 12.0;
const CHARACTER: f64 = 7.25;
const ROW: f64 = 19.0;
const MARGIN: f64 = 18.0;
const TIME: f64 = 44.0;
const PADDING: f64 = 9.0;
const BETWEEN_PANELS: f64 = 20.0;
/// The lane of a CPU and that of the machine, in characters.
const CPU_CHARACTERS: usize = 33;
const MACHINE_CHARACTERS: usize = 46;

const PAPER: &str = "#ffffff";
const INK: &str = "#1f2328";
const PALE: &str = "#656d76";
const RULE: &str = "#d0d7de";
const WRONG: &str = "#b3261e";
const RIGHT: &str = "#1a7f37";

/// The panels, one below the other.
pub(super) fn picture(title: &str, panels: &[Panel], cpus: usize) -> String {
    let lanes = Lanes { cpus };
    let mut body = Group::new();
    let mut y = MARGIN;
    write(&mut body, lanes.left(), y + FONT, title, INK, true);
    y += ROW + 8.0;
    for panel in panels {
        y = draw_panel(&mut body, panel, lanes, y) + BETWEEN_PANELS;
    }
    legend(&mut body, lanes, y);
    let (width, height) = (lanes.right() + MARGIN, y + ROW + MARGIN - 6.0);
    let card = Rectangle::new()
        .set("x", 0.5)
        .set("y", 0.5)
        .set("width", width - 1.0)
        .set("height", height - 1.0)
        .set("rx", 8)
        .set("fill", PAPER)
        .set("stroke", RULE);
    let document = Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .set(
            "font-family",
            "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace",
        )
        .set("font-size", FONT)
        .add(svg::node::element::Title::new(title))
        .add(card)
        .add(body);
    format!("{document}\n")
}

/// Where the lanes are.
#[derive(Clone, Copy)]
struct Lanes {
    cpus: usize,
}

impl Lanes {
    fn left(self) -> f64 {
        MARGIN
    }

    /// Where a CPU's lane, or the machine's, begins.
    fn lane(self, column: usize) -> f64 {
        MARGIN + TIME + column as f64 * (self.cpu_width() + PADDING)
    }

    fn cpu_width(self) -> f64 {
        CPU_CHARACTERS as f64 * CHARACTER + PADDING
    }

    fn right(self) -> f64 {
        self.lane(self.cpus) + MACHINE_CHARACTERS as f64 * CHARACTER + PADDING
    }
}

fn draw_panel(body: &mut Group, panel: &Panel, lanes: Lanes, top: f64) -> f64 {
    let colour = if panel.holds { RIGHT } else { WRONG };
    let sign = if panel.holds { "✓" } else { "✗" };
    write(body, lanes.left(), top + FONT, &format!("{sign} {}", panel.title), colour, true);
    let heads = top + ROW + 6.0;
    write(body, lanes.left(), heads + FONT, "µs", PALE, false);
    for column in 0..lanes.cpus {
        write(body, lanes.lane(column), heads + FONT, &format!("CPU {column}"), PALE, false);
    }
    write(body, lanes.lane(lanes.cpus) + PADDING, heads + FONT, "machine", PALE, false);
    let first = heads + ROW + 2.0;
    rule(body, lanes.left(), first - 4.0, lanes.right(), first - 4.0, RULE);

    let rows = rows(&panel.lines);
    boxes(body, &rows, lanes, first);
    let mut last_us = None;
    for (index, row) in rows.iter().enumerate() {
        let y = first + index as f64 * ROW;
        if row.is_first && last_us != Some(row.line.at_us) {
            write(body, lanes.left(), y + FONT, &row.line.at_us.to_string(), PALE, false);
            last_us = Some(row.line.at_us);
        }
        draw_row(body, row, lanes, y);
    }
    verdict(body, panel, lanes, first + rows.len() as f64 * ROW + 8.0, colour)
}

/// A line, or a part of one that is too long.
struct Row<'a> {
    line: &'a Line,
    text: String,
    is_first: bool,
    /// How many interruptions it is inside of.
    depth: usize,
}

fn rows(lines: &[Line]) -> Vec<Row<'_>> {
    let mut depths: Vec<usize> = Vec::new();
    let mut rows = Vec::new();
    for line in lines {
        depths.resize(depths.len().max(line.column + 1), 0);
        depths[line.column] += usize::from(line.mark == Mark::Opens);
        let depth = depths[line.column];
        let width = match line.edge {
            Some(_) => MACHINE_CHARACTERS,
            None => CPU_CHARACTERS - depth,
        };
        let width = if line.mark == Mark::None && depth == 0 { MACHINE_CHARACTERS } else { width };
        let pieces = text::wrap(&text::with_weight(line), width);
        rows.extend(pieces.into_iter().enumerate().map(|(index, text)| Row {
            line,
            text,
            is_first: index == 0,
            depth,
        }));
        depths[line.column] -= usize::from(line.mark == Mark::Closes);
    }
    rows
}

/// The interruptions, each a box from where it begins to where it ends.
fn boxes(body: &mut Group, rows: &[Row<'_>], lanes: Lanes, first: f64) {
    for (begin, row) in rows.iter().enumerate() {
        if row.line.mark != Mark::Opens || !row.is_first {
            continue;
        }
        let is_end = |other: &Row<'_>| {
            (other.line.mark, other.line.column, other.depth)
                == (Mark::Closes, row.line.column, row.depth)
        };
        let after = rows[begin..].iter().position(is_end).unwrap_or(rows.len() - 1 - begin);
        let x = lanes.lane(row.line.column) + (row.depth - 1) as f64 * CHARACTER;
        let is_nmi = row.line.text.starts_with("NMI");
        let (fill, stroke) = if is_nmi { ("#eaf1fb", "#5b7db1") } else { ("#f6f3e8", "#a89c6c") };
        let height = (after + 1) as f64 * ROW - 1.0;
        body.append(
            Rectangle::new()
                .set("x", x)
                .set("y", first + begin as f64 * ROW - 1.5)
                .set("width", lanes.cpu_width() - (row.depth - 1) as f64 * CHARACTER)
                .set("height", height)
                .set("rx", 4)
                .set("fill", fill)
                .set("stroke", stroke),
        );
    }
}

fn draw_row(body: &mut Group, row: &Row<'_>, lanes: Lanes, y: f64) {
    let line = row.line;
    let colour = match line.weight {
        Weight::Normal => INK,
        Weight::Wrong => WRONG,
        Weight::Right => RIGHT,
    };
    let is_bold = line.mark == Mark::Opens || line.weight != Weight::Normal;
    let indent = row.depth as f64 * CHARACTER;
    let x = lanes.lane(line.column) + if line.column == lanes.cpus { PADDING } else { indent };
    write(body, x, y + FONT, &row.text, colour, is_bold);
    if let (Some((cpu, latch)), true) = (line.edge, row.is_first) {
        edge(body, lanes, cpu, latch, y + ROW / 2.0 - 1.5);
    }
}

/// An edge, from the machine to the latch of a CPU.
fn edge(body: &mut Group, lanes: Lanes, cpu: usize, latch: Latch, y: f64) {
    let to = lanes.lane(cpu) + lanes.cpu_width();
    rule(body, to, y, lanes.lane(lanes.cpus) + PADDING - 4.0, y, INK);
    symbol(body, latch, to, y);
}

/// A dot for an edge that the CPU takes at once, a circle for one that waits in the latch, a cross
/// for one that collapses with another.
fn symbol(body: &mut Group, latch: Latch, x: f64, y: f64) {
    let fill = if latch == Latch::Open { INK } else { PAPER };
    let circle = Circle::new().set("cx", x).set("cy", y).set("r", 4);
    body.append(circle.set("fill", fill).set("stroke", INK));
    if latch == Latch::Collapses {
        rule(body, x - 2.8, y - 2.8, x + 2.8, y + 2.8, INK);
        rule(body, x - 2.8, y + 2.8, x + 2.8, y - 2.8, INK);
    }
}

fn legend(body: &mut Group, lanes: Lanes, y: f64) {
    let mut x = lanes.left() + 4.0;
    for (latch, meaning) in [
        (Latch::Open, "taken at once"),
        (Latch::Remembers, "waits in the latch"),
        (Latch::Collapses, "becomes one with the edge that waits there"),
    ] {
        symbol(body, latch, x, y + ROW / 2.0 - 1.5);
        write(body, x + 10.0, y + FONT, meaning, PALE, false);
        x += 10.0 + (meaning.len() + 3) as f64 * CHARACTER;
    }
}

/// Draws the outcome in a box. Returns where the box ends.
fn verdict(body: &mut Group, panel: &Panel, lanes: Lanes, top: f64, colour: &str) -> f64 {
    let width = lanes.right() - lanes.left();
    let characters = ((width - 2.0 * PADDING) / CHARACTER) as usize;
    let lines = text::wrap(&panel.verdict, characters);
    let height = lines.len() as f64 * ROW + 8.0;
    let fill = if panel.holds { "#e8f5ec" } else { "#fceceb" };
    body.append(
        Rectangle::new()
            .set("x", lanes.left())
            .set("y", top)
            .set("width", width)
            .set("height", height)
            .set("rx", 4)
            .set("fill", fill)
            .set("stroke", colour),
    );
    for (index, line) in lines.iter().enumerate() {
        let y = top + 4.0 + index as f64 * ROW + FONT;
        write(body, lanes.left() + PADDING, y, line, INK, false);
    }
    top + height
}

fn write(body: &mut Group, x: f64, y: f64, text: &str, colour: &str, is_bold: bool) {
    let text = Text::new(text).set("x", x).set("y", y).set("fill", colour);
    body.append(if is_bold { text.set("font-weight", "bold") } else { text });
}

fn rule(body: &mut Group, x1: f64, y1: f64, x2: f64, y2: f64, colour: &str) {
    let line = Stroke::new().set("x1", x1).set("y1", y1).set("x2", x2).set("y2", y2);
    body.append(line.set("stroke", colour));
}
