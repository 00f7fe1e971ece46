// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending a software NMI.

use core::{error::Error, fmt};

use crate::{
    contract::{Platform, Request, RingError},
    cpu::PerCpu,
    nmi::Nmi,
};

impl<P: Platform> Nmi<P> {
    /// Sends a software NMI: counts the request, rings the CPU, counts the send as finished.
    /// **NMI-safe.**
    ///
    /// *Ordering*: what the sender stored before is visible to the handlers that see the request.
    ///
    /// A sender that knows that a CPU [came online](Self::come_online), because that CPU has told
    /// it, is not refused, and the CPU serves the request. If a send is under way while the CPU
    /// goes offline, it may succeed although the CPU drops the request. If a send is under way
    /// until the CPU is back, it may ring the CPU without a request. Where that matters, stop the
    /// other CPUs from sending before you take a CPU offline.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub fn send(&'static self, cpu: usize, request: Request) -> Result<(), SendError> {
        let cpus = self.core.cpus();
        if cpus.is_empty() {
            return Err(SendError::NotInitialised);
        }
        let target = cpus.get(cpu).ok_or(SendError::NoSuchCpu { cpu })?;
        self.on_this_cpu(|this_cpu, area| {
            if request.is_to_self_only() && this_cpu != cpu {
                return Err(SendError::ToSelfOnly(request));
            }
            area.own.sending.begin();
            let sent = match target.presence().is_away() {
                true => Err(SendError::Offline { cpu }),
                false => post_and_ring(&self.platform, cpu, target, request),
            };
            area.own.sending.end();
            sent
        })
        .unwrap_or_else(|cpu| Err(SendError::NoSender { cpu }))
    }

    /// Rings each CPU for which requests are pending. A CPU has died in a send, so one of these may
    /// wait for a ring that was not made.
    pub(crate) fn ring_for_dead_sender(&self) {
        let _ = self.on_this_cpu(|_, area| {
            for (cpu, target) in self.core.cpus().iter().enumerate() {
                area.own.sending.begin();
                if !target.presence().is_away() && target.senders.mailbox.lacks_own_ring() {
                    let _ = post_and_ring(&self.platform, cpu, target, Request::Again);
                }
                area.own.sending.end();
            }
        });
    }

    /// How many sends to `cpu` are posted whose ring is not known to be made; `None` if there is no
    /// such CPU. Exact on that CPU in NMI; from elsewhere a moment old. **NMI-safe.**
    pub fn unfinished_sends(&self, cpu: usize) -> Option<usize> {
        self.core.cpus().get(cpu).map(PerCpu::unfinished_sends)
    }
}

/// The caller has announced the send.
fn post_and_ring(
    platform: &dyn Platform,
    cpu: usize,
    target: &PerCpu,
    request: Request,
) -> Result<(), SendError> {
    target.senders.mailbox.post(request).map_err(|_| SendError::Saturated(request))?;
    let rung = platform.ring(cpu);
    target.senders.mailbox.finish();
    rung.map_err(SendError::NotRung)
}

/// The library did not send a software NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The kernel has not called [`Nmi::init`](crate::Nmi::init).
    NotInitialised,
    /// There is no such CPU.
    NoSuchCpu {
        /// The number that the caller gave.
        cpu: usize,
    },
    /// The calling CPU has no area, so it cannot announce that it sends.
    NoSender {
        /// Its number; `None` if it has none yet.
        cpu: Option<usize>,
    },
    /// That CPU is [offline](crate::Nmi::go_offline), or it was never started and has not [come
    /// online](crate::Nmi::come_online) yet. The library sent nothing.
    Offline {
        /// That CPU.
        cpu: usize,
    },
    /// A CPU may send this request to itself only.
    ToSelfOnly(Request),
    /// So many requests of this kind wait for that CPU that one more would add nothing. The library
    /// sent nothing.
    Saturated(Request),
    /// The request is pending, but the platform did not send its NMI. That CPU takes the request in
    /// its next NMI. It cannot know that no ring is to come for it, so one NMI that nothing
    /// explains may be taken for that ring, for no longer than after a send that rang.
    NotRung(RingError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("not initialised: call init first"),
            Self::NoSuchCpu { cpu } => write!(f, "there is no CPU {cpu}"),
            Self::NoSender { cpu: Some(cpu) } => write!(f, "the sender, CPU {cpu}, has no area"),
            Self::NoSender { cpu: None } => f.write_str("the sender has no number yet"),
            Self::Offline { cpu } => write!(f, "CPU {cpu} is offline or not started"),
            Self::ToSelfOnly(request) => write!(f, "{request:?} is sent to the own CPU only"),
            Self::Saturated(request) => {
                write!(f, "too many {request:?} requests are pending there")
            }
            Self::NotRung(error) => write!(f, "the request waits for that CPU's next NMI: {error}"),
        }
    }
}

impl Error for SendError {}
