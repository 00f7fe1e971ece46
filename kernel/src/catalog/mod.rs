// SPDX-License-Identifier: MIT OR Apache-2.0
//! The catalogue of scenarios, with the faults that must turn each red.
//!
//! These are plain constants without dependencies, so that the kernel and the host tool share this
//! one module. The kernel looks up the scenario that it is to run; the host lists scenarios, boots
//! them and judges them.

mod devices;
mod leaving;
mod promises;
mod running;

/// One boot of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot {
    /// The unknown policy on the kernel's command line: `report` or `panic`.
    pub(crate) policy: &'static str,
    /// Whether the boot holds by stopping: a `stopped` record and exit status 37 instead of `end`
    /// and 33.
    pub(crate) expect_stop: bool,
    /// Further words of the command line, by which the scenario knows which of its boots this is.
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
    /// The machine's memory in a file of the host. The host then also sets conditions in that
    /// memory before it presses the button.
    SharedMemory,
}

/// On how many machines CI boots a scenario. `cargo xtask test --all` boots each on all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Selection {
    /// On several of each kind, and its faults on two.
    Wide,
    /// On a few, and its faults on one: it takes long, and CI boots what it rests on widely in
    /// other scenarios.
    Narrow,
}

/// A deliberate mistake that must turn its scenario red, in at least one of the scenario's boots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Value of `fault=` on the command line.
    pub(crate) name: &'static str,
    /// The mistake, and what must notice it.
    pub(crate) summary: &'static str,
    /// The fewest CPUs on which the mistake is possible.
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
    /// The faults that turn it red.
    pub(crate) faults: &'static [Fault],
    /// What it needs besides CPUs, an I/O APIC and an HPET, which every machine has.
    pub(crate) devices: &'static [Device],
    /// The boots that make it up; each must hold.
    pub(crate) boots: &'static [Boot],
    /// Where CI boots it.
    pub(crate) selection: Selection,
}

const REPORT: Boot = Boot { policy: "report", expect_stop: false, words: "" };
const PANIC: Boot = Boot { policy: "panic", expect_stop: true, words: "" };

/// A tick pays an owed poll there and then, or by an NMI that it sends.
const RECOVERIES: [Boot; 2] = [
    Boot { policy: "report", expect_stop: false, words: "recovery=poll" },
    Boot { policy: "report", expect_stop: false, words: "recovery=probe" },
];

const fn fault(name: &'static str, summary: &'static str) -> Fault {
    Fault { name, summary, min_cpus: 1 }
}

/// Every scenario.
pub(crate) const SCENARIOS: &[Scenario] = &[
    running::SHARED_SOURCE,
    running::HOT_REMOVE,
    running::SELF_NMI_IN_HANDLER,
    running::UNKNOWN,
    running::ENTRY_STATE,
    running::IDLE_WAKE,
    devices::HPET,
    devices::BUTTON,
    devices::WATCHDOG_CARD,
    devices::EDU_MSI,
    leaving::MODULE_UNLOAD,
    leaving::CPU_OFFLINE,
    promises::LOST_EXTERNAL,
    promises::PROBE_COALESCE,
    promises::TRUE_UNKNOWN_DURING_PROBES,
    promises::STOP_AND_CLAIM,
    promises::DEFERRED_STORM,
    promises::STUCK_SENDER,
    promises::SEQUENCES,
];

/// Faults that every scenario accepts. They end the boot out of order, and the host must
/// distinguish them.
pub(crate) const COMMON_FAULTS: &[Fault] = &[
    fault("hang", "the boot CPU halts for ever: the host says where each CPU stands"),
    fault(
        "standstill",
        "the boot CPU waits for what never comes: the kernel ends and names every wait",
    ),
    fault(
        "triple-fault",
        "the boot CPU loads an empty interrupt table and faults: the machine resets",
    ),
    fault("panic", "the kernel panics"),
];
