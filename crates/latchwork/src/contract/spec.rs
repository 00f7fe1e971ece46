// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a driver says about its handler: when dispatch asks it, and which doorbell rings for it.

use crate::subsystem::SubsystemId;

/// When dispatch asks a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Per-CPU and lock-free sources. On every edge dispatch asks all handlers of this class,
    /// whether or not one has claimed.
    Local = 0,
    /// Machine-wide sources, and all that identify themselves by a register read. One CPU at a time
    /// asks them, when no Local source explained the edge.
    Platform = 1,
    /// The last resort. Dispatch asks these handlers only about an edge that nothing else explains.
    Unknown = 2,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Local, Self::Platform, Self::Unknown];
    pub(crate) const COUNT: usize = Self::ALL.len();
}

/// Names one registration for as long as it lasts. Afterwards the handle is stale, and calls that
/// get it say so. It stays unique however often the registry uses a slot again. It is also unique
/// among all [`Nmi`](crate::Nmi)s: any other than the one that made it finds it stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandlerId {
    pub(crate) subsystem: SubsystemId,
    pub(crate) class: Class,
    pub(crate) slot: usize,
    pub(crate) generation: usize,
}

/// What rings. All handlers behind one LVT entry, line or message name the same doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doorbell {
    /// An NMI that software sends: [`Nmi::send`](crate::Nmi::send).
    Software,
    /// A doorbell that each CPU has of its own, such as an entry of the local vector table.
    Local(u8),
    /// A doorbell of the machine: a line, a message, a port.
    Platform(u16),
}

/// How a doorbell's edges relate to the *condition* behind it: a status at the source, which
/// persists until the handler consumes it.
///
/// The model belongs to the doorbell, so all handlers behind one doorbell must name the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeModel {
    /// One ring per condition: software sends, level-held lines, an LVT entry that masks itself.
    PerCondition,
    /// One status may stand for several rings, or rings come late: MSI devices, some counters, much
    /// firmware. Refused behind [`Doorbell::Software`] and for the class
    /// [`Unknown`](Class::Unknown), whose claims grant nothing.
    PerEvent {
        /// How long after a handler has consumed the status a ring may still arrive, in
        /// microseconds. At most [`Limits::cap_us`](crate::Limits::cap_us). If it is less than
        /// [`Limits::late_us`](crate::Limits::late_us), that limit applies instead.
        late_us: u32,
        /// The most rings that may come besides the one that every condition has: those that the
        /// status may have merged. At most [`EdgeModel::MOST_LATE_EDGES`].
        max_late_edges: u8,
    },
}

impl EdgeModel {
    /// The most late edges that a model may name. All rings of a condition may come to one CPU
    /// while another is at the claim that explains them, and the CPU has room for so many that wait
    /// for it.
    pub const MOST_LATE_EDGES: u8 = 62;
}

/// The CPUs to which a Platform doorbell rings: its route.
///
/// If a route names CPUs to which the doorbell does not ring, those CPUs may absorb a true unknown.
/// If it leaves out CPUs to which the doorbell rings, those report edges that a claim explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformDelivery<'c> {
    /// To every CPU, or to one that the driver does not know beforehand.
    All,
    /// To the CPU that plays the [boot CPU's](crate::Nmi::set_boot_cpu) role.
    Bsp,
    /// To these CPUs. The library does not keep the slice.
    Cpus(&'c [usize]),
}

/// What a driver registers its handler as: name, class, doorbell, edge model, and settings.
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
    /// one CPU. That is twice as many as the hottest source makes that is meant to ring, a profiler
    /// with 100,000 overflows a second.
    pub const STORM_ABOVE: u16 = 200;

    /// A handler of `class` behind `doorbell`, of priority 128. The registry copies the name, which
    /// has 1 to [`Name::MAX_BYTES`](crate::Name::MAX_BYTES) bytes.
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

    /// Sets the priority. Dispatch asks handlers of smaller priority earlier, and those of equal
    /// priority in the order of their registration.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the CPUs to which the doorbell of a Platform handler rings. The default is all CPUs.
    /// A handler of another class has no route, and is refused if it names one.
    #[must_use]
    pub const fn delivery(mut self, delivery: PlatformDelivery<'n>) -> Self {
        self.delivery = delivery;
        self
    }

    /// Sets the storm limit: the library calls
    /// [`Platform::storm_began`](crate::Platform::storm_began) when the handler claims more often
    /// than this within a millisecond on one CPU. The default is
    /// [`STORM_ABOVE`](Self::STORM_ABOVE); 0 means no limit, and so does 65,535.
    #[must_use]
    pub const fn storm_above(mut self, claims_per_ms: u16) -> Self {
        self.claims_per_ms = claims_per_ms;
        self
    }
}
