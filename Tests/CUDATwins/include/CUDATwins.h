#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Runs a kernel on the CPU, thread after thread, as the driver would launch it: arguments are addresses of
/// values. 0: done; 1: there is no kernel of this name; 2: the launch is impossible (no thread, too many
/// threads or blocks) or went wrong (misaligned vector, a barrier or a shuffle that not all its threads
/// reach).
int twin_launch(const char *name, unsigned grid_x, unsigned grid_y, unsigned threads, void **arguments);

#ifdef __cplusplus
}
#endif
