// Streams of a device, and recordings of what is queued on them.
#ifndef CTORCH_GRAPHS_H
#define CTORCH_GRAPHS_H

#include "CTorchValues.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The driver's handle (CUstream) of the stream that this thread queues on; a device as in CT_DEVICE.
ct_error ct_stream_handle(int64_t device, void **result);

/// What is run on a stream; a returned failure is passed on.
typedef ct_error (*ct_body)(void *context);
/// Runs `body` with a stream of its own, which waits for the device before and is waited for after. What is to be
/// recorded is run so once before, so that libraries have made what they keep.
ct_error ct_on_side_stream(int64_t device, ct_body body, void *context);

/// An owned recording (a CUDA graph) with memory of its own; freed with ct_graph_free.
typedef struct ct_graph_s *ct_graph;
/// Records what `body` queues on that stream instead of doing it. What it frees stays with the recording. Memory
/// that no tensor uses is given back to the device before.
ct_error ct_graph_record(int64_t device, ct_body body, void *context, ct_graph *result);
/// Queues all of it on this thread's stream, at the addresses of its recording.
ct_error ct_graph_replay(ct_graph graph);
void ct_graph_free(ct_graph graph);

#ifdef __cplusplus
}
#endif
#endif
