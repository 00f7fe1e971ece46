// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work for all CPUs at once.
//!
//! The boot CPU offers one job at a time; every other CPU idles until there is a new one, runs it
//! and says so.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::waiting::awaited;
use crate::{apic, idle, patience};

type Job<'a> = &'a (dyn Fn(usize) + Sync);

struct Offer(UnsafeCell<Option<Job<'static>>>);

// SAFETY: written by the boot CPU while no job runs, read by the others between `NUMBER`'s Release
// and their `DONE`.
unsafe impl Sync for Offer {}

static OFFER: Offer = Offer(UnsafeCell::new(None));
/// Counts jobs. Writer: the boot CPU, Release after the offer. Readers: the others, Acquire.
static NUMBER: AtomicUsize = AtomicUsize::new(0);
/// How many CPUs have finished the current job. They add, Release; the boot CPU reads, Acquire.
static DONE: AtomicUsize = AtomicUsize::new(0);
/// CPUs that take part.
static CPUS: AtomicUsize = AtomicUsize::new(1);

/// Sets how many CPUs run. Boot CPU, once all have started.
pub(crate) fn set_cpus(cpus: usize) {
    CPUS.store(cpus, Ordering::Relaxed);
}

/// Runs `job` on every CPU, giving each its number, and returns when all have finished. Boot CPU,
/// ordinary context.
pub(crate) fn on_all_cpus(job: Job<'_>) {
    let cpus = CPUS.load(Ordering::Relaxed);
    DONE.store(0, Ordering::Relaxed);
    // SAFETY: the job is used until the last CPU has said that it is done with it, and this
    // function waits for that.
    let job: Job<'static> = unsafe { core::mem::transmute::<Job<'_>, Job<'static>>(job) };
    // SAFETY: no job runs, so nobody reads the offer.
    unsafe { *OFFER.0.get() = Some(job) };
    NUMBER.fetch_add(1, Ordering::Release);
    for cpu in 1..cpus {
        apic::send_wake(cpu);
    }
    job(0);
    let all_done = || DONE.load(Ordering::Acquire) == cpus - 1;
    let others = awaited!("all other CPUs to finish their jobs");
    if !patience::spin_until(others, all_done, 200) {
        idle::until(others, all_done);
    }
}

/// What every CPU but the first does: idles, and runs the jobs it is offered. A CPU that was
/// stopped in a job and started again runs that job from the beginning: it has not said that it is
/// done.
pub(crate) fn serve_jobs(cpu: usize) -> ! {
    let mut last = 0;
    loop {
        let job = awaited!("a job").without_limit();
        idle::until(job, || NUMBER.load(Ordering::Acquire) != last);
        last = NUMBER.load(Ordering::Acquire);
        // SAFETY: the Acquire above saw the offer's number, and the boot CPU changes the offer only
        // after `DONE`.
        if let Some(job) = unsafe { *OFFER.0.get() } {
            job(cpu);
        }
        DONE.fetch_add(1, Ordering::Release);
        apic::send_wake(0);
    }
}
