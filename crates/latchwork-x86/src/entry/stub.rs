// SPDX-License-Identifier: MIT OR Apache-2.0
//! The assembly of the entry.

/// Makes an NMI entry: `nmi_entry!(symbol, handler)`.
///
/// `symbol` becomes a global symbol and a function item for its address, which the kernel puts into
/// IDT vector 2. No code may call it. `handler` is a path, seen from the invocation (but not
/// starting with `self` or `super`), to an `extern "sysv64" fn(&mut NmiFrame)`, safe or unsafe. See
/// [`entry`](crate::entry) for an example, for what the kernel owes the entry, and for what the
/// entry does not cover. Invoke it where items stand, not inside a function.
///
/// The handler runs on the CPU's NMI stack with NMIs and interrupts off. It must not unwind, change
/// the GS base, or take an exception.
#[macro_export]
macro_rules! nmi_entry {
    ($symbol:ident, $handler:path) => {
        $crate::__refuse_avx!();

        const _: () = {
            // `global_asm!` needs a module around it here.
            mod stub {
                use super::*;

                unsafe extern "sysv64" fn nmi(frame: &mut $crate::entry::NmiFrame) {
                    let handler: unsafe extern "sysv64" fn(&mut $crate::entry::NmiFrame) = $handler;
                    // SAFETY: the assembly below calls this on the NMI stack with the frame that it
                    // has built there.
                    unsafe { $crate::entry::run(frame, handler) }
                }

                $crate::__nmi_entry_assembly!($symbol, nmi);
            }
        };

        unsafe extern "C" {
            /// The NMI entry, for IDT vector 2. No code may call it.
            pub fn $symbol();
        }
    };
}

/// The entry itself: only what Rust cannot do. It ends with `iretq`.
///
/// The frame that it builds is `entry::NmiFrame`. At its start RSP is 40 bytes below the 16-byte
/// aligned `NmiStackTop`, so after 15 registers and 4 more words it is aligned again.
#[doc(hidden)]
#[macro_export]
macro_rules! __nmi_entry_assembly {
    ($symbol:ident, $nmi:path) => {
        ::core::arch::global_asm!(
            ".pushsection .text.nmi_entry, \"ax\", @progbits",
            concat!(".globl ", stringify!($symbol)),
            concat!(".type ", stringify!($symbol), ", @function"),
            concat!(stringify!($symbol), ":"),
            // This entry lacks two steps, which would come here, before anything else: to move the
            // frame off the NMI stack, and to latch an edge that comes on top of another.
            "push rax",
            "push rbx",
            "push rcx",
            "push rdx",
            "push rsi",
            "push rdi",
            "push rbp",
            "push r8",
            "push r9",
            "push r10",
            "push r11",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            // Only bit 1, which is always set: DF, AC, NT, TF, IF and IOPL are clear.
            "push 2",
            "popfq",
            // GS base, CR2 and DR7, filled by Rust; the scratch word holds MXCSR's default.
            "sub rsp, 24",
            "push 0x1f80",
            "mov rdi, rsp",
            $crate::__save_vector_registers!(),
            "call {nmi}",
            $crate::__restore_vector_registers!(),
            "add rsp, 32",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop r11",
            "pop r10",
            "pop r9",
            "pop r8",
            "pop rbp",
            "pop rdi",
            "pop rsi",
            "pop rdx",
            "pop rcx",
            "pop rbx",
            "pop rax",
            // The replay of a latched edge would come here.
            "iretq",
            concat!(".size ", stringify!($symbol), ", . - ", stringify!($symbol)),
            ".popsection",
            nmi = sym $nmi,
        );
    };
}

/// What code compiled with SSE uses: sixteen registers and MXCSR. No compiled code touches the x87
/// state, which `fxsave64` and `fxrstor64` move as well.
///
/// There is another reason against `fxrstor64`. Where it ends a pending x87 error under
/// multi-threaded TCG, QEMU clears a flag in the state of the *first* CPU, from the thread of any
/// CPU and without a lock. That may undo the first CPU's note that NMIs are blocked.
#[cfg(target_feature = "sse2")]
#[doc(hidden)]
#[macro_export]
macro_rules! __save_vector_registers {
    () => {
        concat!(
            "sub rsp, 272\n",
            "movaps [rsp + 0], xmm0\n",
            "movaps [rsp + 16], xmm1\n",
            "movaps [rsp + 32], xmm2\n",
            "movaps [rsp + 48], xmm3\n",
            "movaps [rsp + 64], xmm4\n",
            "movaps [rsp + 80], xmm5\n",
            "movaps [rsp + 96], xmm6\n",
            "movaps [rsp + 112], xmm7\n",
            "movaps [rsp + 128], xmm8\n",
            "movaps [rsp + 144], xmm9\n",
            "movaps [rsp + 160], xmm10\n",
            "movaps [rsp + 176], xmm11\n",
            "movaps [rsp + 192], xmm12\n",
            "movaps [rsp + 208], xmm13\n",
            "movaps [rsp + 224], xmm14\n",
            "movaps [rsp + 240], xmm15\n",
            "stmxcsr [rsp + 256]\n",
            "ldmxcsr [rdi]\n",
        )
    };
}

#[cfg(target_feature = "sse2")]
#[doc(hidden)]
#[macro_export]
macro_rules! __restore_vector_registers {
    () => {
        concat!(
            "movaps xmm0, [rsp + 0]\n",
            "movaps xmm1, [rsp + 16]\n",
            "movaps xmm2, [rsp + 32]\n",
            "movaps xmm3, [rsp + 48]\n",
            "movaps xmm4, [rsp + 64]\n",
            "movaps xmm5, [rsp + 80]\n",
            "movaps xmm6, [rsp + 96]\n",
            "movaps xmm7, [rsp + 112]\n",
            "movaps xmm8, [rsp + 128]\n",
            "movaps xmm9, [rsp + 144]\n",
            "movaps xmm10, [rsp + 160]\n",
            "movaps xmm11, [rsp + 176]\n",
            "movaps xmm12, [rsp + 192]\n",
            "movaps xmm13, [rsp + 208]\n",
            "movaps xmm14, [rsp + 224]\n",
            "movaps xmm15, [rsp + 240]\n",
            "ldmxcsr [rsp + 256]\n",
            "add rsp, 272\n",
        )
    };
}

#[cfg(not(target_feature = "sse2"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __save_vector_registers {
    () => {
        ""
    };
}

#[cfg(not(target_feature = "sse2"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __restore_vector_registers {
    () => {
        ""
    };
}

#[cfg(target_feature = "avx")]
#[doc(hidden)]
#[macro_export]
macro_rules! __refuse_avx {
    () => {
        ::core::compile_error!("nmi_entry! does not save the registers that a build with AVX uses");
    };
}

#[cfg(not(target_feature = "avx"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __refuse_avx {
    () => {};
}
