// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRUB's menu: its entries, each with its kernel command line.

use crate::catalog::{Boot, Scenario};
use crate::guest::command;
use crate::machine::Apic;

/// How long the menu waits for somebody to choose before it boots the first entry.
const TIMEOUT_S: u32 = 10;

/// The menu of one image.
#[derive(Debug)]
pub(crate) struct Menu {
    timeout_s: u32,
    /// Whether the menu is shown on the serial line as well. Without it, only the kernel writes
    /// there.
    on_serial: bool,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    title: String,
    command_line: String,
}

impl Menu {
    /// Where the kernel is in the image.
    pub(crate) const KERNEL: &'static str = "/boot/latchwork-kernel";

    /// An empty menu that waits for people to choose.
    pub(crate) const fn for_people() -> Self {
        Self { timeout_s: TIMEOUT_S, on_serial: true, entries: Vec::new() }
    }

    /// What of GRUB an image with this menu needs, with what that needs in turn, if it is known. On
    /// people's machines it may be anything.
    pub(crate) const fn modules(&self) -> Option<&'static str> {
        if self.on_serial { None } else { Some("normal multiboot2") }
    }

    /// A menu that boots its one entry at once.
    pub(crate) fn of_one(command_line: &str) -> Self {
        let entry =
            Entry { title: String::from("latchwork"), command_line: command_line.to_owned() };
        Self { timeout_s: 0, on_serial: false, entries: vec![entry] }
    }

    /// Adds `boot` of `scenario` in both modes. On a real machine only the power switch ends it.
    pub(crate) fn add(&mut self, scenario: &Scenario, boot: &Boot) {
        for apic in Apic::ALL {
            let words = format!("policy={} {}", boot.policy, boot.words);
            let needs = match scenario.min_cpus {
                1 => String::new(),
                cpus => format!(", needs {cpus} CPUs"),
            };
            self.entries.push(Entry {
                title: format!("{} ({}, {}{needs})", scenario.name, apic.name(), words.trim_end()),
                command_line: command::append(scenario, None, boot, apic, "halt"),
            });
        }
    }

    /// The text of `grub.cfg`.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("set default=0\nset timeout={}\n", self.timeout_s);
        if self.on_serial {
            // A machine without a serial port keeps its console.
            text.push_str(
                "if serial --unit=0 --speed=115200; then\n  terminal_input console serial\n  \
                 terminal_output console serial\nfi\n",
            );
        }
        for Entry { title, command_line } in &self.entries {
            text.push_str(&format!(
                "menuentry '{title}' {{\n  multiboot2 {} {command_line}\n  boot\n}}\n",
                Self::KERNEL
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SCENARIOS;

    #[test]
    fn people_are_offered_every_boot_in_both_modes() {
        let mut menu = Menu::for_people();
        for scenario in SCENARIOS {
            for boot in scenario.boots {
                menu.add(scenario, boot);
            }
        }
        let text = menu.text();
        assert!(text.starts_with("set default=0\nset timeout=10\nif serial "), "{text}");
        let boots: usize = SCENARIOS.iter().map(|scenario| scenario.boots.len()).sum();
        assert_eq!(text.matches("menuentry '").count(), 2 * boots);
        assert!(text.contains(
            "menuentry 'unknown (x2apic, policy=panic)' {\n  multiboot2 /boot/latchwork-kernel \
             scenario=unknown fault=none apic=x2apic policy=panic exit=halt\n  boot\n}\n"
        ));
        assert!(text.contains("menuentry 'idle-wake (xapic, policy=report, needs 2 CPUs)'"));
    }

    #[test]
    fn one_entry_is_booted_at_once_and_in_silence() {
        let text = Menu::of_one("a=b").text();
        assert_eq!(
            text,
            "set default=0\nset timeout=0\nmenuentry 'latchwork' {\n  multiboot2 \
             /boot/latchwork-kernel a=b\n  boot\n}\n"
        );
    }

    #[test]
    fn nothing_in_an_entry_ends_its_quotes_or_words() {
        for scenario in SCENARIOS {
            for boot in scenario.boots {
                let line = command::append(scenario, None, boot, Apic::Xapic, "halt");
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_=, ".contains(c);
                assert!(line.chars().all(plain), "{line}");
            }
        }
    }
}
