// What Swift cannot call itself: libFuzzer's loop, and files in memory.
#ifndef CFUZZER_H
#define CFUZZER_H

#include <stddef.h>
#include <stdint.h>

/// Makes inputs and gives them to `target` as the command line says; returns the exit status.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *bytes, size_t count));

/// The descriptor of a file that is nowhere but in memory; -1 where there is none to be had.
int fuzzer_memory_file(void);

#endif
