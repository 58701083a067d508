"""Flows, as the engine keeps them: a program for each key, and the connections that are followed.

A part of `_fast`, which includes it. What is called here is called once per flow, or when somebody
looks; each change is made under the lock that the loop holds for one frame at a time.
"""

cdef class _Flows:
    """Those of one engine; see `twin` for what each method does."""

    cdef engine_t _engine
    cdef size_t _capacity
    cdef dict _plans
    cdef int _locks

    def __cinit__(self, size_t capacity=CAPACITY):
        cdef uint64_t seed = <uint64_t>hash(b"flow keys") | 1
        self._capacity = capacity
        self._plans = {}
        opened = _table.open_table(&self._engine.entries, sizeof(entry_t), seed)
        opened = _table.open_table(&self._engine.tracks, sizeof(track_t), seed) and opened
        if not opened:
            raise MemoryError

    def __dealloc__(self):
        _table.close_table(&self._engine.entries)
        _table.close_table(&self._engine.tracks)

    # Entries

    def install(self, key, routine, uint64_t flow):
        cdef uint64_t packed[_table.KEY_WORDS]
        cdef entry_t *entry
        cdef _Plan plan = self._plan(routine.plan)
        cdef const char *patch = routine.patch
        cdef plan_t *before = NULL
        cdef uint64_t tracked = routine.tracked
        cdef uint16_t header = routine.header
        cdef uint16_t finished = routine.finished
        cdef uint16_t unfinished = routine.unfinished
        _pack(key, packed)
        entry = <entry_t *>_table.find(&self._engine.entries, packed)
        plan.users += 1  # first, as what is evicted may be its only other user
        if entry == NULL and self._engine.entries.count >= self._capacity:
            self._evict_first_installed()
        self._lock()
        if entry == NULL:
            entry = <entry_t *>_table.add(&self._engine.entries, packed)
        else:
            before = entry.task.plan
        if entry != NULL:
            entry.flow, entry.tracked, entry.track = flow, tracked, NULL
            entry.generation = self._engine.generation
            entry.task.plan = &plan.c
            entry.task.header = header
            entry.task.finished = finished
            entry.task.unfinished = unfinished
            memcpy(entry.task.patch, patch, PATCH)
        self._unlock()
        if entry == NULL:
            self._release(&plan.c)
            raise MemoryError
        if before != NULL:
            self._release(before)

    def remove(self, key):
        cdef entry_t *entry = self._entry(key)
        if entry != NULL:
            self._remove(entry)

    def invalidate(self):
        self._engine.generation += 1

    def flow_counters(self, key):
        cdef entry_t *entry = self._entry(key)
        if entry == NULL:
            return None
        return FlowCounters(entry.frames, entry.octets, entry.tcp_flags, entry.last_used)

    def last_used(self, key):
        cdef entry_t *entry = self._entry(key)
        return entry.last_used if entry != NULL else 0

    def senders(self, uint64_t since):
        cdef _engine.walk_t walk
        cdef entry_t *entry
        senders = set()
        memset(&walk, 0, sizeof(walk))
        entry = _engine.next_sender(&self._engine, &walk, since)
        while entry != NULL:
            senders.add(sender(_unpacked(entry.node.key)))
            entry = _engine.next_sender(&self._engine, &walk, since)
        return senders

    def bridged(self):
        cdef _engine.walk_t walk
        cdef entry_t *entry
        bridged = []
        memset(&walk, 0, sizeof(walk))
        entry = _engine.next_bridged(&self._engine, &walk)
        while entry != NULL:
            bridged.append((_unpacked(entry.node.key), entry.last_used))
            entry = _engine.next_bridged(&self._engine, &walk)
        return bridged

    def __len__(self):
        return self._engine.entries.count

    cdef entry_t *_entry(self, key) except? NULL:
        cdef uint64_t packed[_table.KEY_WORDS]
        _pack(key, packed)
        return <entry_t *>_table.find(&self._engine.entries, packed)

    cdef _evict_first_installed(self):
        cdef _table.table_t *entries = &self._engine.entries
        for _ in range(max(1, self._capacity // EVICTED_PART)):
            if entries.first == _table.NOWHERE:
                return
            self._remove(<entry_t *>_table.record(entries, entries.first))

    cdef _remove(self, entry_t *entry):
        cdef plan_t *plan = entry.task.plan
        self._lock()
        _table.remove(&self._engine.entries, &entry.node)
        self._unlock()
        self._release(plan)

    cdef _Plan _plan(self, plan):
        known = self._plans.get(id(plan))
        if known is None:
            known = self._plans[id(plan)] = _compiled(plan)
        return known

    cdef _release(self, plan_t *compiled):
        cdef _Plan plan = self._plans[compiled.identity]
        plan.users -= 1
        if not plan.users:
            del self._plans[compiled.identity]

    # Connections

    def track(self, flow, state):
        cdef uint64_t key[_table.KEY_WORDS]
        cdef uint8_t number = _STATES.index(state)
        cdef track_t *track = _engine.track_of(&self._engine, flow)
        _engine.pack_flow(flow, key)
        self._lock()
        if track == NULL:
            track = <track_t *>_table.add(&self._engine.tracks, key)
        if track != NULL:
            track.state = number
        self._unlock()
        if track == NULL:
            raise MemoryError

    def untrack(self, flow):
        cdef track_t *track = _engine.track_of(&self._engine, flow)
        if track != NULL:
            self._lock()
            _table.remove(&self._engine.tracks, &track.node)
            self._unlock()

    def open_window(self, flow):
        cdef track_t *track = _engine.track_of(&self._engine, flow)
        if track == NULL:
            raise KeyError(flow)
        self._lock()
        track.has_window = True
        memcpy(&track.window, <const char *>_FRESH_WINDOW, WINDOW_BYTES)
        self._unlock()
        return _view(track)

    def begin_window(self, flow, syn):
        cdef track_t *track = _engine.track_of(&self._engine, flow)
        cdef const uint8_t[::1] octets = syn
        if track == NULL:
            raise KeyError(flow)
        if octets.shape[0] < TRANSPORT + 20:
            raise ValueError("a frame that has no routed key")
        self._lock()
        track.has_window = True
        memcpy(&track.window, <const char *>_FRESH_WINDOW, WINDOW_BYTES)
        begin_with(&track.window, 0, &octets[0])
        self._unlock()

    def window(self, flow):
        cdef track_t *track = _engine.track_of(&self._engine, flow)
        return None if track == NULL or not track.has_window else _view(track)

    def still(self):
        return _Still(self)

    # The lock

    cdef void _lock(self) noexcept:
        """Keep the loop from going on with another frame. What holds the lock may ask for it."""
        if self._engine.is_in_thread:
            if not self._locks:
                lock_by_owner(&self._engine.lock)
            self._locks += 1

    cdef void _unlock(self) noexcept:
        if self._engine.is_in_thread:
            self._locks -= 1
            if not self._locks:
                unlock(&self._engine.lock)


cdef class _Still:
    """While this is entered, no frame passes."""

    cdef _Flows _flows

    def __init__(self, _Flows flows):
        self._flows = flows

    def __enter__(self):
        self._flows._lock()

    def __exit__(self, *_):
        self._flows._unlock()
