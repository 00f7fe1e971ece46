// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;

#[test]
fn a_sequence_is_played_the_same_each_time() {
    for cpus in [1, 2] {
        for seed in 0..50 {
            let [first, second] =
                [(); 2].map(|()| perform(seed, cpus, Recovery::Probe).expect("it ends"));
            assert_eq!(first, second, "{seed} on {cpus}");
            assert!(!first.log.is_empty());
        }
    }
}
