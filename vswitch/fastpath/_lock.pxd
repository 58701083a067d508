"""A lock between two threads: the loop, which takes it for each frame, and the owner of the tables.

Theory of operation. What is done under it takes a few microseconds at most, so whoever waits spins.
The loop would take it again before anybody else can, so it lets the owner pass who waits.
"""

cdef extern from *:
    """
    #include <sched.h>

    typedef struct { int held; int awaited; } vswitch_lock;

    static inline void vswitch_spin(int turn) {
        if (turn % 64 == 63) sched_yield();
    #if defined(__x86_64__) || defined(__i386__)
        else __builtin_ia32_pause();
    #endif
    }
    static inline void vswitch_acquire(vswitch_lock *lock) {
        for (int turn = 0; __atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE); turn++)
            vswitch_spin(turn);
    }
    static inline void vswitch_lock_in_loop(vswitch_lock *lock) {
        for (int turn = 0; __atomic_load_n(&lock->awaited, __ATOMIC_RELAXED); turn++)
            vswitch_spin(turn);
        vswitch_acquire(lock);
    }
    static inline void vswitch_lock_by_owner(vswitch_lock *lock) {
        __atomic_store_n(&lock->awaited, 1, __ATOMIC_RELAXED);
        vswitch_acquire(lock);
        __atomic_store_n(&lock->awaited, 0, __ATOMIC_RELAXED);
    }
    static inline void vswitch_unlock(vswitch_lock *lock) {
        __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
    }
    static inline int vswitch_load(int *value) {
        return __atomic_load_n(value, __ATOMIC_SEQ_CST);
    }
    static inline void vswitch_store(int *value, int what) {
        __atomic_store_n(value, what, __ATOMIC_SEQ_CST);
    }
    """
    ctypedef struct lock_t "vswitch_lock":
        int held
        int awaited

    void spin "vswitch_spin"(int turn) noexcept nogil
    void lock_in_loop "vswitch_lock_in_loop"(lock_t *lock) noexcept nogil
    void lock_by_owner "vswitch_lock_by_owner"(lock_t *lock) noexcept nogil
    void unlock "vswitch_unlock"(lock_t *lock) noexcept nogil
    int load "vswitch_load"(int *value) noexcept nogil
    void store "vswitch_store"(int *value, int what) noexcept nogil
