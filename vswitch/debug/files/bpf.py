"""The filter language that people know from tcpdump, compiled and run by libpcap itself.

Theory of operation. libpcap is called through ctypes: a handle that captures nothing
(pcap_open_dead) says that frames are Ethernet, pcap_compile makes a program of the text, and
pcap_offline_filter runs it on a frame (pcap-filter(7), pcap_compile(3PCAP)). The library comes with
tcpdump; without it a `Filter` can not be made, and that is told in one line, as is a filter that
libpcap refuses, in its own words.

Compiling may ask name servers (`host www.example.org`), so it takes as long as they do. Running
never waits: it is called with the interpreter's lock held, because letting go of that would cost
more than the program.
"""

from __future__ import annotations

import ctypes
from typing import Any

from vswitch.debug.choices import WHOLE_FRAMES
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH

LIBRARIES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
"""The name of Debian and Ubuntu, that of everybody else, and that of a development package."""

_ETHERNET = 1  # DLT_EN10MB
_OPTIMIZED = 1
_NETMASK_UNKNOWN = 0xFFFFFFFF  # PCAP_NETMASK_UNKNOWN: "ip broadcast" is refused


class FilterError(ValueError):
    """A filter that can not be had. The text is one line for the user."""


class _Program(ctypes.Structure):
    """struct bpf_program."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class _PacketHeader(ctypes.Structure):
    """struct pcap_pkthdr: a time that no filter looks at, and the two lengths."""

    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("captured", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


class Filter:
    """A compiled filter. Raises `FilterError` where there is none to be had."""

    def __init__(self, text: str) -> None:
        if "\0" in text:
            raise FilterError("the filter has a zero byte in it")
        library, self._run = _library()
        self._free = library.pcap_freecode
        self._program = _Program()
        self._header = _PacketHeader()
        self._arguments = (ctypes.byref(self._program), ctypes.byref(self._header))
        handle = library.pcap_open_dead(_ETHERNET, WHOLE_FRAMES)
        if not handle:
            raise FilterError("libpcap has no memory for a filter")
        try:
            refused = library.pcap_compile(
                handle, self._arguments[0], text.encode(), _OPTIMIZED, _NETMASK_UNKNOWN
            )
            if refused:
                raise FilterError(f"filter {text!r}: {_words(library.pcap_geterr(handle))}")
        finally:
            library.pcap_close(handle)

    def matches(self, frame: Buffer, original_length: int) -> bool:
        """Whether the filter takes `frame`, which begins with its virtio-net header.

        `original_length` is that of the Ethernet frame, of which `frame` may hold only the
        beginning. A filter that looks beyond what is there does not take it.
        """
        ethernet = bytes(frame[HEADER_LENGTH:])
        self._header.captured, self._header.length = len(ethernet), original_length
        return bool(self._run(*self._arguments, ethernet))

    def __del__(self) -> None:
        if hasattr(self, "_program"):
            self._free(ctypes.byref(self._program))


def _library() -> tuple[ctypes.CDLL, Any]:
    """libpcap, and its pcap_offline_filter for calls that hold the interpreter's lock."""
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            holding_the_lock = ctypes.PyDLL(name)
        except OSError:
            continue
        library.pcap_open_dead.restype = ctypes.c_void_p
        library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
        library.pcap_compile.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_uint32,
        ]
        library.pcap_geterr.restype = ctypes.c_char_p
        library.pcap_geterr.argtypes = [ctypes.c_void_p]
        library.pcap_close.restype = None
        library.pcap_close.argtypes = [ctypes.c_void_p]
        library.pcap_freecode.restype = None
        library.pcap_freecode.argtypes = [ctypes.c_void_p]
        run = holding_the_lock.pcap_offline_filter
        run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p]
        return library, run
    raise FilterError("a filter needs libpcap, which is not here (apt-get install libpcap0.8)")


def _words(said: bytes) -> str:
    return " ".join(said.decode(errors="replace").split())
