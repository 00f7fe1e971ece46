// SPDX-License-Identifier: MIT OR Apache-2.0
//! The catalogue of scenarios: what can be booted, and what must turn it red.
//!
//! Plain constants without dependencies, so that the kernel and the host tool share this one file: the kernel looks up
//! what it was asked to run, the host lists it, boots it and judges it.

/// One boot of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot {
    /// The unknown policy the kernel is told by its command line: `report` or `panic`.
    pub(crate) policy: &'static str,
    /// Whether the boot holds by stopping: a `stopped` record and exit status 37 instead of `end` and 33.
    pub(crate) expect_stop: bool,
    /// Further words of the command line, by which a scenario tells its boots apart.
    pub(crate) words: &'static str,
}

/// What a scenario needs besides CPUs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Device {
    /// QEMU's `edu` PCI device.
    Edu,
    /// The i6300ESB watchdog card, set to inject an NMI when it expires.
    WatchdogCard,
    /// A host that presses the machine's NMI button when the kernel asks it to.
    Button,
    /// The machine's memory in a file of the host's, which then also sets conditions in it before it presses the button.
    SharedMemory,
}

/// On how many machines CI boots a scenario. `cargo xtask test --all` boots each on all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Selection {
    /// On several of each kind, and its faults on two.
    Wide,
    /// On a few, and its faults on one: it takes long, and what it rests on is booted widely by others.
    Narrow,
}

/// A deliberate mistake that must turn its scenario red, in at least one of the scenario's boots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Value of `fault=` on the command line.
    pub(crate) name: &'static str,
    /// What is done wrong, and what must notice.
    pub(crate) summary: &'static str,
    /// The fewest CPUs on which the mistake can be made.
    pub(crate) min_cpus: usize,
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// Value of `scenario=` on the command line.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) summary: &'static str,
    /// The fewest CPUs on which it can run.
    pub(crate) min_cpus: usize,
    /// What turns it red.
    pub(crate) faults: &'static [Fault],
    /// What must be there besides CPUs, an I/O APIC and an HPET, which every machine has.
    pub(crate) devices: &'static [Device],
    /// The boots that make it up; each must hold.
    pub(crate) boots: &'static [Boot],
    /// Where CI boots it.
    pub(crate) selection: Selection,
}

const REPORT: Boot = Boot { policy: "report", expect_stop: false, words: "" };
const PANIC: Boot = Boot { policy: "panic", expect_stop: true, words: "" };

/// Polls that are owed are paid by a tick there and then, or by an NMI that it sends.
const RECOVERIES: [Boot; 2] = [
    Boot { policy: "report", expect_stop: false, words: "recovery=poll" },
    Boot { policy: "report", expect_stop: false, words: "recovery=probe" },
];

const fn fault(name: &'static str, summary: &'static str) -> Fault {
    Fault { name, summary, min_cpus: 1 }
}

