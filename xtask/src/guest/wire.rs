// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines that the guest writes to its serial port.

use serde::{Deserialize, Serialize};

/// The beginning of a record.
pub(crate) const MARK: &str = "@latchwork ";

/// One line from the guest.
#[derive(Debug, PartialEq)]
pub enum Line {
    /// Free text for people.
    Human(String),
    /// A record for us.
    Record(Record),
    /// A line with the mark of a record that is none: a verdict may be lost with it.
    Unreadable(String),
}

/// One record.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Record {
    /// The guest's own view of its machine.
    Machine(GuestMachine),
    /// The scenario goes on.
    Progress {
        /// Steps done.
        done: u64,
        /// Steps in all.
        of: u64,
    },
    /// One thing that was expected, and what was seen.
    Check(Check),
    /// What the library's own statistics say.
    Totals(Totals),
    /// A sequence of rings was played.
    Played(Played),
    /// The guest wants the machine's NMI button pressed, and then one byte on its serial line.
    Ask {
        /// How many times.
        press: u64,
        /// The physical address of a byte that is to grow by one before each press.
        condition: Option<u64>,
    },
    /// The scenario ended in order.
    End,
    /// The guest stopped on purpose.
    Stopped {
        /// Why.
        reason: String,
    },
    /// The exit status, where the emulator cannot pass it on.
    Exit {
        /// As QEMU's would be.
        status: u8,
    },
}

/// The guest's own view of its machine.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct GuestMachine {
    /// The kind of PC: `q35`, `pc` or `unknown`.
    pub machine: String,
    /// CPUs that are running.
    pub cpus: u64,
    /// The mode that the local APICs are in.
    pub apic: String,
    /// The target that the kernel was compiled for.
    pub kernel_target: String,
}

/// The result of a sequence of rings, here or in the simulated machine.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Played {
    /// The seed from which it is generated.
    pub seed: u64,
    /// Steps that were done.
    pub steps: u64,
    /// NMIs that were dispatched.
    pub dispatches: u64,
    /// Conditions that handlers or drivers claimed.
    pub claims: u64,
    /// Edges absorbed by grants.
    pub absorbed: u64,
    /// Edges that were settled later.
    pub deferred: u64,
    /// Edges that nothing explained.
    pub unknown: u64,
    /// What happened, line by line, with `; ` in between.
    pub log: String,
}

/// One check.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Check {
    /// Names the property.
    pub name: String,
    /// Whether what was seen is what was expected.
    pub held: bool,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub saw: String,
}

/// Sums over all CPUs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Edges that reached the dispatcher.
    pub nmis: u64,
    /// Edges that some handler or request explained.
    pub claimed: u64,
    /// Edges whose condition an earlier dispatch had claimed.
    pub absorbed: u64,
    /// Edges that nothing explained.
    pub unknown: u64,
    /// What the scenario sent and no handler claimed.
    pub lost: i64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: Self) {
        self.nmis += other.nmis;
        self.claimed += other.claimed;
        self.absorbed += other.absorbed;
        self.unknown += other.unknown;
        self.lost += other.lost;
    }
}

/// Reads one line. If the mark is not at the line's start, other output has come in between, and
/// the record is lost.
#[must_use]
pub fn parse(line: String) -> Line {
    match line.find(MARK.trim_end()) {
        None => Line::Human(line),
        Some(0) => match line.strip_prefix(MARK).map(serde_json::from_str) {
            Some(Ok(record)) => Line::Record(record),
            _ => Line::Unreadable(line),
        },
        Some(_) => Line::Unreadable(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Line {
        parse(format!("{MARK}{json}"))
    }

    #[test]
    fn every_record_is_read() {
        let machine = GuestMachine {
            machine: "pc".into(),
            cpus: 4,
            apic: "xapic".into(),
            kernel_target: "t".into(),
        };
        let check = Check { name: "n".into(), held: false, expected: "0".into(), saw: "1".into() };
        let totals = Totals { nmis: 1, claimed: 2, absorbed: 3, unknown: 4, lost: -5 };
        for (json, expected) in [
            (
                r#"{"event":"machine","machine":"pc","cpus":4,"apic":"xapic","kernel_target":"t"}"#,
                Record::Machine(machine),
            ),
            (r#"{"event":"progress","done":1,"of":10}"#, Record::Progress { done: 1, of: 10 }),
            (
                r#"{"event":"check","name":"n","held":false,"expected":"0","saw":"1"}"#,
                Record::Check(check),
            ),
            (
                r#"{"event":"totals","nmis":1,"claimed":2,"absorbed":3,"unknown":4,"lost":-5}"#,
                Record::Totals(totals),
            ),
            (
                r#"{"event":"played","seed":7,"steps":1,"dispatches":2,"claims":3,"absorbed":4,"deferred":5,"unknown":6,"log":"a; b"}"#,
                Record::Played(Played {
                    seed: 7,
                    steps: 1,
                    dispatches: 2,
                    claims: 3,
                    absorbed: 4,
                    deferred: 5,
                    unknown: 6,
                    log: "a; b".into(),
                }),
            ),
            (r#"{"event":"ask","press":3}"#, Record::Ask { press: 3, condition: None }),
            (
                r#"{"event":"ask","press":1,"condition":4096}"#,
                Record::Ask { press: 1, condition: Some(4096) },
            ),
            (r#"{"event":"end"}"#, Record::End),
            (r#"{"event":"stopped","reason":"r"}"#, Record::Stopped { reason: "r".into() }),
            (r#"{"event":"exit","status":33}"#, Record::Exit { status: 33 }),
        ] {
            assert_eq!(record(json), Line::Record(expected), "{json}");
        }
    }

    #[test]
    fn text_without_the_mark_is_for_people() {
        assert_eq!(parse("latchwork: 4 CPUs".into()), Line::Human("latchwork: 4 CPUs".into()));
    }

    #[test]
    fn a_damaged_record_is_never_mistaken_for_text() {
        for line in [
            "@latchwork",
            "@latchwork {",
            "@latchwork{\"event\":\"end\"}",
            "@latchwork {\"event\":\"end\"} tail",
            "@latchwork {\"event\":\"strange\"}",
            "@latchwork {\"event\":\"check\",\"name\":\"n\"}",
            "text @latchwork {\"event\":\"end\"}",
        ] {
            assert_eq!(parse(line.into()), Line::Unreadable(line.into()));
        }
    }
}
