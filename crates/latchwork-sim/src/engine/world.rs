// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is run: a machine with its software, as the engine sees it.

use std::fmt;

use super::{fingerprint::Fingerprint, touches::Touches};

/// A machine and the software on it.
///
/// All methods take `&self` and are called on one thread. What a world must keep to:
///
/// * Code on a simulated CPU is deterministic, and all that it learns from outside its own context
///   it learns from simulated atomics, [`hardware`](super::hardware), [`observe`](super::observe),
///   and, where its base context comes to rest, from what [`fold`](Self::fold) takes in.
/// * What it decides by a statistics counter of the core, which is no simulated atomic, is in
///   `fold`: the limiter of unknown NMIs' reports is in the time of the last report.
/// * Simulated words and whatever pointers to them or in them lead to lie at the same addresses in
///   each execution: in a [`Place`](super::Place) or a `static`; not on a simulated CPU's stack, if
///   there are store buffers.
/// * Nothing on the heap is owned by a simulated CPU's stack alone from one choice point to the
///   next: an execution that is cut short drops nothing that lies there.
/// * [`interruption`](Self::interruption) and [`can_run`](Self::can_run) touch no simulated
///   atomics. They are asked before each access.
pub trait World {
    /// How many CPUs there are.
    fn cpus(&self) -> usize;

    /// The base context of a CPU. It may return when it has nothing more to do; interruptions come
    /// to the CPU even then.
    fn run(&self, cpu: usize);

    /// What the environment may do now, in a fixed order: an edge lands, a device raises, time
    /// passes.
    fn events(&self, out: &mut Vec<Event>);

    /// Does it.
    fn fire(&self, event: Event);

    /// What this CPU takes at its next boundary, at once.
    fn interruption(&self, cpu: usize) -> Option<Interruption>;

    /// Runs the handler, on the CPU that takes the interruption. Returning from here is the IRET.
    fn interrupt(&self, cpu: usize, what: Interruption);

    /// Whether this CPU executes instructions or can be interrupted: not while it is halted with
    /// nothing to wake it, parked, stalled, in SMM, or a virtual CPU that is preempted.
    fn can_run(&self, cpu: usize) -> bool;

    /// A property that is violated now. Asked after each event and after each handler's return.
    fn violation(&self) -> Option<Violation>;

    /// A property that is violated by how it ended. Asked when nobody can run and no event is
    /// enabled.
    fn finish(&self) -> Option<Violation>;

    /// All state that is neither in simulated atomics nor in what the CPUs have read. What is
    /// forgotten here makes the exhaustive search take two states for one.
    fn fold(&self, fingerprint: &mut Fingerprint);

    /// An event's name, for the timeline.
    fn describe(&self, event: Event) -> String;

    /// While `cpu` runs: of what it does, what this event may not change places with. It is
    /// everything if the event can make `cpu` take an interruption, or stop it. Otherwise there
    /// must be in it whatever the event reads or changes, and whatever can enable it or forbid it.
    ///
    /// The exhaustive search offers the event only after something of this; it may say more than is
    /// so, and says everything by default.
    fn touches(&self, _event: Event, _cpu: usize) -> Touches {
        Touches::EVERYTHING
    }

    /// Whether `cpu` takes no interruption from now on, whatever events come, until its own code
    /// has made an access to hardware or has left the interruption that it is in.
    fn is_closed(&self, _cpu: usize) -> bool {
        false
    }

    /// What a simulated word is, for timelines that tell each access.
    fn name_of(&self, address: usize) -> String {
        format!("{address:#x}")
    }
}

/// Something that the environment does, in the world's own coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event(pub u32);

/// What interrupts a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interruption {
    /// A non-maskable interrupt.
    Nmi,
    /// A maskable interrupt with this vector.
    Irq(u8),
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nmi => f.write_str("NMI"),
            Self::Irq(vector) => write!(f, "IRQ {vector:#x}"),
        }
    }
}

/// An access to hardware, by what it does to the store buffer and to those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `IN`.
    PortRead,
    /// `OUT`.
    PortWrite,
    /// A read of uncached memory: a memory-mapped register.
    UncachedRead,
    /// A write to uncached memory.
    UncachedWrite,
    /// `RDMSR`, of an x2APIC register or of another.
    MsrRead,
    /// `WRMSR` that is serialising.
    MsrWrite,
    /// `WRMSR` of an x2APIC register or of the TSC deadline: not serialising (SDM Vol. 3A, "MSR
    /// Access in x2APIC Mode").
    X2apicWrite,
    /// What concerns this CPU alone and orders nothing: `HLT`, `STI`, `CLI`, RDPMC.
    Local,
}

impl Access {
    /// Whether older stores are in memory before it is made: I/O instructions and serialising ones
    /// drain the store buffer (SDM Vol. 3A, "Store Buffer"), and accesses to uncached memory are
    /// made in program order (SDM Vol. 3A, "Methods of Caching Available").
    #[must_use]
    pub const fn drains(self) -> bool {
        match self {
            Self::PortRead
            | Self::PortWrite
            | Self::UncachedRead
            | Self::UncachedWrite
            | Self::MsrWrite => true,
            Self::MsrRead | Self::X2apicWrite | Self::Local => false,
        }
    }

    /// Whether somebody who waits may find the machine changed by it. A read that has a side effect
    /// is a write here.
    #[must_use]
    pub const fn changes(self) -> bool {
        match self {
            Self::PortWrite | Self::UncachedWrite | Self::MsrWrite | Self::X2apicWrite => true,
            Self::PortRead | Self::UncachedRead | Self::MsrRead | Self::Local => false,
        }
    }
}

/// A promise of the subsystem, or of every program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Property {
    /// No external event is stranded.
    L,
    /// No unknown NMI is reported when none was raised.
    N1,
    /// No edge is absorbed later than its bound after the claim that explains it.
    N2,
    /// A repeating true unknown NMI is reported in time.
    N3,
    /// Conditions set are claimed or still set.
    C,
    /// Dispatch is bounded.
    W,
    /// Nothing runs after its removal.
    Q,
    /// Every queued item runs exactly once.
    D,
    /// What is accepted is honoured.
    H,
    /// Not everybody waits for somebody. The engine's own.
    Deadlock,
    /// Nothing panics. The engine's own.
    Panic,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L => "L",
            Self::N1 => "N1",
            Self::N2 => "N2",
            Self::N3 => "N3",
            Self::C => "C",
            Self::W => "W",
            Self::Q => "Q",
            Self::D => "D",
            Self::H => "H",
            Self::Deadlock => "deadlock",
            Self::Panic => "panic",
        })
    }
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// What happened.
    pub text: String,
}

impl Violation {
    /// This property does not hold, because of this.
    #[must_use]
    pub fn new(property: Property, text: impl Into<String>) -> Self {
        Self { property, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.text)
    }
}
