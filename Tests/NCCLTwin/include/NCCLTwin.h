// NCCL between threads of one process, on the host's memory: it connects and queues in the background as NCCL
// does for communicators that do not block, and its streams and events stand for a device's.
#ifndef NCCL_TWIN_H
#define NCCL_TWIN_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Its functions, of version 2.27.7, into a `cc_collectives`.
void twin_collectives(void *result);

/// A queue of work that a thread of its own does.
void *twin_stream_make(void);
/// Waits until all that is queued is done, for so many seconds; whether it is.
bool twin_stream_wait(void *stream, double seconds);
/// Keeps it from going on, or lets it.
void twin_stream_hold(void *stream, bool held);
/// Lets what is queued be done first.
void twin_stream_free(void *stream);

void *twin_event_make(void);
void twin_event_record(void *event, void *stream);
/// Has a stream wait for an event, where that is now.
void twin_event_wait(void *event, void *stream);
bool twin_event_passed(void *event);
void twin_event_free(void *event);

/// Gives a communicator an error, as if one had happened in the background.
void twin_fail(void *communicator, int status);
/// Has its next operation never be queued.
void twin_block(void *communicator);

/// Communicators, events and streams that were made and not freed.
int twin_living_communicators(void);
int twin_living_events(void);
int twin_living_streams(void);

#ifdef __cplusplus
}
#endif
#endif
