// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants and debt, as a timeline shows them.

use latchwork::GrantKind;

use super::kernel;
use crate::{
    engine,
    machine::{BEGINNING_US, current},
    policy::Standing,
};

const KINDS: [(GrantKind, &str); 4] = [
    (GrantKind::Collapsed, "collapsed"),
    (GrantKind::Late, "late"),
    (GrantKind::MachineWide, "machine-wide"),
    (GrantKind::OutsideNmi, "claimed outside"),
];

/// The grants of `cpu` and the debt, as they are in memory. It does not see what still lies in a
/// store buffer.
pub(super) fn of(cpu: usize) -> Standing {
    engine::peek(|| {
        current().drive(cpu);
        Standing { grants: grants(cpu), debt: debt() }
    })
}

fn grants(cpu: usize) -> String {
    let Some(granted) = kernel().nmi.granted(cpu) else { return String::new() };
    let edges = KINDS.into_iter().filter_map(|(kind, name)| {
        let edges = granted.edges[kind as usize];
        (edges != 0).then(|| format!("{edges} {name}"))
    });
    let edges: Vec<String> = edges.collect();
    let mut text = edges.join(", ");
    if !edges.is_empty() {
        text += &match granted.left_ticks as u64 {
            0 => ", until it opens".to_owned(),
            left_us => format!(", until {} us", now_us() + left_us),
        };
    }
    if granted.waits_for_send {
        text += if edges.is_empty() { "waits for a send" } else { ", held by a send" };
    }
    text
}

fn debt() -> String {
    let Some(owed) = kernel().nmi.owed_poll() else { return String::new() };
    let what = if owed.edge_waits { "a poll, for an edge" } else { "a poll" };
    match now_us().checked_sub(owed.age_ticks as u64) {
        Some(since_us) => format!("{what}, since {since_us} us"),
        None => format!("{what}, from the beginning"),
    }
}

fn now_us() -> u64 {
    current().with(|state| state.now_us) - BEGINNING_US
}
