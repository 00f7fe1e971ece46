// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what our policies cost.

use latchwork_sim::{
    cost::{Load, measure},
    policy::{Latchwork, Policy, Recovery},
};

fn main() {
    for recovery in [Recovery::Poll, Recovery::Probe] {
        for (cpus, pmi_hz) in
            [(1, 1_000), (1, 10_000), (1, 100_000), (256, 1_000), (256, 10_000), (256, 100_000)]
        {
            let policy = move || Box::new(Latchwork(recovery)) as Box<dyn Policy>;
            let begun = std::time::Instant::now();
            let cost = measure(&policy, Load { cpus, pmi_hz, for_us: 200_000 });
            println!("{recovery:?} {cpus} CPUs {pmi_hz} Hz: {cost:?} in {:.1?}", begun.elapsed());
        }
    }
}
