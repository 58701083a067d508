"""The compiled fast path: the twin of `reference`, which says what everything here means.

Theory of operation. One call takes a batch from a device: read, key, look-up, state and window,
rewrite, write, for each frame, in the buffer that it was read into, without a Python object and
without the GIL (`_engine`). Whatever Python has to do or to hear of is in a *journal* afterwards,
which is read here (`_journal`). What is decided once per flow is decided in Python, by the same
code as for the reference: `routine` makes a plan of a program, and here both become a record.

The loop over frames can have a thread of its own (`loop`), so that nothing that Python does delays
a frame whose flow is known. The thread that owns this object goes on to change the tables, under a
lock that is held for one frame, or one change, at a time.

The rooms: `_engine` the loop, `_key`, `_table`, `_track`, `_window`, `_rewrite`, `_fit`, `_line` as
their names say, `_octets` underneath, `_journal` and `_lock` between the two threads, `_records`
what Python describes, as the engine has it, `_flows` what is kept of flows, and under which lock.
Here are the ports, their frames, the loop's thread, and what it has to tell.
"""

from collections import deque
from contextlib import suppress

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBUF_WRITE
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from vswitch.fastpath cimport _engine, _line, _table
from vswitch.fastpath._engine cimport ANSWERS, ERRNOS, PORTS, engine_t, entry_t, port_t, track_t
from vswitch.fastpath._journal cimport (
    GONE,
    HIT,
    LEFT,
    MISS,
    MOVED,
    TO_SEND,
    TROUBLE,
    discard,
    journal_t,
    next_note,
    note_t,
)
from vswitch.fastpath._key cimport IP, LENGTH_AT, START, TCP, TCP_SYN, TRANSPORT, extract
from vswitch.fastpath._lock cimport load, lock_by_owner, spin, store, unlock
from vswitch.fastpath._rewrite cimport PATCH, is_within, plan_t, rewrite, task_t
from vswitch.fastpath._ring cimport OF_DECISION, write_record
from vswitch.fastpath._track cimport begin_with, clamp_mss
from vswitch.fastpath._window cimport WINDOW_BYTES

import os
import select

from vswitch.devices.base import Form, Sent, sent_by_error
from vswitch.fastpath.entry import FlowCounters
from vswitch.fastpath.key import sender
from vswitch.fastpath.states import TCP_TRANSITIONS, Direction, Event, State
from vswitch.fastpath.track import Move
from vswitch.fastpath.twin import BATCH, CAPACITY, EVICTED_PART, PortCounters, Trouble, Waiting
from vswitch.fastpath.window import Window
from vswitch.wire.adapt import adapt
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import carried_by

cdef tuple _ANSWERS = tuple(Sent)
cdef tuple _STATES = tuple(State)
cdef tuple _DIRECTIONS = tuple(Direction)
cdef tuple _EVENTS = (Event.SYN, Event.FIN, Event.RST, Event.OTHER)
cdef dict _FORMS = {
    Form.TUN: _line.TUN,
    Form.TUN_WITHOUT_HEADER: _line.TUN_WITHOUT_HEADER,
    Form.PACKET: _line.PACKET,
}
cdef bytes _FRESH_WINDOW = bytes(Window().state)


include "_records.pxi"
include "_flows.pxi"


