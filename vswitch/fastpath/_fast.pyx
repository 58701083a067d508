"""The compiled fast path: the twin of `reference`, which says what everything here means.

Theory of operation. One call takes a batch from a device: read, key, look-up, window, rewrite,
write, for each frame, in the buffer that it was read into, without a Python object and without the
GIL. Whatever Python has to do or to hear of goes into a *journal* in the order in which it happens,
and the journal is read behind the batch: frames that missed, frames for a device that is no
descriptor, frames whose offload header lies, and, while somebody observes, all frames.

What is decided once per flow is decided in Python, by the same code as for the reference: `routine`
makes a plan of a program, and here both become a record. The rest is in rooms of its own: `_key`,
`_table`, `_window`, `_rewrite`, `_fit`, `_line`, `_octets`.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBUF_WRITABLE, PyBUF_WRITE
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EAGAIN, EINTR
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from vswitch.fastpath cimport _fit, _line, _table
from vswitch.fastpath._key cimport FLAGS, GSO_TYPE, IP, LENGTH_AT, START, TCP, TRANSPORT
from vswitch.fastpath._key cimport CONTROL, NEEDS_CSUM, TCP_ACK, TCP_SYN, context_t, extract
from vswitch.fastpath._rewrite cimport is_looked_at, is_wrong, longest_packet, plan_t, rewrite
from vswitch.fastpath._rewrite cimport PATCH, task_t
from vswitch.fastpath._track cimport clamp_mss, machine_t, note_segment
from vswitch.fastpath._window cimport WINDOW_BYTES, window_t

from vswitch.devices.base import Form, Sent, sent_by_error
from vswitch.fastpath import clamp
from vswitch.fastpath.entry import FlowCounters
from vswitch.fastpath.routine import prepare
from vswitch.fastpath.states import TCP_TRANSITIONS, Direction, Event, State
from vswitch.fastpath.track import Move
from vswitch.fastpath.twin import BATCH, CAPACITY, EVICTED_PART, PortCounters
from vswitch.fastpath.window import Window
from vswitch.wire.adapt import adapt
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import carried_by

cdef enum:
    PORTS = 1 << 16
    DEMANDS = 1 << 9
    ANSWERS = 7
    ERRNOS = 256

cdef enum note_kind_t:
    MISS
    HIT
    LEFT
    TO_SEND
    TO_FIT
    GONE
    MOVED

cdef object _ANSWERS = tuple(Sent)
cdef object _SENT = Sent.SENT
cdef object _HELD = Sent.HELD
cdef int _SENT_NUMBER = _ANSWERS.index(Sent.SENT)
cdef int _REFUSED_NUMBER = _ANSWERS.index(Sent.REFUSED)
cdef int _GONE_NUMBER = _ANSWERS.index(Sent.GONE)
cdef uint8_t[ERRNOS] _ANSWER_BY_ERRNO
for _number in range(ERRNOS):
    _ANSWER_BY_ERRNO[_number] = _ANSWERS.index(sent_by_error(OSError(_number, "")))

cdef dict _FORMS = {
    Form.TUN: _line.TUN,
    Form.TUN_WITHOUT_HEADER: _line.TUN_WITHOUT_HEADER,
    Form.PACKET: _line.PACKET,
}
cdef tuple _STATES = tuple(State)
cdef tuple _DIRECTIONS = tuple(Direction)
cdef machine_t _MACHINE
_MACHINE.opening = _STATES.index(State.OPENING)
_MACHINE.answered = _STATES.index(State.ANSWERED)
for _number, _state in enumerate(State):
    for _direction in Direction:
        for _event_number, _event in enumerate((Event.SYN, Event.FIN, Event.RST, Event.OTHER)):
            _after = TCP_TRANSITIONS.get((_state, _direction, _event), _state)
            _MACHINE.after[<int>_number][<int>_direction.index][<int>_event_number] = (
                _STATES.index(_after)
            )
cdef bytes _FRESH_WINDOW = bytes(Window().state)


cdef struct port_t:
    int fd
    _line.form_t form
    uint16_t number
    context_t context
    uint8_t carries[DEMANDS]
    uint64_t received_frames
    int64_t received_bytes
    uint64_t sent_frames
    int64_t sent_bytes
    uint64_t wrong_checksums
    uint64_t lost[ANSWERS]


cdef struct entry_t:
    _table.node_t node
    uint64_t frames
    uint64_t octets
    uint64_t last_used
    uint64_t flow
    uint64_t tracked
    track_t *track
    task_t task
    uint32_t generation
    uint8_t tcp_flags


cdef struct track_t:
    _table.node_t node
    window_t window
    uint8_t state
    uint8_t has_window


cdef struct note_t:
    # One line of the journal; `length` octets of a frame follow, or the state of what has MOVED, in
    # the direction that stands in the place of the port.
    size_t length
    uint64_t flow
    uint64_t now
    uint16_t port
    uint8_t kind


cdef struct journal_t:
    uint8_t *octets
    size_t used
    size_t room


cdef class _Port:
    """A device's place. `c` is what the loop sees of it."""

    cdef port_t c
    cdef object device
    cdef dict unsendable


