// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several boots at a time, as many as the host has CPUs for.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::machine::{Clock, Machine};

/// A boot has memory and files of its own, so that many at a time help less and less.
const MOST: usize = 4;

/// How many boots of `machine` this host runs at a time.
pub(super) fn at_a_time(machine: Machine) -> usize {
    let host_cpus = thread::available_parallelism().map_or(1, NonZero::get);
    let threads_of_a_boot = match machine.clock {
        Clock::Deterministic => 1,
        Clock::Parallel => usize::from(machine.cpus),
    };
    (host_cpus / threads_of_a_boot).clamp(1, MOST)
}

/// Does `work` on each of `items`, on a number of threads, and passes on the results in the order
/// of the items. After an error, it begins nothing more.
///
/// # Errors
///
/// The first one.
pub(super) fn work_through<I: Send, O: Send, E: Send>(
    items: Vec<I>,
    threads: usize,
    work: impl Fn(I) -> Result<O, E> + Sync,
) -> Result<Vec<O>, E> {
    let queue = Mutex::new(items.into_iter().enumerate().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    let lane = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((place, item)) = next else { return };
            let result = work(item);
            if result.is_err() {
                queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(lane);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    // What was met first was pushed first.
    if let Some(error) = done.iter().position(|(_, result)| result.is_err()) {
        done.swap(0, error);
        done.truncate(1);
    }
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_and_two_are_worked_on_at_a_time() {
        // Each waits for another: with one thread, nobody would come.
        let both = Barrier::new(2);
        let work = |item: u32| {
            both.wait();
            Ok::<_, ()>(item * 10)
        };
        assert_eq!(work_through(vec![4, 3, 2, 1], 2, work), Ok(vec![40, 30, 20, 10]));
    }

    #[test]
    fn nothing_is_begun_after_an_error() {
        let begun = Mutex::new(Vec::new());
        let work = |item: u32| {
            begun.lock().expect("nobody panicked").push(item);
            if item == 2 { Err("two") } else { Ok(item) }
        };
        assert_eq!(work_through(vec![1, 2, 3, 4], 1, work), Err("two"));
        assert_eq!(begun.into_inner().expect("nobody panicked"), [1, 2]);
    }
}
