// SPDX-License-Identifier: MIT OR Apache-2.0
//! The simulated machine: Latchwork's real source, run on models of the hardware and searched for
//! what breaks it.

pub mod cost;
pub mod demo;
pub mod driver;
pub mod engine;
pub mod event_log;
pub mod explore;
mod ledger;
pub mod machine;
pub mod policy;
pub mod property;
pub mod run;
pub mod scenario;
pub mod sequence;
mod world;

pub use world::Simulation;
