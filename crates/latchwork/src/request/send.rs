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

    /// How many sends to `cpu` are posted whose ring is not known to be made; `None` if there is no
    /// such CPU. Exact on that CPU in NMI; from elsewhere a moment old. **NMI-safe.**
    pub fn unfinished_sends(&self, cpu: usize) -> Option<usize> {
        self.core.cpus().get(cpu).map(PerCpu::unfinished_sends)
    }
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
    /// That CPU is [offline](crate::Nmi::go_offline). The library sent nothing.
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
    /// its next NMI.
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