/// Every scenario.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "shared-source",
        summary: "several handlers behind one doorbell, every CPU rings every other: nothing lost, nothing unknown",
        min_cpus: 1,
        faults: &[
            fault(
                "lost-claim",
                "a handler consumes its condition now and then without counting it: set differs from claimed",
            ),
            fault(
                "stray-ring",
                "one NMI is sent that no condition and no request explains: an unknown NMI",
            ),
            fault(
                "first-claim-wins",
                "handlers after the first that claims do not look: their conditions are lost",
            ),
            fault(
                "stuck-sender",
                "a ring comes much later than its request was taken: reported as a late send",
            ),
        ],
        devices: &[],
        boots: &[REPORT],
        selection: Selection::Wide,
    },
    Scenario {
        name: "hot-remove",
        summary: "a handler registered and removed in a tight loop under an NMI storm is never called after its removal",
        min_cpus: 1,
        faults: &[
            fault(
                "poison-early",
                "the victim's state is poisoned before it is removed: late calls are seen",
            ),
            fault("no-storm", "no NMIs are sent: nothing overlaps a removal, nothing was observed"),
            Fault {
                name: "no-wait",
                summary: "the removal's ticket is ignored and the state poisoned at once: late calls are seen",
                min_cpus: 2,
            },
        ],
        devices: &[],
        boots: &[REPORT],
        selection: Selection::Wide,
    },
    Scenario {
        name: "self-nmi-in-handler",
        summary: "a handler rings its own CPU ten times: exactly one more NMI follows, and it takes all ten requests",
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
    },
    Scenario {
        name: "unknown",
        summary: "an NMI that nothing explains is reported once and counted, or stops the kernel",
        min_cpus: 1,
        faults: &[
            fault(
                "hidden-claim",
                "a handler of the last resort claims every NMI: nothing is reported",
            ),
            fault("no-nmi", "no NMI is sent: nothing was observed"),
            fault(
                "same-port-61",
                "port 0x61 is not changed before an NMI: the report tells another reading (seen in the report boot)",
            ),
            Fault {
                name: "no-tick",
                summary: "the library hears of no tick: deferred NMIs are not settled (seen in the report boot)",
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
    },
    Scenario {
        name: "entry-state",
        summary: "an NMI leaves every register as it was, and handlers run on sane state whatever was interrupted",
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
    },
    Scenario {
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
    },
    Scenario {
        name: "hpet",
        summary: "an HPET timer rings spinning CPUs through the I/O APIC: one claim a period, one for each one-shot",
        min_cpus: 1,
        faults: &[
            fault(
                "no-ack",
                "the handler does not clear the status: the spinning CPU sees it stay set",
            ),
            fault(
                "masked",
                "the I/O APIC's entry stays masked: no NMI comes, nothing was observed",
            ),
            fault(
                "edge-output",
                "the timer's output is an edge, which leaves no status: unknown NMIs",
            ),
            fault(
                "uncounted-claim",
                "a claim is not counted now and then: NMIs differ from what was counted",
            ),
            Fault {
                name: "wrong-cpu",
                summary: "the entry names another CPU than the one that spins: the NMIs are not where they belong",
                min_cpus: 2,
            },
        ],
        devices: &[],
        boots: &[REPORT],
        selection: Selection::Wide,
    },
    Scenario {
        name: "button",
        summary: "the machine's NMI button rings through LINT1: each press is seen once where the line is open, never elsewhere",
        min_cpus: 1,
        faults: &[
            fault("closed", "LINT1 stays masked: no press is seen, nothing was observed"),
            fault("swallow", "the debugger counts a press and does not claim it: an unknown NMI"),
            Fault {
                name: "open-everywhere",
                summary: "LINT1 is open on all CPUs and not on the boot CPU alone: presses where none belong (lint1=boot)",
                min_cpus: 2,
            },
        ],
        devices: &[Device::Button],
        boots: &[
            Boot { policy: "report", expect_stop: false, words: "lint1=all" },
            Boot { policy: "report", expect_stop: false, words: "lint1=boot" },
        ],
        selection: Selection::Wide,
    },
    Scenario {
        name: "watchdog-card",
        summary: "a watchdog card rings the NMI line of all CPUs when it is not pinged in time, once and when it should",
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
                summary: "the library is not told which CPUs the card rings: NMIs that its claim explains are unknown",
                min_cpus: 2,
            },
        ],
        devices: &[Device::WatchdogCard],
        boots: &[REPORT],
        selection: Selection::Wide,
    },
    Scenario {
        name: "edu-msi",
        summary: "a PCI device rings by an MSI that is an NMI, once per event: each event is taken once, whatever its ring collapsed into",
        min_cpus: 1,
        faults: &[
            fault(
                "no-ack",
                "the device's status is never acknowledged: events are claimed again and again",
            ),
            fault(
                "lost-event",
                "the handler acknowledges an event now and then without counting it: raised differs from claimed",
            ),
            fault("msi-disabled", "the device's MSI is not enabled: nothing comes"),
            fault("fixed-vector", "the MSI is a maskable interrupt: no NMI comes"),
            fault(
                "stray-nmi",
                "an NMI is sent past the device: unknown, and more NMIs than events",
            ),
            fault(
                "no-late-edges",
                "the device's doorbell says that it rings once per condition: orphans are unknown",
            ),
            fault(
                "no-tick",
                "the library hears of no tick: an event whose ring is absorbed or has collapsed is not found",
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
    },
    Scenario {
        name: "module-unload",
        summary: "a handler whose code and data pages are unmapped after its removal, under NMI storms, is never called after it",
        min_cpus: 1,
        faults: &[
            fault(
                "unmap-early",
                "the module's pages are unmapped before it is removed: a late call faults",
            ),
            fault(
                "unmap-code-early",
                "its code page alone is unmapped before it is removed: a late call reads its data and faults on its code",
            ),
            Fault {
                name: "no-wait",
                summary: "the removal's ticket is ignored and the pages unmapped at once: a late call faults",
                min_cpus: 2,
            },
            fault(
                "no-shootdown",
                "CPUs are not made to forget the pages: they can still read them",
            ),
            fault("no-storm", "no NMIs are sent: nothing overlaps a removal, nothing was observed"),
            fault(
                "ticket-ignored",
                "an NMI that removes its handler unmaps the pages at once: the call that goes on faults",
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
    },
    Scenario {
        name: "cpu-offline",
        summary: "CPUs go offline and come back under an NMI storm: their NMIs return at once, and no removal waits for them",
        min_cpus: 2,
        faults: &[
            Fault {
                name: "not-told",
                summary: "CPUs go without telling the library: handlers are called on them",
                min_cpus: 2,
            },
            Fault {
                name: "not-marked",
                summary: "CPUs that are stopped inside a handler are not marked: a removal waits for one in vain",
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
    },
    Scenario {
        name: "probe-coalesce",
        summary: "probes that CPUs send themselves collapse with their other NMIs, or are taken by them: nothing is unknown",
        min_cpus: 1,
        faults: &[
            fault("no-probes", "ticks poll and send no probe: nothing was observed"),
            fault(
                "answers-none",
                "the counters' handler consumes its condition and claims nothing: a probe's ring is unknown",
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
    },
    Scenario {
        name: "true-unknown-during-probes",
        summary: "NMIs that nothing explains come amid claims and probes: each is told or absorbed by a grant in time, and none repeats unseen",
        min_cpus: 1,
        faults: &[
            fault("no-unknown", "none is sent: nothing was observed"),
            fault(
                "hidden-claim",
                "a handler of the last resort claims every NMI: nothing is reported",
            ),
            fault(
                "long-grants",
                "grants last for longer than they should: they hide what comes later",
            ),
            fault("once", "what should repeat comes once: nothing surfaces"),
        ],
        devices: &[],
        boots: &RECOVERIES,
        selection: Selection::Narrow,
    },
    Scenario {
        name: "stop-and-claim",
        summary: "CPUs are stopped by one edge that also takes another's condition, and released much later: no ring is unknown then",
        min_cpus: 2,
        faults: &[
            Fault {
                name: "answers-none",
                summary: "the counters' handler consumes its condition and claims nothing: its ring is unknown",
                min_cpus: 2,
            },
            Fault {
                name: "not-stopped",
                summary: "CPUs are asked for something else than to stop: nobody parks, nothing was observed",
                min_cpus: 2,
            },
            Fault {
                name: "soon-released",
                summary: "CPUs are released as soon as they are parked: no grant has outlived its time",
                min_cpus: 2,
            },
            Fault {
                name: "stray-ring",
                summary: "one NMI comes to a parked CPU that no condition and no request explains: unknown",
                min_cpus: 2,
            },
        ],
        devices: &[],
        boots: &RECOVERIES,
        selection: Selection::Narrow,
    },
    Scenario {
        name: "deferred-storm",
        summary: "NMIs queue work at full rate while lists drain, ticks stop and CPUs go offline: each item runs once for each time it was queued",
        min_cpus: 2,
        faults: &[
            Fault {
                name: "no-nmis",
                summary: "nothing is queued: nothing was observed",
                min_cpus: 2,
            },
            Fault {
                name: "lost-run",
                summary: "a run is not counted now and then: runs differ from what was queued",
                min_cpus: 2,
            },
            Fault {
                name: "no-tick",
                summary: "the library hears of no tick: lazy items that wait for one do not run, and no poll is paid",
                min_cpus: 2,
            },
            Fault {
                name: "not-told",
                summary: "CPUs go without telling the library: nobody runs what they left",
                min_cpus: 2,
            },
        ],
        devices: &[],
        boots: &RECOVERIES,
        selection: Selection::Narrow,
    },
    Scenario {
        name: "stuck-sender",
        summary: "a sender freezes between request and ring: its receiver does not hold grants for it for ever, and nothing else is hidden",
        min_cpus: 2,
        faults: &[
            Fault {
                name: "not-frozen",
                summary: "the sender does not freeze: nothing was observed",
                min_cpus: 2,
            },
            Fault {
                name: "holds-for-ever",
                summary: "grants are held for a sender as long as it takes: they hide an NMI that nothing explains",
                min_cpus: 2,
            },
            Fault {
                name: "stray-ring",
                summary: "one NMI is sent that nothing explains: one more than the sender's is told (seen in the report boot)",
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
    },
    Scenario {
        name: "lost-external",
        summary: "machine-wide events ring a CPU in a flood of its own NMIs, and their rings collapse: each is found in time",
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
    },
];

/// Faults that every scenario accepts, and that the host side must tell apart: they end the boot out of order.
pub(crate) const COMMON_FAULTS: &[Fault] = &[
    fault("hang", "the kernel stops making progress"),
    fault(
        "triple-fault",
        "the boot CPU loads an empty interrupt table and faults: the machine resets",
    ),
    fault("panic", "the kernel panics"),
];
