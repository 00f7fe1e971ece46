// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel's programmer forgets.

use crate::{
    engine::{Access, hardware},
    machine::{Happening, current},
};

/// This CPU's kernel leaves out the next call that it need not make.
pub fn forget() {
    let machine = current();
    machine.change_cpu(machine.this_cpu(), |cpu| cpu.forgets = true);
}

/// Whether this CPU's kernel leaves out the call that it is about to make, which it need not make.
pub fn forgets() -> bool {
    let machine = current();
    let cpu = machine.this_cpu();
    let may = machine.happenings.iter().any(|(one, _)| *one == Happening::Forget(cpu));
    let does = machine.with(|state| state.cpus[cpu].forgets);
    (may || does)
        && hardware(Access::Local, || {
            let forgets = machine.with(|state| state.cpus[cpu].forgets);
            if forgets {
                machine.change_cpu(cpu, |cpu| cpu.forgets = false);
            }
            forgets
        })
}
