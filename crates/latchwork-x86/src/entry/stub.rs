// SPDX-License-Identifier: MIT OR Apache-2.0
//! The assembly of the entry.

/// Makes an NMI entry: `nmi_entry!(symbol, handler)`.
///
/// `symbol` becomes a global symbol and a function item for its address, which the kernel puts into
/// IDT vector 2; it is not to be called. `handler` is a path, seen from the invocation (but not
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
            /// The NMI entry, for IDT vector 2. Not to be called.
            pub fn $symbol();
        }
    };
}

/// The entry itself: the least that Rust cannot do. Ends with `iretq`.
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
            // Place of what this entry lacks: moving the frame off the NMI stack, and latching an
            // edge that comes on top of another. Both must come before anything else.
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
            // Place of the replay of a latched edge.
            "iretq",
            concat!(".size ", stringify!($symbol), ", . - ", stringify!($symbol)),
            ".popsection",
            nmi = sym $nmi,
        );
    };
}

#[cfg(target_feature = "sse2")]
#[doc(hidden)]
#[macro_export]
macro_rules! __save_vector_registers {
    () => {
        "sub rsp, 512\nfxsave64 [rsp]\nldmxcsr [rdi]"
    };
}

#[cfg(target_feature = "sse2")]
#[doc(hidden)]
#[macro_export]
macro_rules! __restore_vector_registers {
    () => {
        "fxrstor64 [rsp]\nadd rsp, 512"
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