cdef class CompiledFastPath(_Flows):
    """Ports and the loop over them; see `twin` for what each method does."""

    cdef dict _ports
    cdef list _moves
    cdef list _troubles
    cdef object _turns
    cdef object _observer
    cdef object _ring
    cdef object _poll
    cdef int _wake
    cdef readonly set gone

    name = "compiled"

    def __cinit__(self):
        self._ports, self._moves, self._troubles = {}, [], []
        self._turns, self.gone = deque(), set()
        self._wake = self._engine.news = -1
        self._engine.by_number = <port_t **>calloc(PORTS, sizeof(port_t *))
        self._engine.room = <uint8_t *>malloc(_line.ROOM)
        if self._engine.by_number == NULL or self._engine.room == NULL:
            raise MemoryError
        _describe_machine(&self._engine)

    def __dealloc__(self):
        discard(&self._engine.journal)
        free(self._engine.by_number)
        free(self._engine.room)
        free(self._engine.scratch)

    @property
    def observer(self):
        return self._observer

    @observer.setter
    def observer(self, observer):
        self._observer = observer
        self._engine.is_observed = observer is not None

    @property
    def ring(self):
        return self._ring

    @ring.setter
    def ring(self, ring):
        cdef bytearray octets
        self._lock()
        self._ring = ring
        if ring is None:
            self._engine.ring.octets = NULL
        else:
            octets = ring.octets
            self._engine.ring.octets = <uint8_t *><char *>octets
            self._engine.ring.end = len(octets)
        self._unlock()

    # Ports

    def attach(self, number, device, gateway):
        cdef _Port port = _Port()
        port.c.number = number
        port.c.budget = 1
        port.unsendable, port.misses = {}, deque()
        self._put(port, device)
        _set_context(&port.c, gateway)
        self._ports[number] = port
        self._engine.by_number[port.c.number] = &port.c

    def detach(self, number):
        cdef _Port port = self._port(number)
        self._lock()
        self._engine.by_number[port.c.number] = NULL
        self._unlock()
        self._leave_alone(port)
        self._take_misses(port)
        del self._ports[number]
        self.gone.discard(number)
        self.invalidate()

    def device(self, number):
        return self._port(number).device

    def set_gateway(self, number, gateway):
        cdef _Port port = self._port(number)
        self._lock()
        _set_context(&port.c, gateway)
        self._unlock()

    def replace_device(self, number, device):
        cdef _Port port = self._port(number)
        self._leave_alone(port)
        self._put(port, device)

    def port_counters(self, number):
        cdef _Port port = self._port(number)
        counters = PortCounters(
            port.c.received_frames,
            port.c.received_bytes,
            port.c.sent_frames,
            port.c.sent_bytes,
            unsendable=dict(port.unsendable),
            wrong_checksums=port.c.wrong_checksums,
            overrun=port.c.overrun,
        )
        for answer in range(ANSWERS):
            if port.c.lost[answer]:
                counters.lost[_ANSWERS[answer]] = port.c.lost[answer]
        return counters

    def count_wrong_checksum(self, number):
        cdef _Port port = self._port(number)
        self._lock()
        port.c.wrong_checksums += 1
        self._unlock()

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
        self._lock()
        port.device = device
        for demand, carried in enumerate(carried_by(device.offloads)):
            port.c.carries[<uint16_t>demand] = carried
        try:
            self._look_for_descriptor(port)
        finally:
            self._unlock()

    cdef _look_for_descriptor(self, _Port port):
        """A device may have a descriptor that its frames can pass by without it, or not just now."""
        cdef int descriptor = -1, readable = -1
        cdef _line.form_t form = _line.BY_DEVICE
        raw = port.device.raw()
        if raw is not None:
            form, descriptor, readable = _FORMS[raw.form], raw.descriptor, raw.readable
        self._lock()
        port.c.form, port.c.fd, port.c.poll_fd = form, descriptor, readable
        self._unlock()

    # Frames

    def run(self, number, uint64_t now, int limit=BATCH):
        cdef _Port port = self._port(number)
        try:
            if port.c.form == _line.BY_DEVICE:
                self._run_by_device(port, now, limit)
            else:
                self._run_by_descriptor(port, now, limit)
        finally:
            self._read_journal()
            misses = self._take_misses(port)
        return misses

    def rewrite(self, routine, frame):
        cdef _Plan plan = self._plans.get(id(routine.plan))
        cdef const char *patch = routine.patch
        cdef uint8_t[::1] octets = frame
        cdef task_t task
        if plan is None or not is_within(&plan.c, &octets[0], octets.shape[0]):
            routine.run(frame)
            return
        task.plan, task.header = &plan.c, routine.header
        task.finished, task.unfinished = routine.finished, routine.unfinished
        memcpy(task.patch, patch, PATCH)
        if plan.c.mss_limit and plan.c.protocol == TCP and octets[TRANSPORT + 13] & TCP_SYN:
            clamp_mss(&octets[0], octets.shape[0], plan.c.mss_limit)
        rewrite(&task, &octets[0])

    def transmit(self, number, frame, uint64_t flow, uint64_t now):
        cdef port_t *port = self._engine.by_number[<uint16_t>number]
        cdef Py_buffer buffer
        if port == NULL:
            return
        PyObject_GetBuffer(frame, &buffer, PyBUF_SIMPLE)
        self._lock()
        _engine.leave(&self._engine, port, <const uint8_t *>buffer.buf, buffer.len, flow, now)
        self._unlock()
        PyBuffer_Release(&buffer)
        self._read_journal()

    def record(self, uint32_t port, frame, uint64_t flow, uint64_t now, uint8_t fate, uint8_t reason):
        cdef Py_buffer buffer
        cdef uint64_t place
        if self._ring is None:
            raise ValueError("there is no ring")
        PyObject_GetBuffer(frame, &buffer, PyBUF_SIMPLE)
        self._lock()
        place = write_record(
            &self._engine.ring,
            OF_DECISION,
            port,
            <const uint8_t *>buffer.buf,
            buffer.len,
            flow,
            now,
            fate,
            reason,
        )
        self._unlock()
        PyBuffer_Release(&buffer)
        return place

    def settle(self, number, octets, answer):
        self._count(self._port(number), octets, answer)

    cdef list _take_misses(self, _Port port):
        """All frames of a port that wait to be decided about."""
        misses = list(port.misses)
        if misses:
            self._turns.remove(port)
        port.misses.clear()
        port.c.waiting = 0
        return misses

    cdef _run_by_device(self, _Port port, uint64_t now, int limit):
        cdef Py_buffer buffer
        for frame in port.device.receive(limit):
            PyObject_GetBuffer(frame, &buffer, PyBUF_WRITABLE)
            self._lock()
            _engine.take(&self._engine, &port.c, <uint8_t *>buffer.buf, buffer.len, now)
            self._unlock()
            PyBuffer_Release(&buffer)
        self._look_for_descriptor(port)

    cdef _run_by_descriptor(self, _Port port, uint64_t now, int limit):
        cdef int error, left = limit
        while True:
            with nogil:
                error = _engine.run(&self._engine, &port.c, now, &left)
            if not error:
                return
            goes_on = port.device.overcome(OSError(error, ""))
            self._look_for_descriptor(port)
            if not goes_on or port.c.form == _line.BY_DEVICE:
                return

    # The loop in its thread

    def open_loop(self):
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._engine.news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.epoll()
        self._engine.epoll = self._poll.fileno()
        # Each nudge is an event of its own, so nobody has to read them.
        self._watch(self._wake, _engine.NOBODY, _engine.EPOLLIN | _engine.EPOLLET)
        self._engine.is_in_thread = True
        return self._engine.news

    def loop(self):
        with nogil:
            _engine.loop(&self._engine)

    def nudge(self):
        turns = load(&self._engine.turn)
        os.eventfd_write(self._wake, 1)
        return turns

    def end_loop(self):
        store(&self._engine.is_ending, True)
        os.eventfd_write(self._wake, 1)

    def close_loop(self):
        self._engine.is_in_thread = False
        self._poll.close()
        os.close(self._wake)
        os.close(self._engine.news)
        # Ports go later than the loop, and the numbers may be those of others by then.
        self._wake = self._engine.news = self._engine.epoll = -1

    def serve(self, number):
        cdef _Port port = self._port(number)
        self._look_for_descriptor(port)
        if port.c.form == _line.BY_DEVICE:
            return False
        store(&port.c.is_served, True)
        self._watch(port.c.poll_fd, port.c.number, _engine.EPOLLIN)
        return True

    def leave_alone(self, number):
        self._leave_alone(self._port(number))

    def hear(self):
        with suppress(BlockingIOError):
            os.eventfd_read(self._engine.news)
        self._read_journal()
        troubles, self._troubles = self._troubles, []
        return troubles

    def take_waiting(self, uint64_t now, int limit):
        cdef _Port port
        cdef uint8_t *octets
        cdef size_t length
        cdef bint is_known
        waiting = []
        while self._turns and len(waiting) < limit:
            port = self._turns.popleft()
            frame = port.misses.popleft()
            octets, length = <uint8_t *><char *>frame, len(frame)
            self._lock()
            port.c.waiting -= 1
            is_known = _engine.finish(&self._engine, &port.c, octets, length, now)
            self._unlock()
            if not is_known:
                waiting.append(Waiting(port.c.number, frame))
            if port.misses:
                self._turns.append(port)
        self._read_journal()
        return waiting

    cdef _watch(self, int descriptor, uint32_t data, uint32_t events):
        cdef _engine.epoll_event event
        memset(&event, 0, sizeof(event))
        event.events, event.data.u32 = events, data
        if _engine.epoll_ctl(self._engine.epoll, _engine.EPOLL_CTL_ADD, descriptor, &event) < 0:
            raise OSError("a descriptor can not be polled")

    cdef _leave_alone(self, _Port port):
        """Have the loop touch a port no more: it is not in the middle of its frames afterwards."""
        cdef int turn, spins = 0
        cdef bint was_served = load(&port.c.is_served)
        store(&port.c.is_served, False)
        if was_served:
            _engine.epoll_ctl(self._engine.epoll, _engine.EPOLL_CTL_DEL, port.c.poll_fd, NULL)
        # The loop may have found by itself that it is not to be served, and be at it all the same.
        turn = load(&self._engine.turn)
        with nogil:
            while turn & 1 and load(&self._engine.turn) == turn:
                spin(spins)
                spins += 1

    # The journal

    def take_moves(self):
        moves, self._moves = self._moves, []
        return moves

    cdef _read_journal(self):
        """Do what is left to do, and let what missed wait at its port."""
        cdef journal_t journal
        cdef size_t at = 0
        cdef note_t *note
        cdef uint8_t *octets = NULL
        self._lock()
        journal = self._engine.journal
        memset(&self._engine.journal, 0, sizeof(journal_t))
        self._engine.is_told = False
        self._unlock()
        # What is called from here may call back, and writes a journal of its own.
        try:
            note = next_note(&journal, &at, &octets)
            while note != NULL:
                self._carry_out(note, octets)
                note = next_note(&journal, &at, &octets)
        finally:
            is_torn = journal.is_torn
            discard(&journal)
        if is_torn:
            raise MemoryError

    cdef _carry_out(self, note_t *note, uint8_t *octets):
        cdef _Port port = self._ports.get(note.port)
        if note.kind == MOVED:
            self._moves.append(Move(note.flow, _DIRECTIONS[note.port], _STATES[octets[0]]))
            return
        if port is None:
            return
        if note.kind == MISS:
            if not port.misses:
                self._turns.append(port)
            port.misses.append(PyByteArray_FromStringAndSize(<char *>octets, note.length))
            return
        if note.kind == GONE:
            self.gone.add(note.port)
            return
        if note.kind == TROUBLE:
            self._troubles.append(Trouble(note.port, OSError(<int>note.flow, "")))
            return
        frame = PyMemoryView_FromMemory(<char *>octets, note.length, PyBUF_WRITE)
        if note.kind == HIT:
            if self._observer is not None:
                self._observer.hit(note.port, frame, note.flow, note.now)
        elif note.kind == LEFT:
            if self._observer is not None:
                self._observer.sent(note.port, frame, note.flow, note.now)
        else:
            self._send_left_over(port, frame, note.kind)

    cdef _send_left_over(self, _Port port, frame, kind):
        # Without a thread none is counted, as none waits longer than for the end of its batch.
        self._lock()
        port.c.left_over = max(0, port.c.left_over - 1)
        self._unlock()
        if kind == TO_SEND:
            self._send(port, frame)
            return
        fitting = adapt(frame, port.device.offloads)
        if isinstance(fitting, Malformed):
            port.unsendable[fitting] = port.unsendable.get(fitting, 0) + 1
            return
        for piece in fitting:
            self._send(port, piece)

    cdef _send(self, _Port port, frame):
        answer = port.device.send(frame)
        if answer is not Sent.HELD:
            self._count(port, len(frame) - START, answer)

    cdef _count(self, _Port port, int64_t octets, answer):
        cdef int number = _ANSWERS.index(answer)
        self._lock()
        if answer is Sent.SENT:
            port.c.sent_frames += 1
            port.c.sent_bytes += octets
        else:
            port.c.lost[number] += 1
        self._unlock()
        if answer is Sent.GONE:
            self.gone.add(port.c.number)
