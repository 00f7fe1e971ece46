# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The common half of the guests: 32-bit protected mode without paging, booted by PVH. A finding's
# own source comes after it and defines `main`, which is called with interrupts off and an empty
# IDT. The machine ends when it returns. What it says goes to port 0xE9.

    .set LOCAL_APIC, 0xFEE00000
    .set IO_APIC, 0xFEC00000
    .set HPET, 0xFED00000
    .set CODE_NOT_PRESENT, 0x18

# Has interrupts of a vector arrive at a label.
    .macro gate vector, handler
    push $\handler
    push $\vector
    call set_gate
    add $8, %esp
    .endm

# Says a text.
    .macro say text
    .pushsection .rodata
9:  .asciz "\text"
    .popsection
    pushf
    pusha
    mov $9b, %esi
    call say_text
    popa
    popf
    .endm

# Says a register or a word of memory as a decimal number.
    .macro say_number value
    pushf
    pusha
    mov \value, %eax
    call say_decimal
    popa
    popf
    .endm

# Writes to a register of the I/O APIC.
    .macro write_io_apic index, value
    movl $\index, IO_APIC
    movl $\value, IO_APIC + 0x10
    .endm

    .section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long boot

    .text
    .globl boot
boot:
    mov $stack_top, %esp
    lgdt gdt_pointer
    ljmp $0x08, $1f
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    lidt idt_pointer
    # Both PICs are masked.
    mov $0xFF, %al
    out %al, $0x21
    out %al, $0xA1
    call main
    mov $0x10, %al
    out %al, $0xF4
2:  hlt
    jmp 2b

set_gate:
    mov 4(%esp), %ecx
    mov 8(%esp), %eax
    mov %ax, idt(, %ecx, 8)
    movl $0x8E000008, idt + 2(, %ecx, 8)
    shr $16, %eax
    mov %ax, idt + 6(, %ecx, 8)
    ret

say_text:
    lodsb
    test %al, %al
    jz 1f
    out %al, $0xE9
    jmp say_text
1:  ret

say_decimal:
    mov $10, %ebx
    xor %ecx, %ecx
1:  xor %edx, %edx
    div %ebx
    push %edx
    inc %ecx
    test %eax, %eax
    jnz 1b
2:  pop %eax
    add $'0', %al
    out %al, $0xE9
    loop 2b
    ret

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9A000000FFFF
    .quad 0x00CF92000000FFFF
    .quad 0x00CF1A000000FFFF
gdt_pointer:
    .word . - gdt - 1
    .long gdt
idt_pointer:
    .word 256 * 8 - 1
    .long idt

    .bss
    .balign 8
idt:
    .skip 256 * 8
    .skip 4096
stack_top:

    .text
