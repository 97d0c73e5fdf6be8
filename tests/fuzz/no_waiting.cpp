// Second looks at what is wrong need no time between them here: nobody writes meanwhile.
#include <ctime>

extern "C" int __wrap_clock_nanosleep(clockid_t, int, const timespec*, timespec*);
int __wrap_clock_nanosleep(clockid_t, int, const timespec*, timespec*) { return 0; }
