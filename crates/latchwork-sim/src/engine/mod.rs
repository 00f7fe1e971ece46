// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a [`World`] in every order, in random orders, or in one order again.
//!
//! # What runs
//!
//! A world is a machine and its software. Each simulated CPU is a coroutine of one thread of the
//! host; a handler that interrupts it is a call on its stack, nested as on a real one. The software
//! is real code: it reaches memory through the simulated backend of the core's `primitive` module,
//! and hardware through [`hardware`]. Before each such access there is a *choice point*: the CPU
//! goes on, or another CPU does, or a store leaves a store buffer, or the environment does
//! something ([`Event`]). An interruption that is due is taken there at once, as a CPU takes it at
//! the next instruction boundary.
//!
//! Between two choice points nothing else happens, so an execution is determined by what was
//! chosen. The first option is the default, and a [`Trace`] lists the choices of another: it is
//! short, can be printed, and replays the execution.
//!
//! # Three searches
//!
//! * [`exhaust`] sees every execution within [`Bounds`], depth-first.
//! * [`sample`] runs random executions, one for each seed, as long as the world has something to
//!   do.
//! * [`replay`] runs the execution of a trace and records it as a [`Timeline`].
//!
//! [`minimise`] makes a found execution short before it is shown.
//!
//! # Why executions are run again
//!
//! To go back to a choice point, the exhaustive search builds the world anew and repeats what was
//! chosen until there. Stacks of real code and whatever a world keeps on the heap cannot be copied,
//! but they can be made again: everything is deterministic. The way back costs little, since the
//! engine neither lists options nor hashes states on it: it passes some 10 million choice points a
//! second, and builds a world in a few microseconds if that lies in a [`Place`].
//! (`examples/engine_speed.rs` measures both.)
//!
//! # What the exhaustive search leaves out, and why it may
//!
//! **States that it has met.** Where the search has met the whole machine in the same state before,
//! with at least as many preemptions left, it has seen or will see from there whatever follows. The
//! state is the hash of: the words of memory that differ from the beginning; each CPU's store
//! buffer; each CPU's history; what the world takes in with [`World::fold`]; and which CPU runs,
//! because leaving it may be a preemption. A context's *history* is the hash of all accesses that
//! it made, with what they returned. It stands for the registers and the stack: code is
//! deterministic, so what it has seen says where it is and what it knows. Each level has its own:
//! when a handler returns, its knowledge is gone, and what it did is in memory. A base context that
//! comes to rest says so ([`at_rest`]), and its history is forgotten too.
//!
//! **Turns of a wait that change nothing.** A CPU that waits runs again after another CPU or the
//! environment has changed something, not before: another turn would see what the last one saw. And
//! a turn that saw just what the turn before it saw is not part of the history: a wait carries
//! nothing else from turn to turn. That is a demand on waits ([`relax`]), not a fact: one that
//! counts its turns must [`observe`] the count.
//!
//! **Options whose order with what was just done cannot matter.** An option is offered only after
//! something that it may not change places with ([`Touches`]). Whatever an execution does
//! elsewhere, another does earlier, with as many preemptions, and ends in the same state:
//!
//! * *An event* that commutes with the last step of the CPU that runs moves before it, and on until
//!   a step holds it up. It can only do so if it makes that CPU neither take an interruption nor
//!   stop, so while an NMI may come, an edge for that CPU depends on everything: an NMI between any
//!   two accesses matters. While NMIs are blocked, an edge sets a latch at which no code can look,
//!   and only what sets edges on their way holds it up.
//! * *A switch* is not one step: the CPU that is left takes its next one only when its turn comes
//!   again. So instead its last step moves behind all that others and the environment do until
//!   then. It may if no other CPU uses the word that it used, *and* if no event meanwhile can make
//!   a difference to it, which would be one that lets an NMI in. So a switch is left out only where
//!   the CPU is closed to interruptions until its own code opens it ([`World::is_closed`]). Two
//!   edges that collapse because the CPU on which they land does not run just then are not lost. A
//!   wait that such a step would have woken is put to sleep again by what it sees.
//! * *After anything else*, an interruption's begin and end, a wait's turn, another CPU's turn, an
//!   event, everything is offered.
//!
//! Each such move brings deviations nearer to the beginning, so the moves come to an end. The
//! search relies on what a world says of its events: [`World::touches`] may name too much, never
//! too little. Code that changes the world, or reports to the monitors, outside of [`hardware`]
//! says so ([`acts`]).
//!
//! The search learns which words one CPU alone uses, or no CPU writes: until the search sees two
//! CPUs at a word, one of which writes, it takes the word for private. When it sees that, it begins
//! again. If it never does, it was right to the end. For take the shortest execution in which a
//! second CPU uses a word that the search took for private. Before that last step the search left
//! nothing out wrongly, so it ran an equivalent of those steps, and then that step too, or that
//! step first and the other use of the word after it.
//!
//! In a state that it has met before, the search takes only those options that it was not offered
//! there then. The last step decides which options are offered, and nothing of what follows an
//! option, so it is no part of the state.
//!
//! **Use of cells that belong to one context at a time** is no choice point; the atomics of the
//! protocol that gives them to one context are.
//!
//! The tests compare the search with pruning and reduction and without, and on random programs with
//! a reference that shares nothing with it.
//!
//! # Limits
//!
//! * The search sees nothing beyond [`Bounds::preemptions`]. Events, interruptions, drained stores,
//!   and switches away from a CPU that waits, halts or has finished are free, so the bound limits
//!   only how often a CPU is left in the middle of its work. Other bounds end a search as
//!   [`Verdict::Unfinished`].
//! * States are known by 64 bits. Two of n states look alike with a probability of about n²/2⁶⁵: 1
//!   in 1.5 million for 5 million states.
//! * Memory is sequentially consistent, or x86-TSO with store buffers of a bounded length. What
//!   compilers and weaker machines may reorder is loom's part, with the same source.
//! * A CPU takes an interruption only where it is about to make an access: code between two
//!   accesses touches nothing that a handler could see.
//! * The search does not find code that waits for ever while something else goes on. It finds code
//!   that waits while nothing can happen ([`Property::Deadlock`]).
//! * A search uses one thread. Several searches can run side by side, each with worlds of its own.

mod calls;
mod coroutine;
mod cpu;
mod driver;
mod fingerprint;
mod memory;
mod panics;
mod place;
mod runtime;
mod search;
mod sharing;
mod store_buffer;
#[cfg(test)]
mod tests;
mod timeline;
mod touches;
mod trace;
mod world;

pub use calls::{
    Observed, accesses, acts, at_rest, hardware, is_recorded, memory_fence, note, observe, peek,
    relax, this_cpu,
};
pub use fingerprint::Fingerprint;
pub use place::Place;
#[cfg(test)]
pub(crate) use search::exhaustive::exhaust_with;
pub use search::{
    Bounds, Build, Counterexample, Directed, Director, Limit, Replay, Report, Verdict, direct,
    exhaust, minimise, replay, sample,
};
pub use timeline::{Detail, Entry, Timeline};
pub use touches::Touches;
pub use trace::{Deviation, Trace, TraceError};
pub use world::{Access, Event, Interruption, Property, Violation, World};
