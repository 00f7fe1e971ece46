// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios in which a device outside the CPUs rings.

use super::{Boot, Device, Fault, REPORT, Scenario, Selection, fault};

pub(super) const HPET: Scenario = Scenario {
    name: "hpet",
    summary: "an HPET timer rings spinning CPUs through the I/O APIC: one claim a period, one for \
              each one-shot",
    min_cpus: 1,
    faults: &[
        fault("no-ack", "the handler does not clear the status: the spinning CPU sees it stay set"),
        fault("masked", "the I/O APIC's entry stays masked: no NMI comes, nothing was observed"),
        fault("edge-output", "the timer's output is an edge, which leaves no status: unknown NMIs"),
        fault(
            "uncounted-claim",
            "a claim is not counted now and then: NMIs differ from what was counted",
        ),
        Fault {
            name: "wrong-cpu",
            summary: "the entry names another CPU than the one that spins: the NMIs are not where \
                      they belong",
            min_cpus: 2,
        },
    ],
    devices: &[],
    boots: &[REPORT],
    selection: Selection::Wide,
};

pub(super) const BUTTON: Scenario = Scenario {
    name: "button",
    summary: "the machine's NMI button rings through LINT1: each single press is seen once where \
              the line is open, of a burst at least one, and none elsewhere",
    min_cpus: 1,
    faults: &[
        fault("closed", "LINT1 stays masked: no press is seen, nothing was observed"),
        fault("swallow", "the debugger counts a press and does not claim it: an unknown NMI"),
        Fault {
            name: "open-everywhere",
            summary: "LINT1 is open on all CPUs and not on the boot CPU alone: presses where none \
                      belong (lint1=boot)",
            min_cpus: 2,
        },
    ],
    devices: &[Device::Button],
    boots: &[
        Boot { policy: "report", expect_stop: false, words: "lint1=all" },
        Boot { policy: "report", expect_stop: false, words: "lint1=boot" },
    ],
    selection: Selection::Wide,
};

pub(super) const WATCHDOG_CARD: Scenario = Scenario {
    name: "watchdog-card",
    summary: "a watchdog card rings the NMI line of all CPUs when it is not pinged in time, once \
              and when it should",
    min_cpus: 1,
    faults: &[
        fault(
            "always-ping",
            "the card is pinged where it should expire: nothing comes, nothing was observed",
        ),
        fault("late-ping", "the card is pinged too late: an NMI where none is due"),
        fault("closed-lint", "the CPUs do not open their NMI pins: nothing comes"),
        fault("not-stopped", "the card is not stopped: an NMI where none is due"),
        fault(
            "no-clear",
            "the handler does not clear the card's timeout bit: it is set at the end",
        ),
        Fault {
            name: "no-route",
            summary: "the library is not told which CPUs the card rings: NMIs that its claim \
                      explains are unknown",
            min_cpus: 2,
        },
    ],
    devices: &[Device::WatchdogCard],
    boots: &[REPORT],
    selection: Selection::Wide,
};

pub(super) const EDU_MSI: Scenario = Scenario {
    name: "edu-msi",
    summary: "a PCI device rings by an MSI that is an NMI, once per event: each event is taken \
              once, whatever its ring collapsed into",
    min_cpus: 1,
    faults: &[
        fault(
            "no-ack",
            "the device's status is never acknowledged: events are claimed again and again",
        ),
        fault(
            "lost-event",
            "the handler acknowledges an event now and then without counting it: raised differs \
             from claimed",
        ),
        fault("msi-disabled", "the device's MSI is not enabled: nothing comes"),
        fault("fixed-vector", "the MSI is a maskable interrupt: no NMI comes"),
        fault("stray-nmi", "an NMI is sent past the device: unknown, and more NMIs than events"),
        fault(
            "no-late-edges",
            "the device's doorbell says that it rings once per condition: orphans are unknown",
        ),
        fault(
            "no-tick",
            "the library hears of no tick: an event whose ring is absorbed or has collapsed is not \
             found",
        ),
        Fault {
            name: "wrong-target",
            summary: "the MSI goes to another CPU: NMIs where none are expected",
            min_cpus: 2,
        },
    ],
    devices: &[Device::Edu],
    boots: &[REPORT],
    selection: Selection::Wide,
};
