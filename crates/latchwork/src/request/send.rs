// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending a software NMI.

use core::{error::Error, fmt};

use crate::{
    contract::{Platform, Request, RingError},
    cpu::PerCpu,
    nmi::Nmi,
};

impl<P: Platform> Nmi<P> {
    /// Sends a software NMI: counts the request, rings, counts the send as finished. **NMI-safe.**
    ///
    /// *Ordering*: what the sender stored before is visible to the handlers that see the request.
    ///
    /// Whoever knows that a CPU [came online](Self::come_online), because it said so, is not
    /// refused, and the request is served. A send that is under way while the CPU goes offline may
    /// succeed and be dropped there, and one that is under way all the time until the CPU is back
    /// may ring it without a request: whoever takes CPUs offline has the others stop sending first
    /// where that matters.
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
        let interrupts = self.platform.disable_interrupts();
        let sent = if request.is_to_self_only() && self.platform.current_cpu() != Some(cpu) {
            Err(SendError::ToSelfOnly(request))
        } else if target.presence().is_away() {
            Err(SendError::Offline { cpu })
        } else {
            self.post_and_ring(cpu, target, request)
        };
        // SAFETY: from the `disable_interrupts` above, on the same CPU since interrupts were off.
        unsafe { self.platform.restore_interrupts(interrupts) };
        sent
    }

    fn post_and_ring(
        &self,
        cpu: usize,
        target: &PerCpu,
        request: Request,
    ) -> Result<(), SendError> {
        target.senders.mailbox.post(request).map_err(|_| SendError::Saturated(request))?;
        let rung = self.platform.ring(cpu);
        target.senders.mailbox.finish();
        rung.map_err(SendError::NotRung)
    }

    /// Sends to `cpu` that are posted and whose ring is not known to be made; `None` if there is no
    /// such CPU. Exact on that CPU in NMI; from elsewhere a moment old. **NMI-safe.**
    pub fn unfinished_sends(&self, cpu: usize) -> Option<usize> {
        self.core.cpus().get(cpu).map(PerCpu::unfinished_sends)
    }
}

/// A software NMI was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// [`Nmi::init`](crate::Nmi::init) has not been called.
    NotInitialised,
    /// There is no such CPU.
    NoSuchCpu {
        /// The number that was asked for.
        cpu: usize,
    },
    /// That CPU is [offline](crate::Nmi::go_offline). Nothing was sent.
    Offline {
        /// That CPU.
        cpu: usize,
    },
    /// The request may be sent to the sending CPU only.
    ToSelfOnly(Request),
    /// So many requests of this kind wait for that CPU that one more says nothing new. Nothing was
    /// sent.
    Saturated(Request),
    /// The request is pending, but its NMI was not sent. The next NMI of that CPU takes it.
    NotRung(RingError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("not initialised: call init first"),
            Self::NoSuchCpu { cpu } => write!(f, "there is no CPU {cpu}"),
            Self::Offline { cpu } => write!(f, "CPU {cpu} is offline"),
            Self::ToSelfOnly(request) => write!(f, "{request:?} is sent to the own CPU only"),
            Self::Saturated(request) => {
                write!(f, "too many {request:?} requests are pending there")
            }
            Self::NotRung(error) => write!(f, "the request waits for that CPU's next NMI: {error}"),
        }
    }
}

impl Error for SendError {}
