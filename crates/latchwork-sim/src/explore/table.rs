// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result as a table for people.

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use super::{CostAt, Outcome, PROPERTIES};

/// Policy, properties, cost. A property that is violated names itself; one that holds is a dot.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    let mut header = vec!["policy".to_owned()];
    header.extend(PROPERTIES.iter().map(ToString::to_string));
    header.extend(
        ["states", "polls/s 1, 256 CPUs", "extra NMIs/s", "recovery, ticks", "hidden, us"]
            .map(str::to_owned),
    );
    table.set_header(header);
    for outcome in outcomes {
        let violated = outcome.violated();
        let mut row = vec![outcome.entry.name.to_owned()];
        row.extend(PROPERTIES.iter().map(|property| match violated.contains_key(property) {
            true => property.to_string(),
            false => "·".to_owned(),
        }));
        row.push(outcome.states().to_string());
        row.extend(costs(outcome.cost));
        table.add_row(row);
    }
    table
}

fn costs(costs: Option<[CostAt; 2]>) -> [String; 4] {
    let Some([one, many]) = costs.map(|costs| costs.map(|at| at.cost)) else {
        return [const { String::new() }; 4];
    };
    let whole = |value: f64| format!("{value:.0}");
    [
        format!("{}, {}", whole(one.polls_per_s), whole(many.polls_per_s)),
        format!("{}, {}", whole(one.extra_nmis_per_s), whole(many.extra_nmis_per_s)),
        many.worst_recovery_ticks.map_or("never".to_owned(), |ticks| format!("{ticks:.1}")),
        many.worst_hidden_us.map_or("for ever".to_owned(), |us| us.to_string()),
    ]
}
