"""The loop over frames: a batch from a device, and for each frame what `reference` does.

Theory of operation. Everything here runs without the GIL and touches no Python object. Tables are
changed by their owner alone, who holds the lock for that; a thread of the loop holds it for each
frame. What Python has to do or to hear of is written into the journal.

While the loop has a thread, `news` is signalled when there is something in the journal. Nobody can
make it grow without end: a port has so many misses that wait to be decided about, and so many
frames that wait to be sent by a device without a descriptor; what comes on top is counted and
dropped there. While there is too much of it, nobody is told what was observed.
"""

from libc.errno cimport EAGAIN, EINTR
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

from vswitch.fastpath cimport _fit, _line, _table
from vswitch.fastpath._journal cimport (
    GONE,
    HIT,
    LEFT,
    MISS,
    MOVED,
    TO_FIT,
    TO_SEND,
    TROUBLE,
    journal_t,
    note_kind_t,
    write_note,
)
from vswitch.fastpath._key cimport (
    BRIDGED,
    BRIDGED_SENDER,
    CONTROL,
    FLAGS,
    GSO_TYPE,
    LENGTH_AT,
    NEEDS_CSUM,
    ROUTED_SENDER,
    START,
    TCP,
    TCP_ACK,
    TCP_SYN,
    TRANSPORT,
    context_t,
    extract,
)
from vswitch.fastpath._lock cimport load, lock_in_loop, lock_t, store, unlock
from vswitch.fastpath._rewrite cimport (
    is_looked_at,
    is_wrong,
    longest_packet,
    plan_t,
    rewrite,
    task_t,
)
from vswitch.fastpath._ring cimport OF_HIT, OF_LEAVING, ring_t, write_record
from vswitch.fastpath._track cimport clamp_mss, machine_t, note_segment
from vswitch.fastpath._window cimport window_t

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN
        EPOLLET
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
    ctypedef union epoll_data_t:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_wait(int epoll, epoll_event *events, int most, int timeout)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)

cdef extern from "<time.h>" nogil:
    enum:
        CLOCK_MONOTONIC
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *time)

cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void *octets, size_t length)

cdef enum:
    PORTS = 1 << 16
    DEMANDS = 1 << 9
    ANSWERS = 7
    ERRNOS = 256
    AT_ONCE = 32  # ports that are looked at in one turn
    MOST_FRAMES = 64  # of one port in one turn
    SOON = 30_000  # nanoseconds: a port that is readable again within these has much to say
    RECENT = 64  # senders that a walk remembers
    MOST_WAITING = 1024  # misses of one port, or frames that the owner has to send by it
    MOST_OCTETS = 8 << 20  # of the journal, before what was observed is not told any more
    NOBODY = 0xFFFFFFFF  # in the place of a port: the loop is to look up


cdef struct port_t:
    int fd
    _line.form_t form
    uint16_t number
    context_t context
    uint8_t carries[DEMANDS]
    int64_t received_frames
    int64_t received_bytes
    int64_t sent_frames
    int64_t sent_bytes
    int64_t wrong_checksums
    int64_t overrun
    int64_t lost[ANSWERS]
    int waiting
    int left_over  # frames that the owner has to send
    int poll_fd
    int is_served
    int budget
    uint64_t served_at


cdef struct track_t:
    _table.node_t node
    window_t window
    uint8_t state
    uint8_t has_window


cdef struct entry_t:
    _table.node_t node
    int64_t frames
    int64_t octets
    uint64_t last_used
    uint64_t flow
    uint64_t tracked
    track_t *track
    task_t task
    uint32_t generation
    uint8_t tcp_flags


cdef struct engine_t:
    _table.table_t entries
    _table.table_t tracks
    port_t **by_number
    uint32_t generation
    bint is_observed
    ring_t ring
    journal_t journal
    uint8_t *scratch
    size_t scratch_room
    machine_t machine
    uint8_t answer_by_errno[ERRNOS]
    uint8_t full
    uint8_t gone
    # Of the loop in its thread
    lock_t lock
    uint8_t *room
    int epoll
    int news
    bint is_told
    bint has_news  # which nobody was told of, even if the owner has come across them meanwhile
    bint is_in_thread
    int turn  # odd while a batch is under way
    int is_ending


