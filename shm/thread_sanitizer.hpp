// LARDER_THREAD_SANITIZER: this build is watched by a thread sanitizer, which does not know all that we do.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define LARDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LARDER_THREAD_SANITIZER 1
#endif
#endif

/// Of a function that reads what others write meanwhile, and finds out afterwards. clang leaves atomics alone only
/// where it leaves everything alone.
#if !defined(LARDER_THREAD_SANITIZER)
#define LARDER_UNSANITIZED
#elif defined(__clang__)
#define LARDER_UNSANITIZED __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define LARDER_UNSANITIZED __attribute__((no_sanitize("thread")))
#endif
