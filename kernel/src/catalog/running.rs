// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios about handlers, removal, requests and the entry.

use super::{Fault, PANIC, REPORT, Scenario, Selection, fault};

pub(super) const SHARED_SOURCE: Scenario = Scenario {
    name: "shared-source",
    summary: "several handlers behind one doorbell, every CPU rings every other: nothing lost, \
              nothing unknown",
    min_cpus: 1,
    faults: &[
        fault(
            "lost-claim",
            "a handler consumes its condition now and then without counting it: set differs from \
             claimed",
        ),
        fault(
            "stray-ring",
            "one NMI is sent that no condition and no request explains: an unknown NMI",
        ),
        Fault {
            name: "first-claim-wins",
            summary: "handlers after the first that claims do not look: their conditions are lost",
            min_cpus: 2,
        },
        fault(
            "stuck-sender",
            "a ring comes much later than its request was taken: reported as a late send",
        ),
    ],
    devices: &[],
    boots: &[REPORT],
    selection: Selection::Wide,
};

pub(super) const HOT_REMOVE: Scenario = Scenario {
    name: "hot-remove",
    summary: "a handler registered and removed in a tight loop under an NMI storm is never called \
              after its removal",
    min_cpus: 1,
    faults: &[
        fault(
            "poison-early",
            "the victim's state is poisoned before it is removed: late calls are seen",
        ),
        fault("no-storm", "no NMIs are sent: nothing overlaps a removal, nothing was observed"),
        Fault {
            name: "no-wait",
            summary: "the removal's ticket is ignored and the state poisoned at once: late calls \
                      are seen",
            min_cpus: 2,
        },
    ],
    devices: &[],
    boots: &[REPORT],
    selection: Selection::Wide,
};

pub(super) const SELF_NMI_IN_HANDLER: Scenario = Scenario {
    name: "self-nmi-in-handler",
    summary: "a handler rings its own CPU ten times: exactly one more NMI follows, and it takes \
              all ten requests",
    min_cpus: 1,
    faults: &[
        fault(
            "eleventh-after",
            "an eleventh ring is sent after the handler has returned: two NMIs follow",
        ),
        fault("no-rings", "the handler does not ring: no NMI follows"),
    ],
    devices: &[],
    boots: &[REPORT],
    selection: Selection::Wide,
};

pub(super) const UNKNOWN: Scenario = Scenario {
    name: "unknown",
    summary: "an NMI that nothing explains is reported once and counted, or stops the kernel",
    min_cpus: 1,
    faults: &[
        fault("hidden-claim", "a handler of the last resort claims every NMI: nothing is reported"),
        fault("no-nmi", "no NMI is sent: nothing was observed"),
        fault(
            "same-port-61",
            "port 0x61 is not changed before an NMI: the report tells another reading (seen in the \
             report boot)",
        ),
        Fault {
            name: "no-tick",
            summary: "the library hears of no tick: deferred NMIs are not settled (seen in the \
                      report boot)",
            min_cpus: 2,
        },
        fault(
            "no-panic",
            "the panic policy is not set: the kernel does not stop (seen in the panic boot)",
        ),
    ],
    devices: &[],
    boots: &[REPORT, PANIC],
    selection: Selection::Wide,
};

pub(super) const ENTRY_STATE: Scenario = Scenario {
    name: "entry-state",
    summary: "an NMI leaves every register as it was, and handlers run on sane state whatever was \
              interrupted",
    min_cpus: 1,
    faults: &[
        fault("clobber-frame", "a handler alters a saved register: the comparison sees it"),
        fault(
            "clobber-control",
            "a handler alters a saved control register: the comparison sees it",
        ),
        fault("no-nmi", "no NMI is sent: nothing was observed"),
    ],
    devices: &[],
    boots: &[REPORT],
    selection: Selection::Wide,
};

pub(super) const IDLE_WAKE: Scenario = Scenario {
    name: "idle-wake",
    summary: "NMIs race maskable wake-ups of idle CPUs: no wake-up is lost",
    min_cpus: 2,
    faults: &[
        Fault {
            name: "no-nmi",
            summary: "no NMI is sent: nothing raced a wake-up, nothing was observed",
            min_cpus: 2,
        },
        Fault {
            name: "no-wake",
            summary: "the wake-up is not sent: the CPU sleeps on",
            min_cpus: 2,
        },
    ],
    devices: &[],
    boots: &[REPORT],
    selection: Selection::Wide,
};
