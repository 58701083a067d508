"""What Python describes, as the engine has it: ports, plans, keys, the table of states.

A part of `_fast`, which includes it: everything here is done once per port or per flow.
"""

cdef class _Port:
    """A device's place. `c` is what the loop sees of it."""

    cdef port_t c
    cdef object device
    cdef dict unsendable
    cdef object misses


cdef class _Plan:
    """A plan that entries share: kept while one of them has it."""

    cdef plan_t c
    cdef object plan
    cdef size_t users

    def __dealloc__(self):
        free(self.c.outputs)


cdef void _set_context(port_t *port, gateway):
    cdef const uint8_t[::1] station
    port.context.port[0], port.context.port[1] = port.number >> 8, port.number & 0xFF
    port.context.has_gateway = gateway is not None
    if gateway is not None:
        station = gateway
        memcpy(port.context.gateway, &station[0], 6)


cdef _describe_machine(engine_t *engine):
    """What the engine has to know of enumerations."""
    cdef int number, way, event
    for number in range(ERRNOS):
        engine.answer_by_errno[number] = _ANSWERS.index(sent_by_error(OSError(number, "")))
    engine.full, engine.gone = _ANSWERS.index(Sent.FULL), _ANSWERS.index(Sent.GONE)
    engine.machine.opening = _STATES.index(State.OPENING)
    engine.machine.answered = _STATES.index(State.ANSWERED)
    for number, state in enumerate(_STATES):
        for way, direction in enumerate(_DIRECTIONS):
            for event, name in enumerate(_EVENTS):
                after = TCP_TRANSITIONS.get((state, direction, name), state)
                engine.machine.after[number][way][event] = _STATES.index(after)


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


cdef _view(track_t *track):
    return Window(PyMemoryView_FromMemory(<char *>&track.window, WINDOW_BYTES, PyBUF_WRITE))


cdef _Plan _compiled(plan):
    cdef _Plan compiled = _Plan()
    cdef plan_t *c = &compiled.c
    compiled.plan = plan
    c.identity = id(plan)
    c.packet_limit = plan.packet_limit
    c.protocol = plan.protocol
    c.tracks = plan.direction is not None
    c.direction = plan.direction or 0
    c.network, c.hops = plan.network, plan.hops
    c.together = plan.piece.size - 4
    c.transport_checksum, c.zero = plan.transport_checksum, plan.zero
    c.zero_is_none, c.mss_limit = plan.zero_is_none, plan.mss_limit
    if plan.stations:
        c.has_stations = True
        memcpy(c.stations, <const char *>(<bytes>plan.stations), 12)
    if plan.apart is not None:
        c.apart, c.apart_from = plan.apart.start, plan.rest.start
        c.apart_length = plan.apart.stop - plan.apart.start
    c.reach = max(
        IP if plan.stations else 0,
        plan.network + 12 + c.together if plan.network else 0,
        c.apart + c.apart_length,
        plan.transport_checksum + 2 if plan.transport_checksum else 0,
        TRANSPORT + 20 if plan.protocol == TCP else 0,
    )
    c.outputs_count = len(plan.outputs)
    c.outputs = <uint16_t *>malloc(max(1, c.outputs_count) * sizeof(uint16_t))
    if c.outputs == NULL:
        raise MemoryError
    for number, output in enumerate(plan.outputs):
        c.outputs[<size_t>number] = output
    return compiled
