// Processes that work together (c10d): the store in which they find each other, and what they exchange by Gloo.
#ifndef CTORCH_GROUPS_H
#define CTORCH_GROUPS_H

#include "CTorchValues.h"

#ifdef __cplusplus
extern "C" {
#endif

/// An owned key-value store that processes share; freed with ct_store_free.
typedef struct ct_store_s *ct_store;
/// Connects to the store at an address, which this process serves if it is to, and waits until it answers.
ct_error ct_store_connect(const char *host, uint16_t port, bool serves, int64_t timeout_ms, ct_store *result);
/// The same store, each key with a prefix.
ct_error ct_store_prefixed(ct_store store, const char *prefix, ct_store *result);
void ct_store_free(ct_store store);
ct_error ct_store_set(ct_store store, const char *key, const uint8_t *bytes, size_t count);
/// The bytes of a key, freed with ct_string_free; waits until there are some.
ct_error ct_store_get(ct_store store, const char *key, int64_t timeout_ms, char **bytes, size_t *count);
/// Whether a key is there.
ct_error ct_store_has(ct_store store, const char *key, bool *result);

/// An owned group of processes; freed with ct_group_free.
typedef struct ct_group_s *ct_group;
/// Makes connections with all other ranks, which do the same. `address` is this process's own, or an interface's name.
ct_error ct_group_make(ct_store store, int32_t rank, int32_t size, const char *address, bool is_interface,
                       int64_t timeout_ms, ct_group *result);
void ct_group_free(ct_group group);

/// An exchange under way; freed with ct_work_free.
typedef struct ct_work_s *ct_work;
/// Begins to gather every rank's `input` in `output`, one after another. Both are on the CPU and contiguous, and stay
/// as they are until the end.
ct_error ct_group_gather(ct_group group, ct_tensor output, ct_tensor input, ct_work *result);
/// Begins to send the parts of `input`, one a rank, and to receive those for this rank in `output`; likewise.
ct_error ct_group_exchange(ct_group group, ct_tensor output, ct_tensor input, ct_work *result);
/// Begins to overwrite `tensor` with rank 0's; likewise.
ct_error ct_group_broadcast(ct_group group, ct_tensor tensor, ct_work *result);
/// Waits for its end; fails if a rank is gone, or does not answer in time.
ct_error ct_work_wait(ct_work work);
void ct_work_free(ct_work work);

#ifdef __cplusplus
}
#endif
#endif
