// CPU memory that libtorch's tensors give back and get again: this project's own allocator, behind libtorch's interface.
#ifndef CMEMORY_H
#define CMEMORY_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Keeps freed CPU tensor memory for reuse, in huge pages where the system grants them.
/// Meant to be called once, before the first tensor. False where libtorch does not take an allocator.
bool cm_install(void);
/// Bytes that it holds: in use, and kept for reuse.
void cm_bytes(int64_t *in_use, int64_t *cached);

#ifdef __cplusplus
}
#endif
#endif
