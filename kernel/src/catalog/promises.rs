// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios that lose, invent and hide nothing, under a load that makes each hard.

use super::{Boot, Device, Fault, RECOVERIES, REPORT, Scenario, Selection, fault};

pub(super) const LOST_EXTERNAL: Scenario = Scenario {
    name: "lost-external",
    summary: "machine-wide events ring a CPU in a flood of its own NMIs, and their rings collapse: \
              each is found in time",
    min_cpus: 1,
    faults: &[
        fault(
            "no-recovery",
            "polls that are owed are never paid: events whose ring collapsed are lost",
        ),
        fault(
            "no-flood",
            "the CPU has no NMIs of its own: nothing collapses, nothing was observed",
        ),
        fault(
            "lost-event",
            "the handler acknowledges an event now and then without counting it: it is not found",
        ),
        fault(
            "empty-block",
            "the host rings and says nothing in its error block: nothing is found",
        ),
        Fault {
            name: "flood-elsewhere",
            summary: "another CPU than the one that is rung has the flood: nothing collapses",
            min_cpus: 2,
        },
    ],
    devices: &[Device::Edu, Device::Button, Device::SharedMemory],
    boots: &RECOVERIES,
    selection: Selection::Narrow,
};

pub(super) const PROBE_COALESCE: Scenario = Scenario {
    name: "probe-coalesce",
    summary: "probes that CPUs send themselves collapse with their other NMIs, or are taken by \
              them: nothing is unknown",
    min_cpus: 1,
    faults: &[
        fault("no-probes", "ticks poll and send no probe: nothing was observed"),
        fault(
            "answers-none",
            "the counters' handler consumes its condition and claims nothing: a probe's ring is \
             unknown",
        ),
        fault("apart", "nothing else rings while a probe is on its way: nothing was observed"),
        fault(
            "stray-ring",
            "one NMI is sent that no condition and no request explains: an unknown NMI",
        ),
    ],
    devices: &[],
    boots: &[Boot { policy: "report", expect_stop: false, words: "recovery=probe" }],
    selection: Selection::Narrow,
};

pub(super) const TRUE_UNKNOWN_DURING_PROBES: Scenario = Scenario {
    name: "true-unknown-during-probes",
    summary: "NMIs that nothing explains come amid claims and probes: each is reported or absorbed \
              by a grant in time, and none repeats unseen",
    min_cpus: 1,
    faults: &[
        fault("no-unknown", "none is sent: nothing was observed"),
        fault("hidden-claim", "a handler of the last resort claims every NMI: nothing is reported"),
        fault("long-grants", "grants last for longer than they should: they hide what comes later"),
        fault("once", "what should repeat comes once: nothing surfaces"),
    ],
    devices: &[],
    boots: &RECOVERIES,
    selection: Selection::Narrow,
};

pub(super) const STOP_AND_CLAIM: Scenario = Scenario {
    name: "stop-and-claim",
    summary: "CPUs are stopped by one edge that also takes another's condition, and released much \
              later: no ring is unknown then",
    min_cpus: 2,
    faults: &[
        Fault {
            name: "answers-none",
            summary: "the counters' handler consumes its condition and claims nothing: its ring is \
                      unknown",
            min_cpus: 2,
        },
        Fault {
            name: "not-stopped",
            summary: "CPUs are asked for something else than to stop: nobody parks, nothing was \
                      observed",
            min_cpus: 2,
        },
        Fault {
            name: "soon-released",
            summary: "CPUs are released as soon as they are parked: no grant has outlived its \
                      time",
            min_cpus: 2,
        },
        Fault {
            name: "stray-ring",
            summary: "one NMI comes to a parked CPU that no condition and no request explains: \
                      unknown",
            min_cpus: 2,
        },
    ],
    devices: &[],
    boots: &RECOVERIES,
    selection: Selection::Narrow,
};

pub(super) const DEFERRED_STORM: Scenario = Scenario {
    name: "deferred-storm",
    summary: "NMIs queue work at full rate while lists drain, ticks stop and CPUs go offline: each \
              item runs once for each time it was queued",
    min_cpus: 2,
    faults: &[
        Fault { name: "no-nmis", summary: "nothing is queued: nothing was observed", min_cpus: 2 },
        Fault {
            name: "lost-run",
            summary: "a run is not counted now and then: runs differ from what was queued",
            min_cpus: 2,
        },
        Fault {
            name: "no-tick",
            summary: "the library hears of no tick: lazy items that wait for one do not run, and \
                      no poll is paid",
            min_cpus: 2,
        },
        Fault {
            name: "unannounced",
            summary: "CPUs go without telling the library: nobody runs what they left",
            min_cpus: 2,
        },
    ],
    devices: &[],
    boots: &RECOVERIES,
    selection: Selection::Narrow,
};

pub(super) const STUCK_SENDER: Scenario = Scenario {
    name: "stuck-sender",
    summary: "a sender freezes between request and ring: its receiver does not hold grants for it \
              for ever, and nothing else is hidden",
    min_cpus: 2,
    faults: &[
        Fault {
            name: "not-frozen",
            summary: "the sender does not freeze: nothing was observed",
            min_cpus: 2,
        },
        Fault {
            name: "holds-for-ever",
            summary: "grants are held for a sender as long as it takes: they hide an NMI that \
                      nothing explains",
            min_cpus: 2,
        },
        Fault {
            name: "stray-ring",
            summary: "one NMI is sent that nothing explains: one more than the sender's is \
                      reported (seen in the report boot)",
            min_cpus: 2,
        },
        Fault {
            name: "hidden-claim",
            summary: "a handler of the last resort claims every NMI: nothing is reported",
            min_cpus: 2,
        },
    ],
    devices: &[],
    boots: &[REPORT, Boot { policy: "panic", expect_stop: false, words: "" }],
    selection: Selection::Narrow,
};

pub(super) const SEQUENCES: Scenario = Scenario {
    name: "sequences",
    summary: "generated sequences of rings, which the simulated machine plays too (cargo xtask \
              compare): nothing is lost or invented",
    min_cpus: 1,
    faults: &[
        fault("no-sequences", "none is played: nothing was observed"),
        fault("skip-ack", "a handler now and then claims and does not clear: it claims again"),
        fault("double-ring", "each ring is made twice: more NMIs than rings"),
        fault(
            "lost-send",
            "a request now and then is not sent, and is said to be: it is not taken",
        ),
    ],
    devices: &[],
    boots: &RECOVERIES,
    selection: Selection::Narrow,
};
