// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a driver says about its handler: when it is asked, and which doorbell it is behind.

use crate::subsystem::SubsystemId;

/// When a handler is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Per-CPU and lock-free sources: asked on every edge, all of them, claims or no claims.
    Local = 0,
    /// Machine-wide sources, and all that identify themselves by reading a register: asked one CPU
    /// at a time, when no Local source explained the edge.
    Platform = 1,
    /// Last resort: asked only about an edge that nothing explains.
    Unknown = 2,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Local, Self::Platform, Self::Unknown];
    pub(crate) const COUNT: usize = Self::ALL.len();
}

/// Names one registration, for as long as it lasts; afterwards it is stale, and says so. It stays
/// unique however often a slot is used again, and among all [`Nmi`](crate::Nmi)s: to another than
/// the one that made it, it is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandlerId {
    pub(crate) subsystem: SubsystemId,
    pub(crate) class: Class,
    pub(crate) slot: usize,
    pub(crate) generation: usize,
}

/// What rings. Everybody behind one LVT entry, line or message names the same doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doorbell {
    /// An NMI that software sends: [`Nmi::send`](crate::Nmi::send).
    Software,
    /// A doorbell that each CPU has for itself, such as an entry of the local vector table.
    Local(u8),
    /// A doorbell of the machine: a line, a message, a port.
    Platform(u16),
}

/// How a doorbell's edges relate to the condition behind it.
///
/// It belongs to the doorbell, so handlers behind one doorbell must name the same model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeModel {
    /// One ring per condition: software sends, level-held lines, an LVT entry that masks itself.
    PerCondition,
    /// One status may stand for several rings, or rings come late: MSI devices, some counters, much
    /// firmware. Not behind [`Doorbell::Software`], and not of class [`Unknown`](Class::Unknown):
    /// there nothing is granted by it.
    PerEvent {
        /// How long after its status was consumed a ring may still arrive, in microseconds: at most
        /// [`Limits::cap_us`](crate::Limits::cap_us). Where it is less than
        /// [`Limits::late_us`](crate::Limits::late_us), that holds.
        late_us: u32,
        /// How many rings at most, besides the one that every condition has: what its status may
        /// have merged. At most [`EdgeModel::MOST_LATE_EDGES`].
        max_late_edges: u8,
    },
}

impl EdgeModel {
    /// The most late edges that a model may name. With the one that every condition has they are as
    /// many as a CPU can be granted at a time.
    pub const MOST_LATE_EDGES: u8 = 62;
}

/// To which CPUs a Platform doorbell rings.
///
/// A route that names too many CPUs makes those absorb what may be a true unknown; one that names
/// too few makes the others report edges that a claim explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformDelivery<'c> {
    /// To every CPU, or to one that is not known beforehand.
    All,
    /// To the CPU that plays the [boot CPU's](crate::Nmi::set_boot_cpu) role.
    Bsp,
    /// To these CPUs. The slice is not kept.
    Cpus(&'c [usize]),
}

/// What a handler is registered as.
///
/// ```
/// use latchwork::{Class, Doorbell, EdgeModel, HandlerSpec};
/// let spec = HandlerSpec::new("pmu", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition)
///     .priority(10);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HandlerSpec<'n> {
    pub(crate) name: &'n str,
    pub(crate) class: Class,
    pub(crate) doorbell: Doorbell,
    pub(crate) edges: EdgeModel,
    pub(crate) priority: u8,
    pub(crate) delivery: PlatformDelivery<'n>,
    pub(crate) claims_per_ms: u16,
}

impl<'n> HandlerSpec<'n> {
    /// The [limit](Self::storm_above) of a handler that names none: 200 claims in a millisecond on
    /// one CPU, twice as many as the hottest source that is meant to ring (a profiler's 100,000
    /// overflows a second).
    pub const STORM_ABOVE: u16 = 200;

    /// A handler of `class` behind `doorbell`, of priority 128. The name (1 to
    /// [`Name::MAX_BYTES`](crate::Name::MAX_BYTES) bytes) is copied into the registry.
    #[must_use]
    pub const fn new(name: &'n str, class: Class, doorbell: Doorbell, edges: EdgeModel) -> Self {
        Self {
            name,
            class,
            doorbell,
            edges,
            priority: 128,
            delivery: PlatformDelivery::All,
            claims_per_ms: Self::STORM_ABOVE,
        }
    }

    /// Sets the priority: smaller ones are asked earlier, equal ones in order of registration.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Says to which CPUs the doorbell of a Platform handler rings; unless said, to all. For the
    /// other classes it means nothing.
    #[must_use]
    pub const fn delivery(mut self, delivery: PlatformDelivery<'n>) -> Self {
        self.delivery = delivery;
        self
    }

    /// Sets the storm limit: the library calls
    /// [`Platform::storm_began`](crate::Platform::storm_began) when the handler claims more often
    /// than this within a millisecond on one CPU. The default is
    /// [`STORM_ABOVE`](Self::STORM_ABOVE); 0 stands for no limit, and so does 65,535.
    #[must_use]
    pub const fn storm_above(mut self, claims_per_ms: u16) -> Self {
        self.claims_per_ms = claims_per_ms;
        self
    }
}