cdef class _Plan:
    """A plan that entries share: kept while one of them has it."""

    cdef plan_t c
    cdef object plan
    cdef size_t users

    def __dealloc__(self):
        free(self.c.outputs)


cdef class CompiledFastPath:
    """Ports, entries and the loop over them. Not thread-safe: one loop owns it."""

    cdef size_t _capacity
    cdef dict _ports
    cdef dict _plans
    cdef port_t **_by_number
    cdef _table.table_t _entries
    cdef _table.table_t _tracks
    cdef uint32_t _generation
    cdef object _observer
    cdef bint _is_observed
    cdef journal_t _journal
    cdef list _moves
    cdef bint _out_of_memory
    cdef uint8_t *_room
    cdef uint8_t *_scratch
    cdef size_t _scratch_room
    cdef readonly set gone

    name = "compiled"

    def __cinit__(self, size_t capacity=CAPACITY):
        cdef uint64_t seed = <uint64_t>hash(b"flow keys") | 1
        self._capacity = capacity
        self._ports, self._plans, self._moves, self.gone = {}, {}, [], set()
        self._by_number = <port_t **>calloc(PORTS, sizeof(port_t *))
        self._room = <uint8_t *>malloc(_line.ROOM)
        opened = _table.open_table(&self._entries, sizeof(entry_t), seed)
        opened = _table.open_table(&self._tracks, sizeof(track_t), seed) and opened
        if not opened or self._by_number == NULL or self._room == NULL:
            raise MemoryError

    def __dealloc__(self):
        _table.close_table(&self._entries)
        _table.close_table(&self._tracks)
        free(self._by_number)
        free(self._room)
        free(self._scratch)
        free(self._journal.octets)

    @property
    def observer(self):
        return self._observer

    @observer.setter
    def observer(self, observer):
        self._observer = observer
        self._is_observed = observer is not None

    # Ports

    def attach(self, number, device, gateway):
        cdef _Port port = _Port()
        port.c.number = number
        port.unsendable = {}
        self._put(port, device)
        _set_context(&port.c, gateway)
        self._ports[number] = port
        self._by_number[port.c.number] = &port.c

    def detach(self, number):
        del self._ports[number]
        self._by_number[<uint16_t>number] = NULL
        self.gone.discard(number)
        self.invalidate()

    def device(self, number):
        return self._port(number).device

    def set_gateway(self, number, gateway):
        _set_context(&self._port(number).c, gateway)

    def replace_device(self, number, device):
        self._put(self._port(number), device)

    def port_counters(self, number):
        cdef _Port port = self._port(number)
        counters = PortCounters(
            port.c.received_frames,
            port.c.received_bytes,
            port.c.sent_frames,
            port.c.sent_bytes,
        )
        for answer in range(ANSWERS):
            if port.c.lost[answer]:
                counters.lost[_ANSWERS[answer]] = port.c.lost[answer]
        counters.unsendable.update(port.unsendable)
        counters.wrong_checksums = port.c.wrong_checksums
        return counters

    def count_wrong_checksum(self, number):
        cdef _Port port = self._port(number)
        port.c.wrong_checksums += 1

    def key(self, number, frame):
        cdef uint64_t key[_table.KEY_WORDS]
        cdef const uint8_t[::1] octets = frame
        cdef const uint8_t *start = &octets[0] if octets.shape[0] else NULL
        if not extract(&self._port(number).c.context, start, octets.shape[0], key):
            return None
        return _unpacked(key)

    cdef _Port _port(self, number):
        return self._ports[number]

    cdef _put(self, _Port port, device):
        """Let frames of a port go by `device`."""
        port.device = device
        for demand, carried in enumerate(carried_by(device.offloads)):
            port.c.carries[<uint16_t>demand] = carried
        _look_for_descriptor(port)

    # Entries

    def remove(self, key):
        cdef entry_t *entry = self._entry(key)
        if entry != NULL:
            self._remove(entry)

    def invalidate(self):
        self._generation += 1

    def flow_counters(self, key):
        cdef entry_t *entry = self._entry(key)
        if entry == NULL:
            return None
        return FlowCounters(entry.frames, entry.octets, entry.tcp_flags, entry.last_used)

    def last_used(self, key):
        cdef entry_t *entry = self._entry(key)
        return entry.last_used if entry != NULL else 0

    def uses(self):
        cdef uint32_t number = self._entries.first
        cdef entry_t *entry
        uses = []
        while number != _table.NOWHERE:
            entry = <entry_t *>_table.record(&self._entries, number)
            uses.append((_unpacked(entry.node.key), entry.last_used))
            number = entry.node.later
        return iter(uses)

    def __len__(self):
        return self._entries.count

    cdef entry_t *_entry(self, key) except? NULL:
        cdef uint64_t packed[_table.KEY_WORDS]
        _pack(key, packed)
        return <entry_t *>_table.find(&self._entries, packed)

    cdef _install(self, key, routine, uint64_t flow):
        cdef uint64_t packed[_table.KEY_WORDS]
        cdef entry_t *entry
        cdef _Plan plan = self._plan(routine.plan)
        cdef const uint8_t[::1] patch = routine.patch
        _pack(key, packed)
        entry = <entry_t *>_table.find(&self._entries, packed)
        if entry == NULL:
            if self._entries.count >= self._capacity:
                self._evict_first_installed()
            entry = <entry_t *>_table.add(&self._entries, packed)
            if entry == NULL:
                raise MemoryError
            plan.users += 1
        elif entry.task.plan != &plan.c:
            plan.users += 1
            self._release(entry.task.plan)
        entry.flow, entry.tracked, entry.track = flow, routine.tracked, NULL
        entry.generation = self._generation
        entry.task.plan = &plan.c
        entry.task.header = routine.header
        entry.task.finished = routine.finished
        entry.task.unfinished = routine.unfinished
        memcpy(entry.task.patch, &patch[0], PATCH)

    cdef _evict_first_installed(self):
        for _ in range(max(1, self._capacity // EVICTED_PART)):
            if self._entries.first == _table.NOWHERE:
                return
            self._remove(<entry_t *>_table.record(&self._entries, self._entries.first))

    cdef _remove(self, entry_t *entry):
        self._release(entry.task.plan)
        _table.remove(&self._entries, &entry.node)

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
        cdef track_t *track = self._track_of(flow)
        if track == NULL:
            _pack_flow(flow, key)
            track = <track_t *>_table.add(&self._tracks, key)
            if track == NULL:
                raise MemoryError
        track.state = _STATES.index(state)

    def untrack(self, flow):
        cdef track_t *track = self._track_of(flow)
        if track != NULL:
            _table.remove(&self._tracks, &track.node)

    def open_window(self, flow):
        cdef track_t *track = self._track_of(flow)
        if track == NULL:
            raise KeyError(flow)
        track.has_window = True
        memcpy(&track.window, <const char *>_FRESH_WINDOW, WINDOW_BYTES)
        return _view(track)

    def window(self, flow):
        cdef track_t *track = self._track_of(flow)
        return None if track == NULL or not track.has_window else _view(track)

    def take_moves(self):
        moves, self._moves = self._moves, []
        return moves

    cdef track_t *_track_of(self, uint64_t flow) noexcept nogil:
        cdef uint64_t key[_table.KEY_WORDS]
        _pack_flow(flow, key)
        return <track_t *>_table.find(&self._tracks, key)

    # Frames

    def run(self, number, uint64_t now, int limit=BATCH):
        cdef _Port port = self._port(number)
        misses = []
        if port.c.form == _line.BY_DEVICE:
            self._run_by_device(port, now, limit, misses)
            _look_for_descriptor(port)
        else:
            self._run_by_descriptor(port, now, limit, misses)
        return misses

    def execute(self, program, frame, key=None, flow=0):
        routine = prepare(program, frame)
        if key is not None:
            self._install(key, routine, flow)
        if routine.plan.mss_limit:
            clamp.clamp_mss(frame, routine.plan.network, routine.plan.mss_limit)
        routine.rewrite(frame)
        return routine.plan.outputs

    def transmit(self, number, frame, flow, now):
        cdef port_t *port = self._by_number[<uint16_t>number]
        cdef Py_buffer buffer
        if port == NULL:
            return
        PyObject_GetBuffer(frame, &buffer, PyBUF_SIMPLE)
        try:
            self._leave(port, <const uint8_t *>buffer.buf, buffer.len, flow, now)
        finally:
            PyBuffer_Release(&buffer)
        self._read_journal(None)

    def settle(self, number, octets, answer):
        cdef _Port port = self._port(number)
        self._count(port, octets, answer)

    cdef _run_by_device(self, _Port port, uint64_t now, int limit, list misses):
        cdef Py_buffer buffer
        try:
            for frame in port.device.receive(limit):
                PyObject_GetBuffer(frame, &buffer, PyBUF_WRITABLE)
                try:
                    self._take(&port.c, <uint8_t *>buffer.buf, buffer.len, now)
                finally:
                    PyBuffer_Release(&buffer)
        finally:
            self._read_journal(misses)

    cdef _run_by_descriptor(self, _Port port, uint64_t now, int limit, list misses):
        cdef int error, left = limit
        try:
            while True:
                with nogil:
                    error = self._run(&port.c, now, &left)
                if not error or not port.device.overcome(OSError(error, "")):
                    return
                _look_for_descriptor(port)
                if port.c.form == _line.BY_DEVICE:
                    return
        finally:
            self._read_journal(misses)

    cdef int _run(self, port_t *port, uint64_t now, int *left) noexcept nogil:
        """Frames until none waits or none is `left` to be taken; what went wrong, or zero.

        That there was no frame at all is for the device to make something of."""
        cdef uint8_t *frame
        cdef ssize_t length
        cdef int begun = left[0]
        while left[0] > 0:
            left[0] -= 1
            length = _line.receive(port.form, port.fd, self._room, &frame)
            if length >= 0:
                self._take(port, frame, length, now)
            elif length != -EINTR:
                return 0 if length == -EAGAIN and begun - left[0] > 1 else <int>-length
        return 0

    cdef void _take(self, port_t *port, uint8_t *frame, size_t length, uint64_t now) noexcept nogil:
        cdef uint64_t key[_table.KEY_WORDS]
        cdef entry_t *entry = NULL
        port.received_frames += 1
        port.received_bytes += <int64_t>length - START
        if extract(&port.context, frame, length, key):
            entry = <entry_t *>_table.find(&self._entries, key)
        if entry == NULL or not self._finish(port, entry, frame, length, now):
            self._note(MISS, port.number, frame, length, 0, now)

    cdef bint _finish(
        self, port_t *port, entry_t *entry, uint8_t *frame, size_t length, uint64_t now
    ) noexcept nogil:
        """Do for a frame what its entry says, or answer False and leave everything as it was."""
        cdef const plan_t *plan = entry.task.plan
        cdef size_t size = length - START
        cdef uint32_t each
        cdef port_t *output
        if entry.generation != self._generation or length < plan.reach:
            return False
        if size > plan.packet_limit and longest_packet(frame, length) > plan.packet_limit:
            return False
        if plan.tracks:
            if not self._note_frame(entry, frame, length, now):
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
        if self._is_observed:
            self._note(HIT, port.number, frame, length, entry.flow, now)
        if plan.mss_limit and frame[TRANSPORT + 13] & TCP_SYN:
            clamp_mss(frame, length, plan.mss_limit)
        rewrite(&entry.task, frame)
        for each in range(plan.outputs_count):
            output = self._by_number[plan.outputs[each]]
            if output != NULL:
                self._leave(output, frame, length, entry.flow, now)
        return True

    cdef bint _note_frame(
        self, entry_t *entry, const uint8_t *frame, size_t length, uint64_t now
    ) noexcept nogil:
        """Note a frame of a connection that is tracked, if that may be done here."""
        cdef track_t *track = entry.track
        cdef const plan_t *plan = entry.task.plan
        cdef uint8_t before
        if track == NULL or track.node.key[0] != entry.tracked or not track.node.key[2]:
            track = entry.track = self._track_of(entry.tracked)
        if track == NULL:
            return False
        before = track.state
        if plan.protocol != TCP:
            if plan.direction:
                track.state = _MACHINE.answered
        elif not note_segment(
            &_MACHINE,
            &track.window if track.has_window else NULL,
            &track.state,
            plan.direction,
            frame,
            length,
        ):
            return False
        if track.state != before:
            self._note(MOVED, plan.direction, &track.state, 1, entry.tracked, now)
        return True

    cdef void _leave(
        self, port_t *port, const uint8_t *frame, size_t length, uint64_t flow, uint64_t now
    ) noexcept nogil:
        """Send a frame out of a port, made to fit its device first where it has to be."""
        if self._is_observed:
            self._note(LEFT, port.number, frame, length, flow, now)
        if length < START:
            self._note(TO_FIT, port.number, frame, length, flow, now)
        elif port.carries[<uint32_t>(frame[FLAGS] & NEEDS_CSUM) << 8 | frame[GSO_TYPE]]:
            self._send(port, frame, length)
        elif not self._fit(port, frame, length):
            self._note(TO_FIT, port.number, frame, length, flow, now)

    cdef bint _fit(self, port_t *port, const uint8_t *frame, size_t length) noexcept nogil:
        """Send what a frame stands for; False where only Python knows what is wrong with it."""
        cdef _fit.cut_t cut
        cdef size_t number
        cdef uint8_t *scratch = self._scratch
        if self._scratch_room < length:
            scratch = <uint8_t *>realloc(scratch, length)
            if scratch == NULL:
                self._out_of_memory = True
                return True
            self._scratch, self._scratch_room = scratch, length
        if not frame[GSO_TYPE]:
            memcpy(scratch, frame, length)
            if not _fit.complete(scratch, length):
                return False
            self._send(port, scratch, length)
            return True
        if not _fit.measure(frame, length, &cut):
            return False
        for number in range(_fit.pieces(&cut)):
            self._send(port, scratch, _fit.piece(&cut, frame, number, scratch))
        return True

    cdef void _send(self, port_t *port, const uint8_t *frame, size_t length) noexcept nogil:
        cdef int error, answer
        if port.form == _line.BY_DEVICE:
            self._note(TO_SEND, port.number, frame, length, 0, 0)
            return
        error = -_line.transmit(port.form, port.fd, frame, length)
        if not error:
            port.sent_frames += 1
            port.sent_bytes += <int64_t>length - START
            return
        answer = _ANSWER_BY_ERRNO[error] if error < ERRNOS else _REFUSED_NUMBER
        port.lost[answer] += 1
        if answer == _GONE_NUMBER:
            self._note(GONE, port.number, frame, 0, 0, 0)

    # The journal

    cdef void _note(
        self,
        note_kind_t kind,
        uint16_t port,
        const uint8_t *frame,
        size_t length,
        uint64_t flow,
        uint64_t now,
    ) noexcept nogil:
        cdef size_t needed = sizeof(note_t) + (length + 7 & ~<size_t>7)
        cdef journal_t *journal = &self._journal
        cdef uint8_t *octets
        cdef note_t *note
        if journal.used + needed > journal.room:
            octets = <uint8_t *>realloc(journal.octets, 2 * (journal.used + needed))
            if octets == NULL:
                self._out_of_memory = True
                return
            journal.octets, journal.room = octets, 2 * (journal.used + needed)
        note = <note_t *>(journal.octets + journal.used)
        note.kind, note.port, note.length, note.flow, note.now = kind, port, length, flow, now
        memcpy(journal.octets + journal.used + sizeof(note_t), frame, length)
        journal.used += needed

    cdef _read_journal(self, list misses):
        """Do what is left to do; `misses` gets the frames that nothing is known about."""
        cdef journal_t journal = self._journal
        cdef size_t at = 0
        cdef note_t *note
        cdef uint8_t *octets
        if self._out_of_memory:
            self._out_of_memory = False
            raise MemoryError
        if not journal.used:
            return
        # What is called from here may call back, and then writes a journal of its own.
        memset(&self._journal, 0, sizeof(journal_t))
        try:
            while at < journal.used:
                note = <note_t *>(journal.octets + at)
                octets = journal.octets + at + sizeof(note_t)
                at += sizeof(note_t) + (note.length + 7 & ~<size_t>7)
                if note.kind != MISS:
                    self._carry_out(note, octets)
                elif misses is not None:
                    misses.append(PyByteArray_FromStringAndSize(<char *>octets, note.length))
        finally:
            free(self._journal.octets)
            self._journal = journal
            self._journal.used = 0

    cdef _carry_out(self, note_t *note, uint8_t *octets):
        cdef _Port port = self._ports.get(note.port)
        frame = PyMemoryView_FromMemory(<char *>octets, note.length, PyBUF_WRITE)
        if note.kind == HIT:
            if self._observer is not None:
                self._observer.hit(note.port, frame, note.flow, note.now)
        elif note.kind == LEFT:
            if self._observer is not None:
                self._observer.sent(note.port, frame, note.flow, note.now)
        elif note.kind == MOVED:
            self._moves.append(Move(note.flow, _DIRECTIONS[note.port], _STATES[octets[0]]))
        elif port is None:
            return
        elif note.kind == GONE:
            self.gone.add(note.port)
        elif note.kind == TO_SEND:
            self._send_by_device(port, frame)
        else:
            fitting = adapt(frame, port.device.offloads)
            if isinstance(fitting, Malformed):
                port.unsendable[fitting] = port.unsendable.get(fitting, 0) + 1
                return
            for piece in fitting:
                self._send_by_device(port, piece)

    cdef _send_by_device(self, _Port port, frame):
        answer = port.device.send(frame)
        if answer is not _HELD:
            self._count(port, len(frame) - START, answer)

    cdef _count(self, _Port port, octets, answer):
        if answer is _SENT:
            port.c.sent_frames += 1
            port.c.sent_bytes += octets
            return
        port.c.lost[<int>_ANSWERS.index(answer)] += 1
        if answer is Sent.GONE:
            self.gone.add(port.c.number)


cdef _look_for_descriptor(_Port port):
    """A device may have a descriptor that its frames can pass by without it, or not just now."""
    raw = port.device.raw()
    port.c.form = _line.BY_DEVICE if raw is None else _FORMS[raw.form]
    port.c.fd = -1 if raw is None else raw.descriptor


cdef void _set_context(port_t *port, gateway):
    cdef const uint8_t[::1] station
    port.context.port[0], port.context.port[1] = port.number >> 8, port.number & 0xFF
    port.context.has_gateway = gateway is not None
    if gateway is not None:
        station = gateway
        memcpy(port.context.gateway, &station[0], 6)


cdef _pack(bytes key, uint64_t *packed):
    cdef uint8_t *octets = <uint8_t *>packed
    if len(key) >= _table.KEY_BYTES:
        raise ValueError(f"a key of {len(key)} bytes")
    memset(octets, 0, _table.KEY_BYTES)
    memcpy(octets, <const char *>key, len(key))
    octets[LENGTH_AT] = <uint8_t>len(key)


cdef bytes _unpacked(const uint64_t *packed):
    cdef const uint8_t *octets = <const uint8_t *>packed
    return PyBytes_FromStringAndSize(<const char *>octets, octets[LENGTH_AT])


cdef void _pack_flow(uint64_t flow, uint64_t *key) noexcept nogil:
    key[0], key[1], key[2] = flow, 0, 1


cdef _view(track_t *track):
    return Window(PyMemoryView_FromMemory(<char *>&track.window, WINDOW_BYTES, PyBUF_WRITE))


cdef _Plan _compiled(plan):
    cdef _Plan compiled = _Plan()
    cdef plan_t *c = &compiled.c
    cdef const uint8_t[::1] stations
    compiled.plan = plan
    c.identity = id(plan)
    c.packet_limit = plan.packet_limit
    c.protocol = plan.protocol
    c.tracks = plan.direction is not None
    c.direction = plan.direction or 0
    c.network, c.hops = plan.network, plan.hops
    c.together = plan.piece.size - 4
    c.transport_checksum, c.zero = plan.transport_checksum, plan.zero
    c.zero_is_none = plan.zero_is_none
    c.reach = max(IP if plan.stations else 0, plan.network + 12 + c.together if plan.network else 0)
    if plan.stations:
        stations = plan.stations
        c.has_stations = True
        memcpy(c.stations, &stations[0], 12)
    if plan.apart is not None:
        c.apart, c.apart_from = plan.apart.start, plan.rest.start
        c.apart_length = plan.apart.stop - plan.apart.start
        c.reach = max(c.reach, <size_t>plan.apart.stop)
    if plan.transport_checksum:
        c.reach = max(c.reach, <size_t>plan.transport_checksum + 2)
    c.mss_limit = plan.mss_limit
    if plan.protocol == TCP:
        c.reach = max(c.reach, <size_t>TRANSPORT + 20)
    c.outputs_count = len(plan.outputs)
    c.outputs = <uint16_t *>malloc(max(1, c.outputs_count) * sizeof(uint16_t))
    if c.outputs == NULL:
        raise MemoryError
    for number, output in enumerate(plan.outputs):
        c.outputs[<size_t>number] = output
    return compiled