cdef inline int run(engine_t *engine, port_t *port, uint64_t now, int *left) noexcept nogil:
    """Frames until none waits or none is `left` to be taken; what went wrong, or zero.

    That there was no frame at all is for the device to make something of."""
    cdef uint8_t *frame = NULL
    cdef ssize_t length
    cdef int begun = left[0]
    while left[0] > 0:
        left[0] -= 1
        length = _line.receive(port.form, port.fd, engine.room, &frame)
        if length >= 0:
            take(engine, port, frame, length, now)
        elif length != -EINTR:
            return 0 if length == -EAGAIN and begun - left[0] > 1 else <int>-length
    return 0


cdef inline void take(
    engine_t *engine, port_t *port, uint8_t *frame, size_t length, uint64_t now
) noexcept nogil:
    """Finish a frame that came in by a port, or note that it missed."""
    port.received_frames += 1
    port.received_bytes += <int64_t>length - START
    if finish(engine, port, frame, length, now):
        return
    if engine.is_in_thread:
        if port.waiting >= MOST_WAITING:
            port.overrun += 1
            return
        port.waiting += 1
    write_note(&engine.journal, MISS, port.number, frame, length, 0, now)


cdef inline bint finish(
    engine_t *engine, port_t *port, uint8_t *frame, size_t length, uint64_t now
) noexcept nogil:
    """Do for a frame what its entry says; False where there is none that may run."""
    cdef uint64_t key[_table.KEY_WORDS]
    cdef entry_t *entry
    if not extract(&port.context, frame, length, key):
        return False
    entry = <entry_t *>_table.find(&engine.entries, key)
    return entry != NULL and _run(engine, port, entry, frame, length, now)


cdef inline bint _run(
    engine_t *engine, port_t *port, entry_t *entry, uint8_t *frame, size_t length, uint64_t now
) noexcept nogil:
    """Do for a frame what its entry says, or answer False and leave everything as it was."""
    cdef const plan_t *plan = entry.task.plan
    cdef size_t size = length - START
    cdef uint32_t each
    cdef port_t *output
    if entry.generation != engine.generation or length < plan.reach:
        return False
    if size > plan.packet_limit and longest_packet(frame, length) > plan.packet_limit:
        return False
    if plan.tracks:
        if not _note_frame(engine, entry, frame, length, now):
            return False
    elif plan.protocol == TCP and frame[TRANSPORT + 13] & CONTROL != TCP_ACK:
        return False
    if plan.protocol == TCP:
        entry.tcp_flags |= frame[TRANSPORT + 13]
    if is_looked_at(frame, plan.protocol) and is_wrong(frame, length, plan.protocol):
        port.wrong_checksums += 1
    entry.frames += 1
    entry.octets += size
    entry.last_used = now
    if engine.ring.octets != NULL:
        write_record(&engine.ring, OF_HIT, port.number, frame, length, entry.flow, now, 0, 0)
    if engine.is_observed:
        _observe(engine, HIT, port.number, frame, length, entry.flow, now)
    if plan.mss_limit and plan.protocol == TCP and frame[TRANSPORT + 13] & TCP_SYN:
        clamp_mss(frame, length, plan.mss_limit)
    rewrite(&entry.task, frame)
    for each in range(plan.outputs_count):
        output = engine.by_number[plan.outputs[each]]
        if output != NULL:
            leave(engine, output, frame, length, entry.flow, now)
    return True


cdef inline bint _note_frame(
    engine_t *engine, entry_t *entry, const uint8_t *frame, size_t length, uint64_t now
) noexcept nogil:
    """Note a frame of a connection that is tracked, if that may be done here."""
    cdef track_t *track = entry.track
    cdef const plan_t *plan = entry.task.plan
    cdef uint8_t before
    if track == NULL or track.node.key[0] != entry.tracked or not track.node.key[2]:
        track = entry.track = track_of(engine, entry.tracked)
    if track == NULL:
        return False
    before = track.state
    if plan.protocol != TCP:
        if plan.direction:
            track.state = engine.machine.answered
    elif not note_segment(
        &engine.machine,
        &track.window if track.has_window else NULL,
        &track.state,
        plan.direction,
        frame,
        length,
    ):
        return False
    if track.state != before:
        write_note(
            &engine.journal, MOVED, plan.direction, &track.state, 1, entry.tracked, now
        )
    return True


