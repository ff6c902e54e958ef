// NVIDIA's collectives (NCCL): its functions as its documentation declares them, from version 2.18 on.
#ifndef CCUDA_COLLECTIVES_H
#define CCUDA_COLLECTIVES_H

#include "CCUDA.h"

#ifdef __cplusplus
extern "C" {
#endif

/// What ranks of one communicator have in common (ncclUniqueId).
typedef struct cc_unique_id {
  char bytes[128];
} cc_unique_id;

/// One rank's part of a communicator (ncclComm_t).
typedef struct cc_communicator_s *cc_communicator;

/// How a communicator is made (ncclConfig_t of version 2.18, which later versions take as well). INT_MIN and NULL leave a
/// choice to NCCL.
typedef struct cc_communicator_config {
  size_t size;
  unsigned magic;
  unsigned version;
  int blocking;
  int cluster_size;
  int min_blocks;
  int max_blocks;
  const char *network;
  int shares_on_split;
  int traffic_class;  // of later versions, which would read padding here
} cc_communicator_config;

/// NCCL's functions. Where they return int, 0 means success, 7 that it is still in progress, anything else an error.
typedef struct cc_collectives {
  int (*version)(int *result);
  int (*make_unique_id)(cc_unique_id *result);
  int (*make)(cc_communicator *result, int ranks, cc_unique_id id, int rank, cc_communicator_config *config);
  int (*get_state)(cc_communicator communicator, int *result);
  int (*finalize)(cc_communicator communicator);
  int (*destroy)(cc_communicator communicator);
  int (*abort)(cc_communicator communicator);
  int (*begin_group)(void);
  int (*end_group)(void);
  int (*gather)(const void *input, void *output, size_t count, int type, cc_communicator communicator, void *stream);
  int (*send)(const void *input, size_t count, int type, int rank, cc_communicator communicator, void *stream);
  int (*receive)(void *output, size_t count, int type, int rank, cc_communicator communicator, void *stream);
  const char *(*describe)(int status);
  const char *(*last_error)(cc_communicator communicator);
} cc_collectives;

/// Finds them in a library by a file's path or a library's name; it stays open.
///
/// `only_loaded`: whether it counts only where something else in this process has loaded it.
cc_error cc_collectives_open(const char *path, bool only_loaded, cc_collectives *result);

#ifdef __cplusplus
}
#endif
#endif
