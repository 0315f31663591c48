/* The program for the kernel as clang made it, inside the loader. PROGRAM is its file. */
    .section .rodata
    .balign 8
    .globl program_start, program_end
program_start:
    .incbin PROGRAM
program_end:
    .section .note.GNU-stack, "", %progbits
