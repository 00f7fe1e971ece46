// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios in which modules are unloaded and CPUs go offline.

use super::{Fault, REPORT, Scenario, Selection, fault};

pub(super) const MODULE_UNLOAD: Scenario = Scenario {
    name: "module-unload",
    summary: "a handler whose code and data pages are unmapped after its removal, under NMI \
              storms, is never called after it",
    min_cpus: 1,
    faults: &[
        fault(
            "unmap-early",
            "the module's pages are unmapped before it is removed: a late call faults",
        ),
        fault(
            "unmap-code-early",
            "its code page alone is unmapped before it is removed: a late call reads its data and \
             faults on its code",
        ),
        Fault {
            name: "no-wait",
            summary: "the removal's ticket is ignored and the pages unmapped at once: a late call \
                      faults",
            min_cpus: 2,
        },
        fault("no-shootdown", "CPUs are not made to forget the pages: they can still read them"),
        fault("no-storm", "no NMIs are sent: nothing overlaps a removal, nothing was observed"),
        fault(
            "ticket-ignored",
            "an NMI that removes its handler unmaps the pages at once: the call that goes on \
             faults",
        ),
        Fault {
            name: "unstuck",
            summary: "the handler does not get stuck: no deadline passes, and no error names it",
            min_cpus: 2,
        },
        fault(
            "asked-outside",
            "what must be refused in an NMI is asked by a thread: it is not refused",
        ),
    ],
    devices: &[],
    boots: &[REPORT],
    selection: Selection::Wide,
};

pub(super) const CPU_OFFLINE: Scenario = Scenario {
    name: "cpu-offline",
    summary: "CPUs go offline and come back under an NMI storm: their NMIs return at once, and no \
              removal waits for them",
    min_cpus: 2,
    faults: &[
        Fault {
            name: "unannounced",
            summary: "CPUs go without telling the library: handlers are called on them",
            min_cpus: 2,
        },
        Fault {
            name: "not-marked",
            summary: "CPUs that are stopped inside a handler are not marked: a removal waits for \
                      one in vain",
            min_cpus: 2,
        },
        Fault {
            name: "no-storm",
            summary: "no NMIs are sent: none came to a CPU that was offline, nothing was observed",
            min_cpus: 2,
        },
    ],
    devices: &[],
    boots: &[REPORT],
    selection: Selection::Wide,
};
