// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each CPU waits for.
//!
//! A kernel that stands still says nothing by itself: the CPU that could report may be the one that
//! waits, or the emulator may not execute it at all. So each wait has a name, and each CPU notes
//! its waits in an array that others read:
//!
//! - other CPUs: now and then a tick looks at all waits. If one has lasted for two minutes, it ends
//!   the kernel with a panic that names what every CPU waits for;
//! - the host, through the emulator's monitor, when the kernel is silent for too long, even if no
//!   CPU executes anything.
//!
//! An NMI may note a wait on top of the one that it has interrupted, at any instruction.

#[expect(dead_code, reason = "what the symbol is called is for the host")]
mod layout;

use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, compiler_fence};

use self::layout::{PLACEHOLDER, WAITS_A_CPU, WORDS_A_SITE, WORDS_A_WAIT};
use crate::cpu::{MAX_CPUS, area};
use crate::time;

/// After how long a wait counts as one that will not end: longer than a host keeps a CPU from
/// running, and than a host's own limit for silence. The boot CPU changes it, for a fault that
/// shows just that.
static STANDSTILL_MS: AtomicU64 = AtomicU64::new(120_000);

/// From now on, a wait that has lasted for `ms` counts as one that will not end.
pub(crate) fn set_limit_ms(ms: u64) {
    STANDSTILL_MS.store(ms, Ordering::Relaxed);
}

fn limit_ms() -> u64 {
    STANDSTILL_MS.load(Ordering::Relaxed)
}

/// A place in the source where CPUs wait, and for what. As [`layout`] says.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Site {
    text: *const u8,
    text_bytes: usize,
    file: *const u8,
    file_bytes: usize,
    line: usize,
}

const _: () = assert!(size_of::<Site>() == WORDS_A_SITE * 8);

// SAFETY: the pointers are those of string literals, which never change.
unsafe impl Sync for Site {}

impl Site {
    /// What is waited for, and where. For [`awaited`].
    pub(crate) const fn new(text: &'static str, file: &'static str, line: u32) -> Self {
        Self {
            text: text.as_ptr(),
            text_bytes: text.len(),
            file: file.as_ptr(),
            file_bytes: file.len(),
            line: line as usize,
        }
    }

    fn text(&self) -> &'static str {
        // SAFETY: the two are of one string literal.
        unsafe { text_of(self.text, self.text_bytes) }
    }

    fn file(&self) -> &'static str {
        // SAFETY: the two are of one string literal.
        unsafe { text_of(self.file, self.file_bytes) }
    }
}

/// The string literal of which these are.
///
/// # Safety
///
/// They are of a string literal.
unsafe fn text_of(start: *const u8, bytes: usize) -> &'static str {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { core::slice::from_raw_parts(start, bytes) };
    // SAFETY: as above.
    unsafe { core::str::from_utf8_unchecked(bytes) }
}

/// What a CPU waits for: a site, and the number that stands for `{}` in its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    site: &'static Site,
    number: u64,
    is_limited: bool,
}

impl Awaited {
    /// For [`awaited`].
    pub(crate) const fn new(site: &'static Site, number: u64) -> Self {
        Self { site, number, is_limited: true }
    }

    /// This may take for ever: nothing is wrong then.
    pub(crate) const fn without_limit(self) -> Self {
        Self { is_limited: false, ..self }
    }

    /// The beginning to note for a wait that begins now.
    fn since_ticks(&self) -> u64 {
        if self.is_limited { time::now_ticks() } else { WITHOUT_LIMIT }
    }
}

/// Stands for the beginning of a wait that may last for ever: no time is after it.
const WITHOUT_LIMIT: u64 = u64::MAX;

/// What a CPU waits for here: the text that follows "waits for", and the number for its `{}`, if it
/// has one.
macro_rules! awaited {
    ($text:literal) => {
        $crate::waiting::awaited!($text, 0_usize)
    };
    ($text:literal, $number:expr) => {{
        static SITE: $crate::waiting::Site = $crate::waiting::Site::new($text, file!(), line!());
        $crate::waiting::Awaited::new(&SITE, $number as u64)
    }};
}
pub(crate) use awaited;

/// A wait as it is noted.
#[repr(C)]
struct Wait {
    /// Null while there is no wait. Writer: the CPU that it belongs to, Release after the others.
    /// Readers: any CPU, Acquire.
    site: AtomicPtr<Site>,
    number: AtomicU64,
    since_ticks: AtomicU64,
}

const _: () = assert!(size_of::<Wait>() == WORDS_A_WAIT * 8);

impl Wait {
    const fn new() -> Self {
        Self {
            site: AtomicPtr::new(ptr::null_mut()),
            number: AtomicU64::new(0),
            since_ticks: AtomicU64::new(0),
        }
    }

