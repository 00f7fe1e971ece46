// SPDX-License-Identifier: MIT OR Apache-2.0
//! A timeline in a terminal, without colour.

use super::lines::{Line, Mark, Weight};

/// The widest line.
pub(super) const WIDTH: usize = 108;
/// The column of time.
const TIME: usize = 7;
/// Between two columns.
const GAP: usize = 2;
/// The widest column of a CPU, where there are several.
const WIDEST_CPU: usize = 29;

/// Splits `text` between words, into lines of `width` at most.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one");
        let taken = line.chars().count();
        if taken != 0 && taken + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if taken != 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// A line, with what it is to the story.
pub(super) fn with_weight(line: &Line) -> String {
    match line.weight {
        Weight::Normal => line.text.clone(),
        Weight::Wrong => format!("✗ {}", line.text),
        Weight::Right => format!("✓ {}", line.text),
    }
}

/// One column for each CPU and one for the machine. What a CPU does in an interruption is inside a
/// bracket.
pub(super) fn timeline(lines: &[Line], cpus: usize) -> Vec<String> {
    let cpu_width = match cpus {
        1 => (WIDTH - TIME) / 2 - GAP,
        _ => WIDEST_CPU,
    };
    let mut widths = vec![cpu_width; cpus];
    widths.push(WIDTH - TIME - GAP - (cpu_width + GAP) * cpus);
    let mut heads: Vec<String> = (0..cpus).map(|cpu| format!("CPU {cpu}")).collect();
    heads.push("machine".to_owned());
    let mut rows = vec![row("us", &heads, &widths)];
    let mut depths = vec![0; cpus];
    let mut last_us = None;
    for line in lines {
        let bars = depths.get(line.column).map_or(String::new(), |depth| "│ ".repeat(*depth));
        let (first, then) = match line.mark {
            Mark::Opens => (format!("{bars}┌ "), format!("{bars}│ ")),
            Mark::Closes => {
                let outer = bars.strip_suffix("│ ").unwrap_or_default();
                (format!("{outer}└ "), format!("{outer}  "))
            }
            Mark::None => (bars.clone(), bars),
        };
        let width = widths[line.column] - first.chars().count();
        for (index, piece) in wrap(&with_weight(line), width).into_iter().enumerate() {
            let mut cells: Vec<_> = depths.iter().map(|depth| "│ ".repeat(*depth)).collect();
            cells.push(String::new());
            let indent = if index == 0 { &first } else { &then };
            cells[line.column] = format!("{indent}{piece}");
            let time = (index == 0 && last_us != Some(line.at_us)).then(|| line.at_us.to_string());
            rows.push(row(&time.unwrap_or_default(), &cells, &widths));
        }
        last_us = Some(line.at_us);
        if let Some(depth) = depths.get_mut(line.column) {
            match line.mark {
                Mark::Opens => *depth += 1,
                Mark::Closes => *depth -= 1,
                Mark::None => {}
            }
        }
    }
    rows
}

fn row(time: &str, cells: &[String], widths: &[usize]) -> String {
    let mut row = format!("{time:>TIME$}");
    for (cell, width) in cells.iter().zip(widths) {
        row += &format!("{:GAP$}{cell:<width$}", "");
    }
    row.trim_end().to_owned()
}
