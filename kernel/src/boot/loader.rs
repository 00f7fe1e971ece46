// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the loader hands over: PVH (QEMU's `-kernel`) or Multiboot2 (GRUB).

use core::cell::UnsafeCell;

use pvh::start_info::reader::StartInfoReader;

use super::{firmware, multiboot2};
use crate::cmdline::CommandLine;
use crate::screen;

/// What the PVH entry passes in place of a magic number: that protocol passes none in a register.
pub(super) const PVH: u32 = 0;

/// The longest command line that a Multiboot2 loader may pass.
const MOST_COMMAND_LINE_BYTES: usize = 1024;

/// The longest RSDP.
const MOST_RSDP_BYTES: usize = 36;

/// Bytes that are filled once, while the boot CPU is alone, and stay.
struct Kept<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: written once by the boot CPU, before any other CPU starts; read-only from then on.
unsafe impl<const N: usize> Sync for Kept<N> {}

/// Copies of parts of the loader's information, whose memory this kernel may reuse: the start-up
/// page of the other CPUs, for example, may lie there.
static COMMAND_LINE: Kept<MOST_COMMAND_LINE_BYTES> = Kept::new();
static RSDP: Kept<MOST_RSDP_BYTES> = Kept::new();

impl<const N: usize> Kept<N> {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }

    /// Copies `bytes`, which fit; returns the copy.
    ///
    /// # Safety
    ///
    /// Called once, on the boot CPU, before others start.
    unsafe fn keep(&'static self, bytes: &[u8]) -> &'static [u8] {
        // SAFETY: nobody has a reference: this is the one call.
        let place = unsafe { &mut *self.0.get() };
        place[..bytes.len()].copy_from_slice(bytes);
        &place[..bytes.len()]
    }
}

/// What the loader handed over.
#[derive(Debug)]
pub(crate) struct Handover {
    /// The kernel command line; empty if there is none.
    pub(crate) cmdline: CommandLine,
}

/// Reads what the loader left. Boot CPU, once, before others start.
///
/// # Safety
///
/// `info_address` and `magic` are what the entry code passes, and the memory they name is as the
/// loader left it.
pub(crate) unsafe fn handover(info_address: u32, magic: u32) -> Handover {
    let cmdline = match magic {
        // SAFETY: the caller vouches for the address.
        PVH => unsafe { pvh(info_address) },
        // SAFETY: as above.
        multiboot2::LOADER_MAGIC => unsafe { multiboot2(info_address) },
        other => panic!("the loader is neither PVH nor Multiboot2: EAX was {other:#x}"),
    };
    Handover { cmdline: CommandLine::new(cmdline) }
}

/// Reads the PVH start info.
///
/// # Safety
///
/// As [`handover`].
unsafe fn pvh(start_info_address: u32) -> &'static str {
    // SAFETY: the caller vouches for the address, and all of it is identity-mapped for ever.
    let Some(reader) = (unsafe { StartInfoReader::from_paddr_identity(start_info_address) }) else {
        panic!("the loader left no PVH start info at {start_info_address:#x}");
    };
    let info = reader.raw();
    firmware::set_rsdp_address(info.rsdp_paddr);
    reader.cmdline().and_then(|line| line.to_str().ok()).unwrap_or("")
}

/// Reads the Multiboot2 information, and copies what the kernel needs later.
///
/// # Safety
///
/// As [`handover`].
unsafe fn multiboot2(address: u32) -> &'static str {
    // SAFETY: the caller vouches for the address.
    let info = match unsafe { read_info(address) } {
        Ok(info) => info,
        Err(error) => panic!("the Multiboot2 information at {address:#x} is malformed: {error}"),
    };
    if let Some(text) = info.text_screen {
        // SAFETY: the loader says that this is the text screen, and nobody else uses it.
        unsafe { screen::mirror_to(&text) };
    }
    if let Some(copy) = info.rsdp {
        // SAFETY: called once; the parser gives at most as many bytes as fit.
        let kept = unsafe { RSDP.keep(copy) };
        firmware::set_rsdp_address(kept.as_ptr().addr() as u64);
    }
    let line = info.command_line;
    assert!(
        line.len() <= MOST_COMMAND_LINE_BYTES,
        "the command line has {} bytes, at most {MOST_COMMAND_LINE_BYTES} are read",
        line.len()
    );
    // SAFETY: called once; the length is checked above.
    let kept = unsafe { COMMAND_LINE.keep(line.as_bytes()) };
    core::str::from_utf8(kept).unwrap_or("")
}

/// Reads the information at `address`, which is not changed while the result is used.
///
/// # Safety
///
/// If the address is one that a loader may pass, its information is there.
unsafe fn read_info(address: u32) -> Result<multiboot2::Info<'static>, multiboot2::InfoError> {
    multiboot2::check_address(address)?;
    let start = core::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: all below 4 GiB is mapped, and the address is aligned.
    let first_word = unsafe { start.cast::<u32>().read() };
    let bytes = multiboot2::size_bytes(address, first_word)?;
    // SAFETY: the range ends below 4 GiB, which is mapped, and holds what the loader left.
    multiboot2::parse(unsafe { core::slice::from_raw_parts(start, bytes) })
}