cdef inline track_t *track_of(engine_t *engine, uint64_t flow) noexcept nogil:
    """What is followed of a connection, or NULL."""
    cdef uint64_t key[_table.KEY_WORDS]
    pack_flow(flow, key)
    return <track_t *>_table.find(&engine.tracks, key)


cdef inline void pack_flow(uint64_t flow, uint64_t *key) noexcept nogil:
    """The key of a connection, which no record that was removed has."""
    key[0], key[1], key[2] = flow, 0, 1


cdef inline void leave(
    engine_t *engine,
    port_t *port,
    const uint8_t *frame,
    size_t length,
    uint64_t flow,
    uint64_t now,
) noexcept nogil:
    """Send a frame out of a port, made to fit its device first where it has to be."""
    if engine.ring.octets != NULL:
        write_record(&engine.ring, OF_LEAVING, port.number, frame, length, flow, now, 0, 0)
    if engine.is_observed:
        _observe(engine, LEFT, port.number, frame, length, flow, now)
    if length < START:
        _leave_over(engine, TO_FIT, port, frame, length)
    elif port.carries[<uint32_t>(frame[FLAGS] & NEEDS_CSUM) << 8 | frame[GSO_TYPE]]:
        _send(engine, port, frame, length)
    elif not _send_fitting(engine, port, frame, length):
        _leave_over(engine, TO_FIT, port, frame, length)


cdef inline void _leave_over(
    engine_t *engine, note_kind_t kind, port_t *port, const uint8_t *frame, size_t length
) noexcept nogil:
    """Let the owner send a frame, where only Python can: so many of a port wait for that."""
    if engine.is_in_thread:
        if port.left_over >= MOST_WAITING:
            port.lost[engine.full] += 1
            return
        port.left_over += 1
    write_note(&engine.journal, kind, port.number, frame, length, 0, 0)


cdef inline void _observe(
    engine_t *engine,
    note_kind_t kind,
    uint16_t port,
    const uint8_t *frame,
    size_t length,
    uint64_t flow,
    uint64_t now,
) noexcept nogil:
    if engine.is_in_thread and engine.journal.used > MOST_OCTETS:
        return
    write_note(&engine.journal, kind, port, frame, length, flow, now)


cdef inline bint _send_fitting(
    engine_t *engine, port_t *port, const uint8_t *frame, size_t length
) noexcept nogil:
    """Send what a frame stands for; False where only Python knows what is wrong with it."""
    cdef _fit.cut_t cut
    cdef size_t number
    cdef uint8_t *scratch = engine.scratch
    if engine.scratch_room < length:
        scratch = <uint8_t *>realloc(scratch, length)
        if scratch == NULL:
            engine.journal.is_torn = True
            return True
        engine.scratch, engine.scratch_room = scratch, length
    if not frame[GSO_TYPE]:
        memcpy(scratch, frame, length)
        if not _fit.complete(scratch, length):
            return False
        _send(engine, port, scratch, length)
        return True
    if not _fit.measure(frame, length, &cut):
        return False
    for number in range(_fit.pieces(&cut)):
        _send(engine, port, scratch, _fit.piece(&cut, frame, number, scratch))
    return True


cdef inline void _send(
    engine_t *engine, port_t *port, const uint8_t *frame, size_t length
) noexcept nogil:
    cdef int error, answer
    if port.form == _line.BY_DEVICE:
        _leave_over(engine, TO_SEND, port, frame, length)
        return
    error = -_line.transmit(port.form, port.fd, frame, length)
    if not error:
        port.sent_frames += 1
        port.sent_bytes += <int64_t>length - START
        return
    answer = engine.answer_by_errno[min(error, ERRNOS - 1)]
    port.lost[answer] += 1
    if answer == engine.gone:
        write_note(&engine.journal, GONE, port.number, frame, 0, 0, 0)


# Looking through all entries


cdef struct walk_t:
    # `recent` are senders that have been told: of a million flows most have one of a few.
    uint32_t next
    uint64_t recent[RECENT][2]


cdef inline entry_t *_next_entry(engine_t *engine, walk_t *walk) noexcept nogil:
    cdef entry_t *entry
    while walk.next < engine.entries.slab_count * _table.SLAB:
        entry = <entry_t *>_table.record(&engine.entries, walk.next)
        walk.next += 1
        if (<uint8_t *>entry.node.key)[LENGTH_AT]:
            return entry
    return NULL