    fn begin(&self, awaited: Awaited, since_ticks: u64) {
        self.number.store(awaited.number, Ordering::Relaxed);
        self.since_ticks.store(since_ticks, Ordering::Relaxed);
        self.site.store(ptr::from_ref(awaited.site).cast_mut(), Ordering::Release);
    }

    fn end(&self) {
        self.site.store(ptr::null_mut(), Ordering::Release);
    }

    /// What the CPU waits for, and since when; `None` if there is no wait.
    fn read(&self) -> Option<(Awaited, u64)> {
        // SAFETY: whatever is stored here, null aside, was made from a reference to a static.
        let site: &'static Site = unsafe { self.site.load(Ordering::Acquire).as_ref() }?;
        let awaited = Awaited::new(site, self.number.load(Ordering::Relaxed));
        Some((awaited, self.since_ticks.load(Ordering::Relaxed)))
    }
}

/// The waits of each CPU, in the order of CPUs. Its name is [`layout::SYMBOL`].
#[unsafe(no_mangle)]
static LATCHWORK_WAITS: [[Wait; WAITS_A_CPU]; MAX_CPUS] =
    [const { [const { Wait::new() }; WAITS_A_CPU] }; MAX_CPUS];

/// How many waits each CPU is in. Only that CPU writes and reads it; an NMI leaves it as it was.
static DEPTHS: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// This CPU's wait, noted until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The CPU and its place, if the CPU has a number.
    place: Option<(usize, usize)>,
    since_ticks: u64,
}

impl Waiting {
    /// Notes that this CPU waits. Any context.
    pub(crate) fn begin(awaited: Awaited) -> Self {
        let since_ticks = awaited.since_ticks();
        let Some((cpu, depth)) = area::current_cpu().and_then(|cpu| Some((cpu, DEPTHS.get(cpu)?)))
        else {
            return Self { place: None, since_ticks };
        };
        let place = depth.load(Ordering::Relaxed);
        depth.store(place + 1, Ordering::Relaxed);
        // From here on an NMI takes the next place. Partner: its own use of `depth`, on this CPU.
        compiler_fence(Ordering::SeqCst);
        if let Some(wait) = wait_at(cpu, place) {
            wait.begin(awaited, since_ticks);
        }
        Self { place: Some((cpu, place)), since_ticks }
    }

    /// Ends the kernel, with what every CPU waits for, if this wait has lasted for too long. Any
    /// context.
    pub(crate) fn check(&self) {
        if has_lasted_too_long(self.since_ticks) {
            stand_still();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some((cpu, place)) = self.place else {
            return;
        };
        if let Some(wait) = wait_at(cpu, place) {
            wait.end();
        }
        // Until here an NMI takes the next place. Partner: its own use of `depth`, on this CPU.
        compiler_fence(Ordering::SeqCst);
        if let Some(depth) = DEPTHS.get(cpu) {
            depth.store(place, Ordering::Relaxed);
        }
    }
}

fn wait_at(cpu: usize, place: usize) -> Option<&'static Wait> {
    LATCHWORK_WAITS.get(cpu)?.get(place)
}

/// Forgets the waits of `cpu`, which was stopped, or is this CPU and starts.
pub(crate) fn forget(cpu: usize) {
    LATCHWORK_WAITS.get(cpu).into_iter().flatten().for_each(Wait::end);
    if let Some(depth) = DEPTHS.get(cpu) {
        depth.store(0, Ordering::Relaxed);
    }
}

fn has_lasted_too_long(since_ticks: u64) -> bool {
    time::now_ticks().saturating_sub(since_ticks) > limit_ms() * time::ticks_per_ms()
}

/// Ends the kernel, with what every CPU waits for, if some CPU has waited for too long for
/// something that should come. Any context.
pub(crate) fn check_all() {
    let waits = LATCHWORK_WAITS.iter().flatten();
    if waits.filter_map(Wait::read).any(|(_, since_ticks)| has_lasted_too_long(since_ticks)) {
        stand_still();
    }
}

/// Ends the kernel with what every CPU waits for.
fn stand_still() -> ! {
    panic!("a wait has lasted for {} s; {Everybody}", limit_ms() / 1_000)
}

/// Displays what every CPU waits for.
struct Everybody;

impl fmt::Display for Everybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (cpu, waits) in LATCHWORK_WAITS.iter().enumerate() {
            for (awaited, since_ticks) in waits.iter().filter_map(Wait::read) {
                let ticks = time::now_ticks().saturating_sub(since_ticks);
                write!(f, "{separator}CPU {cpu} waits for {awaited}")?;
                if since_ticks != WITHOUT_LIMIT {
                    write!(f, " since {} ms", ticks / time::ticks_per_ms())?;
                }
                separator = "; ";
            }
        }
        Ok(())
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.site.text();
        match text.split_once(PLACEHOLDER) {
            Some((before, after)) => write!(f, "{before}{}{after}", self.number)?,
            None => f.write_str(text)?,
        }
        write!(f, " ({}:{})", self.site.file(), self.site.line)
    }
}
