// libfuse's low-level interface, included here only. Passthrough came with 3.17, epochs with 3.18; without them the share
// works by splice and without caches in the kernel.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
#define BERTH_FUSE_PASSTHROUGH 1
#else
#define BERTH_FUSE_PASSTHROUGH 0
#endif

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
#define BERTH_FUSE_EPOCH 1
#define BERTH_FUSE_STATX 1
#else
#define BERTH_FUSE_EPOCH 0
#define BERTH_FUSE_STATX 0
#endif
