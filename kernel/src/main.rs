// SPDX-License-Identifier: MIT OR Apache-2.0
//! Latchwork's reference kernel: boots by PVH or Multiboot2 on one to eight CPUs, takes real NMIs
//! through the library, and runs the scenario its command line names. See `README.md` beside this
//! package.
#![no_std]
#![no_main]

mod apic;
mod boot;
#[expect(
    dead_code,
    reason = "devices, further words of a boot and CI's selection are for the host"
)]
mod catalog;
mod cmdline;
mod console;
mod cpu;
mod device;
mod exit;
mod hpet;
mod idle;
mod image;
mod ioapic;
mod machine;
mod mmio;
mod nmi;
mod nmi_lines;
mod once;
mod paging;
mod panic;
mod patience;
mod pci;
mod record;
mod scenario;
mod screen;
mod smp;
mod tick;
mod time;
mod trap;
mod waiting;

use core::sync::atomic::Ordering;

use boot::{firmware, loader, start};
use console::println;
use cpu::{area, stacks, tables};
use exit::{Ending, exit};
use latchwork_x86::lapic::mode::ApicMode;

/// Where the boot CPU begins, on the start-up stack, with interrupts off.
extern "C" fn kernel_main(info_address: u32, magic: u32) -> ! {
    console::init();
    println!("latchwork kernel");
    // SAFETY: the entry code passes what the loader put into EBX, and by which protocol.
    let handover = unsafe { loader::handover(info_address, magic) };
    println!("command line: {}", handover.cmdline.text());
    exit::choose(handover.cmdline);
    let mode = choose_apic(handover.cmdline);

    // SAFETY: once, on the boot CPU, before any CPU loads it.
    unsafe { tables::fill_idt() };
    // SAFETY: CPU 0 has taken no interrupt, and runs on the start-up stack.
    unsafe { stacks::prepare(0, start::gs_access()) };
    // SAFETY: this is the boot CPU, which is CPU 0.
    unsafe { start::become_cpu(0) };

    apic::silence_8259s();
    apic::choose_mode(mode);
    apic::init_this_cpu(apic::calibrate);
    apic::forget_errors();
    if let Some(area) = area::this() {
        area.apic_id.store(apic::id().get(), Ordering::Relaxed);
    }

    let machine = machine::name();
    let ids = firmware::cpus(mode);
    // SAFETY: the low pages are free, and the IDT is filled.
    let cpus = unsafe { start::start_others(&ids) };
    record::machine(machine, cpus, apic_word(mode));
    nmi::init(cpus);
    x86_64::instructions::interrupts::enable();
    nmi::bring_all_online();

    scenario::run(handover.cmdline, cpus);
    record::end();
    exit(Ending::InOrder)
}

/// Reads the wanted mode of the local APICs.
fn choose_apic(cmdline: cmdline::CommandLine) -> ApicMode {
    match cmdline.value("apic").unwrap_or("xapic") {
        "xapic" => ApicMode::XApic,
        "x2apic" => {
            assert!(latchwork_x86::cpuid::features().x2apic, "this CPU has no x2APIC");
            ApicMode::X2Apic
        }
        other => panic!("there is no APIC mode \"{other}\""),
    }
}

/// What the command line and the record call a mode.
const fn apic_word(mode: ApicMode) -> &'static str {
    match mode {
        ApicMode::X2Apic => "x2apic",
        ApicMode::XApic | ApicMode::Disabled => "xapic",
    }
}