cdef inline entry_t *next_sender(engine_t *engine, walk_t *walk, uint64_t since) noexcept nogil:
    """The next entry that was used after `since` by another sender than the recent ones."""
    cdef entry_t *entry = _next_entry(engine, walk)
    cdef const uint8_t *key
    cdef uint64_t *told
    cdef uint64_t station, place
    while entry != NULL:
        if entry.last_used > since:
            key = <const uint8_t *>entry.node.key
            station, place = 0, 1 << 16 | key[1] << 8 | key[2]
            memcpy(&station, key + (BRIDGED_SENDER if key[0] == BRIDGED else ROUTED_SENDER), 6)
            if key[0] == BRIDGED:
                place = place << 16 | key[3] << 8 | key[4]
            told = walk.recent[(station ^ station >> 40) % RECENT]
            if told[0] != station or told[1] != place:
                told[0], told[1] = station, place
                return entry
        entry = _next_entry(engine, walk)
    return NULL


cdef inline entry_t *next_bridged(engine_t *engine, walk_t *walk) noexcept nogil:
    """The next entry of frames that are bridged."""
    cdef entry_t *entry = _next_entry(engine, walk)
    while entry != NULL and (<uint8_t *>entry.node.key)[0] != BRIDGED:
        entry = _next_entry(engine, walk)
    return entry


# The loop in its thread


cdef inline uint64_t clock() noexcept nogil:
    """Nanoseconds, as Python's time.monotonic_ns counts them."""
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <uint64_t>time.tv_sec * 1_000_000_000 + time.tv_nsec


cdef inline void loop(engine_t *engine) noexcept nogil:
    """Serve all ports that are to be served, until it is told to end."""
    cdef epoll_event events[AT_ONCE]
    cdef int count, each
    cdef port_t *port
    while not load(&engine.is_ending):
        count = epoll_wait(engine.epoll, events, AT_ONCE, -1)
        for each in range(max(count, 0)):
            store(&engine.turn, engine.turn + 1)
            if events[each].data.u32 != <uint32_t>NOBODY:
                port = engine.by_number[<uint16_t>events[each].data.u32]
                if port != NULL and load(&port.is_served):
                    _serve(engine, port)
            store(&engine.turn, engine.turn + 1)
        _tell(engine)


cdef inline void _serve(engine_t *engine, port_t *port) noexcept nogil:
    """A batch of one port. A single frame is not looked behind: nothing waits there mostly, and a
    port that says much is soon readable again, and has a longer turn then."""
    cdef uint64_t now = clock()
    cdef int left
    cdef ssize_t length = 0
    cdef size_t used
    cdef uint8_t *frame = NULL
    if now - port.served_at > SOON:
        port.budget = 1
    left = port.budget
    while left > 0:
        length = _line.receive(port.form, port.fd, engine.room, &frame)
        if length >= 0:
            left -= 1
            lock_in_loop(&engine.lock)
            used = engine.journal.used
            take(engine, port, frame, length, now)
            engine.has_news = engine.has_news or engine.journal.used > used
            unlock(&engine.lock)
        elif length != -EINTR:
            break
    if length < 0 and (length != -EAGAIN or left == port.budget):
        _stop_serving(engine, port, <int>-length, now)
    port.budget = min(2 * port.budget, MOST_FRAMES) if not left else max(1, port.budget - left)
    port.served_at = clock()


cdef inline void _stop_serving(
    engine_t *engine, port_t *port, int error, uint64_t now
) noexcept nogil:
    """Let the owner look what is the matter: the port is not served until then."""
    epoll_ctl(engine.epoll, EPOLL_CTL_DEL, port.poll_fd, NULL)
    store(&port.is_served, False)
    lock_in_loop(&engine.lock)
    write_note(&engine.journal, TROUBLE, port.number, NULL, 0, error, now)
    engine.has_news = True
    unlock(&engine.lock)


cdef inline void _tell(engine_t *engine) noexcept nogil:
    """Say that there was something for the journal, once until it is read. It may have been read by
    now, by an owner who does not look at all of it there."""
    cdef uint64_t one = 1
    cdef bint is_told
    if not engine.has_news:
        return
    engine.has_news = False
    lock_in_loop(&engine.lock)
    is_told, engine.is_told = engine.is_told, True
    unlock(&engine.lock)
    if not is_told:
        write(engine.news, &one, sizeof(one))
