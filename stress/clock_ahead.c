/* A clock that jumps: the time of day of one process, ahead of the machine's by as many seconds as
   stand in the file CLOCK_AHEAD, a 64-bit number. To be preloaded.

   The clock that only grows stays as it is. What waits until a time of day is given to the kernel
   in the machine's, so that a wait that begins after a jump is as long as it would be. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LONG_AGO 1000000000 /* s: no machine has run since then, so it is a time of day */
#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int64_t ahead(void)
{
    static volatile int64_t *seconds;
    if (!seconds) {
        int file = open(getenv("CLOCK_AHEAD"), O_RDONLY);
        void *place = mmap(0, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
        if (file < 0 || place == MAP_FAILED) abort();
        close(file);
        seconds = place;
    }
    return *seconds;
}

static int is_of_day(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

static struct timespec of_machine(const struct timespec *until)
{
    struct timespec shifted = *until;
    if (shifted.tv_sec > LONG_AGO) shifted.tv_sec -= ahead();
    return shifted;
}

int clock_gettime(clockid_t clock, struct timespec *found)
{
    NEXT(clock_gettime);
    int failed = next(clock, found);
    if (!failed && is_of_day(clock)) found->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *found, void *zone)
{
    NEXT(gettimeofday);
    int failed = next(found, zone);
    if (!failed) found->tv_sec += ahead();
    return failed;
}

time_t time(time_t *found)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    NEXT(clock_nanosleep);
    struct timespec shifted = *until;
    if ((flags & TIMER_ABSTIME) && is_of_day(clock)) shifted = of_machine(until);
    return next(clock, flags, &shifted, left);
}

int pthread_cond_timedwait(pthread_cond_t *one, pthread_mutex_t *lock, const struct timespec *until)
{
    NEXT(pthread_cond_timedwait);
    struct timespec shifted = of_machine(until);
    return next(one, lock, &shifted);
}

int pthread_mutex_timedlock(pthread_mutex_t *lock, const struct timespec *until)
{
    NEXT(pthread_mutex_timedlock);
    struct timespec shifted = of_machine(until);
    return next(lock, &shifted);
}

int sem_timedwait(sem_t *one, const struct timespec *until)
{
    NEXT(sem_timedwait);
    struct timespec shifted = of_machine(until);
    return next(one, &shifted);
}

/* absl's futexes. */
long syscall(long number, ...)
{
    NEXT(syscall);
    long a[6];
    struct timespec shifted;
    __builtin_va_list given;
    __builtin_va_start(given, number);
    for (int i = 0; i < 6; i++) a[i] = __builtin_va_arg(given, long);
    __builtin_va_end(given);
    if (number == SYS_futex && (a[1] & FUTEX_CLOCK_REALTIME) && a[3]) {
        shifted = of_machine((const struct timespec *)a[3]);
        a[3] = (long)&shifted;
    }
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
