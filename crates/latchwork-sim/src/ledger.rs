// SPDX-License-Identifier: MIT OR Apache-2.0
//! Notes in a timeline what a policy has granted and owes, each time that it has changed.

use std::cell::RefCell;

use crate::{
    engine,
    policy::{Policy, Standing},
};

/// The last notes: the grants of each CPU, and the debt of the machine.
pub(crate) struct Ledger {
    grants: RefCell<Vec<String>>,
    debt: RefCell<String>,
}

impl Ledger {
    pub(crate) fn new(cpus: usize) -> Self {
        Self { grants: RefCell::new(vec![String::new(); cpus]), debt: RefCell::default() }
    }

    /// Notes what `policy` has changed, if a timeline is recorded. Called on `cpu`.
    pub(crate) fn note(&self, policy: &dyn Policy, cpu: usize) {
        if !engine::is_recorded() {
            return;
        }
        let Standing { grants, debt } = policy.standing(cpu);
        if let Some(noted) = self.grants.borrow_mut().get_mut(cpu) {
            if *noted != grants {
                engine::note(cpu, || format!("granted: {}", or_nothing(&grants)));
                *noted = grants;
            }
        }
        let machine = self.grants.borrow().len();
        let mut noted = self.debt.borrow_mut();
        if *noted != debt {
            engine::note(machine, || format!("owed: {}", or_nothing(&debt)));
            *noted = debt;
        }
    }
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}
