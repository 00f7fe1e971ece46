// SPDX-License-Identifier: MIT OR Apache-2.0
//! The CPUID bits that this crate's users need to make choices.

use core::arch::asm;

/// What the executing CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// x2APIC mode (CPUID.01H:ECX\[21\]).
    pub x2apic: bool,
    /// A hypervisor is underneath (CPUID.01H:ECX\[31\]).
    pub hypervisor: bool,
    /// `rdgsbase` and its like, once CR4.FSGSBASE is set (CPUID.07H.0:EBX\[0\]).
    pub fsgsbase: bool,
    /// Supervisor-mode access prevention (CPUID.07H.0:EBX\[20\]).
    pub smap: bool,
    /// FRED (CPUID.07H.1:EAX\[17\]).
    pub fred: bool,
    /// NMI-source reporting, which needs FRED (CPUID.07H.1:EAX\[20\]).
    pub nmi_source: bool,
}

/// Asks the executing CPU. Do not call it in an NMI: under a hypervisor `cpuid` is an exit that
/// takes thousands of cycles.
#[must_use]
pub fn features() -> Features {
    let highest = cpuid(0, 0).eax;
    let basic = cpuid(1, 0);
    let (structured, structured_1) = if highest >= 7 {
        let structured = cpuid(7, 0);
        let structured_1 = if structured.eax >= 1 { cpuid(7, 1).eax } else { 0 };
        (structured.ebx, structured_1)
    } else {
        (0, 0)
    };
    Features {
        x2apic: bit(basic.ecx, 21),
        hypervisor: bit(basic.ecx, 31),
        fsgsbase: bit(structured, 0),
        smap: bit(structured, 20),
        fred: bit(structured_1, 17),
        nmi_source: bit(structured_1, 20),
    }
}

const fn bit(register: u32, number: u32) -> bool {
    (register >> number) & 1 != 0
}

struct Leaf {
    eax: u32,
    ebx: u32,
    ecx: u32,
}

/// Written by hand, since the function in `core::arch` is unsafe in older compilers and safe in
/// newer ones.
fn cpuid(leaf: u32, subleaf: u32) -> Leaf {
    let (eax, ebx, ecx): (u32, u64, u32);
    // SAFETY: every x86-64 CPU has `cpuid`, at every privilege level. RBX, which the compiler
    // reserves, is put back.
    unsafe {
        asm!(
            "mov {rbx}, rbx",
            "cpuid",
            "xchg {rbx}, rbx",
            rbx = out(reg) ebx,
            inout("eax") leaf => eax,
            inout("ecx") subleaf => ecx,
            out("edx") _,
            options(nostack, preserves_flags),
        );
    }
    Leaf { eax, ebx: ebx as u32, ecx }
}
