// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine with its software, as the engine runs it.

use std::fmt;

use super::{fingerprint::Fingerprint, touches::Touches};

/// A machine and the software on it.
///
/// The engine calls all methods on one thread. The rules for a world:
///
/// * Code on a simulated CPU is deterministic, and all that it learns from outside its own context
///   it learns from simulated atomics, [`hardware`](super::hardware), [`observe`](super::observe),
///   and, where its base context comes to rest, from what [`fold`](Self::fold) takes in.
/// * `fold` takes in whatever the code decides by a statistics counter of the core, which is no
///   simulated atomic: the time of the last report does so for the limiter of reports of unknown
///   NMIs.
/// * Simulated words and whatever pointers to them or in them lead to lie at the same addresses in
///   each execution: in a [`Place`](super::Place) or a `static`; not on a simulated CPU's stack, if
///   there are store buffers.
/// * From one choice point to the next, a simulated CPU's stack does not alone own anything on the
///   heap: an execution that is cut short drops nothing that lies on the stack.
/// * [`interruption`](Self::interruption) and [`can_run`](Self::can_run) touch no simulated
///   atomics. The engine calls them before each access.
pub trait World {
    /// How many CPUs there are.
    fn cpus(&self) -> usize;

    /// The base context of a CPU. It may return when it has nothing more to do; interruptions come
    /// to the CPU even then.
    fn run(&self, cpu: usize);

    /// Lists what the environment may do now, in a fixed order: an edge lands, a device raises,
    /// time passes.
    fn events(&self, out: &mut Vec<Event>);

    /// Makes the event happen.
    fn fire(&self, event: Event);

    /// The interruption that this CPU takes at its next instruction boundary.
    fn interruption(&self, cpu: usize) -> Option<Interruption>;

    /// Runs the handler, on the CPU that takes the interruption. Returning from here is the IRET.
    fn interrupt(&self, cpu: usize, what: Interruption);

    /// Whether this CPU executes instructions or can be interrupted: not while it is halted with
    /// nothing to wake it, parked, stalled, in SMM, or a virtual CPU that is preempted.
    fn can_run(&self, cpu: usize) -> bool;

    /// A property that is violated now. The engine asks after each event and after each handler's
    /// return.
    fn violation(&self) -> Option<Violation>;

    /// A property that the end violates. The engine asks when no CPU can run and no event is
    /// enabled.
    fn finish(&self) -> Option<Violation>;

    /// Takes in all state that is neither in simulated atomics nor in what the CPUs have read. If
    /// it leaves something out, the exhaustive search takes two states for one.
    fn fold(&self, fingerprint: &mut Fingerprint);

    /// An event's name, for the timeline.
    fn describe(&self, event: Event) -> String;

    /// The kinds of what `cpu` does, while it runs, with which this event may not change places. If
    /// the event can make `cpu` take an interruption, or stop it, that is everything. Otherwise it
    /// must contain whatever the event reads or changes, and whatever can enable it or forbid it.
    ///
    /// The exhaustive search offers the event only after a step of one of these kinds. The result
    /// may contain more than is needed, and contains everything by default.
    fn touches(&self, _event: Event, _cpu: usize) -> Touches {
        Touches::EVERYTHING
    }

    /// Whether `cpu` takes no interruption from now on, whatever events come, until its own code
    /// has made an access to hardware or has left the interruption that it is in.
    fn is_closed(&self, _cpu: usize) -> bool {
        false
    }

    /// The name of a simulated word, for timelines that show each access.
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

/// An access to hardware, by what it does to the store buffer and to CPUs that wait.
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
    /// Whether older stores are in memory before the access: I/O instructions and serialising ones
    /// drain the store buffer (SDM Vol. 3A, "Store Buffer"), and a CPU makes accesses to uncached
    /// memory in program order (SDM Vol. 3A, "Methods of Caching Available").
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

    /// Whether it may change what a waiting CPU sees. A read that has a side effect counts as a
    /// write.
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
    /// Each condition that was set is claimed or still set.
    C,
    /// Dispatch is bounded.
    W,
    /// Nothing runs after its removal.
    Q,
    /// Every queued item runs exactly once.
    D,
    /// What is accepted is honoured.
    H,
    /// Not every CPU waits. The engine's own property.
    Deadlock,
    /// Nothing panics. The engine's own property.
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
