// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result as JSON.

use serde_json::{Map, Value, json};

use super::{Outcome, PROPERTIES};
use crate::engine::Property;

/// The document: schema 1. `polls_per_s` and `extra_nmis_per_s` are for 256 CPUs; the figures for
/// one CPU have names of their own. A figure that was not measured is null.
#[must_use]
pub fn document(outcomes: &[Outcome]) -> Value {
    json!({
        "schema": 1,
        "policies": outcomes.iter().map(policy).collect::<Vec<_>>(),
        "mutants": [],
        "held": held(outcomes),
    })
}

/// Whether our policies hold and the others break, as they should.
pub(super) fn held(outcomes: &[Outcome]) -> bool {
    !outcomes.is_empty() && outcomes.iter().all(Outcome::is_as_it_should_be)
}

fn policy(outcome: &Outcome) -> Value {
    let mut document = Map::new();
    let mut insert = |key: &str, value: Value| document.insert(key.to_owned(), value);
    insert("name", json!(outcome.entry.name));
    insert("properties", properties(outcome));
    insert("states", json!(outcome.states()));
    let [one, many] = match outcome.cost {
        Some(costs) => costs.map(|at| Some(at.cost)),
        None => [None, None],
    };
    insert("polls_per_s", json!(many.map(|it| it.polls_per_s)));
    insert("extra_nmis_per_s", json!(many.map(|it| it.extra_nmis_per_s)));
    insert("polls_per_s_on_1_cpu", json!(one.map(|it| it.polls_per_s)));
    insert("extra_nmis_per_s_on_1_cpu", json!(one.map(|it| it.extra_nmis_per_s)));
    insert("worst_recovery_ticks", json!(many.and_then(|it| it.worst_recovery_ticks)));
    insert("worst_hidden_us", json!(many.and_then(|it| it.worst_hidden_us)));
    Value::Object(document)
}

/// `held` or `violated`; or `unfinished`, where a limit ended the search before it had seen
/// everything, and it found nothing. Only our policies can be `unfinished`, since we promise
/// nothing of the others.
fn properties(outcome: &Outcome) -> Value {
    let violated = outcome.violated();
    let whole = outcome.searches.iter().all(|search| search.unfinished.is_none());
    let word = |property: &Property| match violated.contains_key(property) {
        true => "violated",
        false if outcome.entry.is_ours() && !whole => "unfinished",
        false => "held",
    };
    let mut properties: Map<String, Value> =
        PROPERTIES.iter().map(|it| (it.to_string(), json!(word(it)))).collect();
    for property in violated.keys().filter(|it| !PROPERTIES.contains(it)) {
        properties.insert(property.to_string(), json!("violated"));
    }
    Value::Object(properties)
}

/// Adds up lines of [`Line`](super::Line), one for each policy and scenario, in the order in which
/// they come.
///
/// # Errors
///
/// If the text has another kind of line.
pub fn merge_lines(text: &str) -> Result<Vec<Value>, serde_json::Error> {
    let mut merged: Vec<Value> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let line: Value = serde_json::from_str(line)?;
        let same =
            |it: &&mut Value| it["policy"] == line["policy"] && it["scenario"] == line["scenario"];
        match merged.iter_mut().find(same) {
            None => merged.push(line),
            Some(sum) => {
                for key in ["executions", "points", "seconds"] {
                    let both = sum[key].as_f64().unwrap_or(0.0) + line[key].as_f64().unwrap_or(0.0);
                    sum[key] = if key == "seconds" { json!(both) } else { json!(both as u64) };
                }
                let (Some(seeds), Some(more)) = (sum["seeds"].as_array(), line["seeds"].as_array())
                else {
                    continue;
                };
                sum["seeds"] = seeds.iter().chain(more).cloned().collect();
                if sum["violation"].is_null() {
                    sum["violation"] = line["violation"].clone();
                }
            }
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_shards_add_up() {
        let line = |seeds: &str, violation: &str| {
            format!(
                r#"{{"schema":1,"policy":"p","scenario":"s","seeds":["{seeds}"],"executions":2,"points":30,"seconds":0.5,"violation":{violation}}}"#
            )
        };
        let text = format!("{}\n\n{}\n", line("0..2", "null"), line("2..4", r#"{"seed":3}"#));
        let merged = merge_lines(&text).expect("good lines");
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0]["executions"], 4);
        assert_eq!(merged[0]["points"], 60);
        assert_eq!(merged[0]["seeds"], json!(["0..2", "2..4"]));
        assert_eq!(merged[0]["violation"]["seed"], 3);
    }
}
