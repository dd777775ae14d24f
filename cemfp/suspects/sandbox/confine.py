"""Rights that a process gives up for good, before it opens a stranger's file.

The standard library alone is imported: the rules bind the threads that exist, and those that come.
Everything works without privileges. Linux on x86-64 and 64-bit ARM; elsewhere only limits hold.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
from collections.abc import Sequence
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2

# Landlock: system calls, the same everywhere, and the rights on files that change something.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_WRITES = sum(1 << bit for bit in (1, *range(4, 15)))
_LEAST_VERSION = 3  # Linux 6.2; before it, any file could be cut off
_TCP, _SCOPES = (4, 0b11), (6, 0b11)

# Seccomp: who calls for these gets "not permitted". Files' contents are Landlock's.
_CLONE, _CLONE3, _THREAD = "clone", "clone3", 0x10000
_NUMBERS: dict[str, tuple[int, dict[str, int], Sequence[int]]] = {
    "x86_64": (
        0xC000003E,
        {_CLONE: 56, _CLONE3: 435},
        (
            *(41, 42, 43, 44, 46, 49, 50, 53, 288, 307),  # sockets
            *(57, 58, 59, 322),  # fork, vfork, execve, execveat
            *(62, 129, 200, 297, 424),  # signals to others
            *(101, 310, 311),  # other processes' memory
            *(155, 161, 165, 166, 272, 308),  # mounts, roots, namespaces
            *(29, 64, 68),  # System V's shared memory, semaphores, messages
            *(169, 175, 176, 246, 167, 298, 304, 313, 321, 323),  # the kernel itself
            *(248, 249, 250, 425, 426, 427),  # keys; io_uring, which passes by these rules
            *(90, 91, 92, 93, 94, 260, 268, 452),  # files' modes and owners,
            *(132, 235, 261, 280, 188, 189, 190, 197, 198, 199, 463, 466),  # times, attributes
        ),
    ),
    "aarch64": (
        0xC00000B7,
        {_CLONE: 220, _CLONE3: 435},
        (
            *(198, 199, 200, 201, 202, 203, 206, 211, 242, 269),
            *(221, 281),
            *(129, 130, 138, 240, 424),
            *(117, 270, 271),
            *(39, 40, 41, 51, 97, 268),
            *(186, 190, 194),
            *(104, 105, 106, 142, 224, 241, 265, 273, 280, 282),
            *(217, 218, 219, 425, 426, 427),
            *(52, 53, 54, 55, 452),
            *(88, 5, 6, 7, 14, 15, 16, 463, 466),
        ),
    ),
}
_ALLOW, _REFUSE, _NO_SUCH_CALL, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


def limit(memory: int, seconds: int, file_bytes: int, files: int) -> None:
    """Bound address space in bytes, processor seconds, bytes of a file, and open files."""
    bounds = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: files,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        hard = resource.getrlimit(kind)[1]
        most = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (most, most))


def only_write_in(folder: Path) -> bool:
    """Refuse to write, make, move or remove files outside `folder`; return whether that holds."""
    version = _call(_CREATE, None, 0, 1)
    if version < _LEAST_VERSION:
        return False
    rules = struct.pack("=Q", _WRITES)
    for since, bits in (_TCP, _SCOPES):
        rules += struct.pack("=Q", bits) if version >= since else b""
    handle = _call(_CREATE, rules, len(rules), 0)
    if handle < 0:
        return False
    try:
        for path, allowed in ((str(folder), _WRITES), (os.devnull, 1 << 1)):
            with contextlib.closing(_Opened(path)) as opened:
                beneath = struct.pack("=Qi", allowed, opened.number)
                if _call(_ADD, handle, 1, beneath, 0) < 0:
                    return False
        return _no_new_privileges() and _call(_RESTRICT, handle, 0) == 0
    finally:
        os.close(handle)


def no_others() -> bool:
    """Refuse sockets, new processes, what reaches others, and changes of files' modes and owners.

    Returns whether that holds. Threads stay allowed. To be called while the process has one thread.
    """
    known = _NUMBERS.get(platform.machine())
    if known is None or struct.calcsize("P") != 8:
        return False
    program = _program(*known)
    code = b"".join(struct.pack("=HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a count, padded to the pointer's alignment, and the pointer.
    head = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    return _no_new_privileges() and _LIBC.prctl(_SET_SECCOMP, _FILTER, head, 0, 0) == 0


def _program(
    machine: int, names: dict[str, int], refused: Sequence[int]
) -> list[tuple[int, int, int, int]]:
    """Return the filter's steps (code, jump if true, jump if false, value)."""
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    # Numbers of the 32-bit ABI of x86-64 would be other calls.
    steps += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _REFUSE)]
    # libc then makes threads by `clone`, whose flags can be looked at.
    steps += [(_EQUAL, 0, 1, names[_CLONE3]), (_RETURN, 0, 0, _NO_SUCH_CALL)]
    for number in refused:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    steps += [(_EQUAL, 0, 3, names[_CLONE]), (_LOAD, 0, 0, 16)]
    steps += [(_ANY_BIT, 1, 0, _THREAD), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return steps


def _no_new_privileges() -> bool:
    return bool(_LIBC.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0)


def _call(number: int, *arguments: int | bytes | None) -> int:
    passed = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return int(_LIBC.syscall(ctypes.c_long(number), *passed))


class _Opened:
    """A path as a number that stands for it."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_PATH | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.number)
