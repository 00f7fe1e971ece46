// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel image's symbols and data.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SymbolKind};

/// The bytes of the kernel image.
pub(super) struct Image(Vec<u8>);

/// The symbols of the kernel image.
pub(super) struct Symbols<'a>(ElfFile64<'a>);

/// A variable of the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Variable {
    pub(super) address: u64,
    pub(super) bytes: u64,
}

impl Image {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self(bytes))
    }

    pub(super) fn symbols(&self) -> anyhow::Result<Symbols<'_>> {
        Ok(Symbols(ElfFile64::parse(self.0.as_slice()).context("the kernel is no ELF image")?))
    }
}

impl Symbols<'_> {
    /// The variable with this symbol.
    pub(super) fn variable(&self, symbol: &str) -> Option<Variable> {
        let is_it = |name: Result<&str, _>| name.is_ok_and(|name| name == symbol);
        let found = self.0.symbols().find(|it| is_it(it.name()))?;
        Some(Variable { address: found.address(), bytes: found.size() })
    }

    /// The function that the instruction at `address` belongs to, as it is written in Rust.
    pub(super) fn function_at(&self, address: u64) -> Option<String> {
        let functions =
            self.0.symbols().filter(|it| it.kind() == SymbolKind::Text && it.is_definition());
        let up_to_there = functions.filter(|it| it.address() <= address);
        let last = up_to_there.max_by_key(|it| (it.address(), it.size()))?;
        // A function in assembly has no size.
        let is_inside = last.size() == 0 || address - last.address() < last.size();
        let name = is_inside.then(|| last.name().ok()).flatten()?;
        Some(format!("{:#}", rustc_demangle::demangle(name)))
    }

    /// The bytes of the image at `address`, which never change, if they are all there.
    pub(super) fn constant(&self, address: u64, bytes: u64) -> Option<&[u8]> {
        self.0.segments().find_map(|segment| segment.data_range(address, bytes).ok().flatten())
    }

    /// The words of eight bytes at `address`, of which there are `N`.
    pub(super) fn constant_words<const N: usize>(&self, address: u64) -> Option<[u64; N]> {
        let bytes = self.constant(address, N as u64 * 8)?;
        let words = bytes.chunks_exact(8).map(|word| word.try_into().map(u64::from_le_bytes));
        words.collect::<Result<Vec<_>, _>>().ok()?.try_into().ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An ELF image whose one segment has `data` at `address`, with symbols of variables or
    /// functions: name, address, bytes, and whether it is a function.
    pub(in crate::guest) fn elf(
        address: u64,
        data: &[u8],
        symbols: &[(&str, u64, u64, bool)],
    ) -> Vec<u8> {
        const HEADER: usize = 64;
        const SEGMENT: usize = 56;
        const SECTION: usize = 64;
        const SYMBOL: usize = 24;
        let data_at = HEADER + SEGMENT;
        let symbols_at = data_at + data.len();
        let names_at = symbols_at + SYMBOL * (symbols.len() + 1);

        let mut names = vec![0];
        let mut table = vec![0; SYMBOL];
        for (name, address, bytes, is_function) in symbols {
            table.extend((names.len() as u32).to_le_bytes());
            let kind = if *is_function { 2 } else { 1 };
            table.extend([0x10 | kind, 0, 1, 0]);
            table.extend([*address, *bytes].map(u64::to_le_bytes).concat());
            names.extend(name.bytes().chain([0]));
        }
        let sections_at = names_at + names.len();

        let mut image = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let halves = |halves: &[u16]| halves.iter().flat_map(|it| it.to_le_bytes()).collect();
        let words = |words: &[u32]| words.iter().flat_map(|it| it.to_le_bytes()).collect();
        let longs = |longs: &[u64]| longs.iter().flat_map(|it| it.to_le_bytes()).collect();
        let section = |kind: u32, at: usize, bytes: usize, link: u32, entry: u64| -> Vec<u8> {
            let parts: [Vec<u8>; 4] = [
                words(&[0, kind]),
                longs(&[0, 0, at as u64, bytes as u64]),
                words(&[link, 1]),
                longs(&[1, entry]),
            ];
            parts.concat()
        };
        let parts: [Vec<u8>; 11] = [
            halves(&[2, 62]),
            words(&[1]),
            longs(&[address, HEADER as u64, sections_at as u64]),
            words(&[0]),
            halves(&[HEADER as u16, SEGMENT as u16, 1, SECTION as u16, 3, 2]),
            words(&[1, 4]),
            longs(&[data_at as u64, address, address, data.len() as u64, data.len() as u64, 1]),
            data.to_vec(),
            table.clone(),
            names.clone(),
            [
                vec![0; SECTION],
                section(2, symbols_at, table.len(), 2, SYMBOL as u64),
                section(3, names_at, names.len(), 0, 0),
            ]
            .concat(),
        ];
        image.extend(parts.concat());
        image
    }

    #[test]
    fn variables_and_constants_are_where_the_image_says() {
        let data = [7_u64.to_le_bytes(), 9_u64.to_le_bytes()].concat();
        let image = Image(elf(0x10_0000, &data, &[("WAITS", 0x20_0000, 48, false)]));
        let symbols = image.symbols().expect("ELF");
        let waits = Variable { address: 0x20_0000, bytes: 48 };
        assert_eq!((symbols.variable("WAITS"), symbols.variable("WAIT")), (Some(waits), None));
        assert_eq!(symbols.constant_words(0x10_0000), Some([7, 9]));
        assert_eq!(symbols.constant_words::<2>(0x10_0008), None);
    }

    #[test]
    fn a_function_ends_where_it_ends_and_assembly_at_the_next_symbol() {
        let functions = [("_RNvC6kernel4wait", 0x100, 0x10, true), ("entry", 0x200, 0, true)];
        let image = Image(elf(0x10_0000, &[0; 8], &functions));
        let symbols = image.symbols().expect("ELF");
        let names =
            [0xff, 0x100, 0x10f, 0x110, 0x1ff, 0x200, 0x2ff].map(|it| symbols.function_at(it));
        let [wait, entry] = ["kernel::wait", "entry"].map(|name| Some(name.to_owned()));
        let expected = [&None, &wait, &wait, &None, &None, &entry, &entry];
        assert_eq!(names.each_ref(), expected);
    }

    /// Not inlined, so that there is a function to find.
    #[inline(never)]
    fn findable() -> usize {
        std::hint::black_box(findable as *const () as usize)
    }

    fn this_program() -> Image {
        Image::read(&std::env::current_exe().expect("a path")).expect("readable")
    }

    #[test]
    fn a_function_is_found_by_an_address_in_it() {
        let image = this_program();
        let symbols = image.symbols().expect("ELF");
        let address = |name: &str| {
            let found = symbols.0.symbols().find(|it| it.name().is_ok_and(|it| it.contains(name)));
            found.map(|it| it.address()).expect("a symbol")
        };
        assert_ne!(findable(), 0);
        let name = symbols.function_at(address("findable") + 1).expect("a name");
        assert_eq!(name, "xtask::guest::symbols::tests::findable");
        assert_eq!(symbols.function_at(0), None);
    }

    #[test]
    fn what_is_no_image_is_an_error() {
        assert!(Image(b"#!/bin/sh".to_vec()).symbols().is_err());
        assert!(Image::read(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn constants_are_read_whole_or_not_at_all() {
        let image = this_program();
        let symbols = image.symbols().expect("ELF");
        assert_eq!(symbols.constant(u64::MAX - 7, 8), None);
        assert_eq!(symbols.constant_words::<2>(u64::MAX - 7), None);
        let first = symbols.0.segments().next().expect("a segment").address();
        assert_eq!(symbols.constant(first, 4), Some(b"\x7fELF".as_slice()));
    }
}
