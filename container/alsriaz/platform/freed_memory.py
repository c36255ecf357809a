"""Freed memory, which the C library likes to keep for later, given back to the system.

Source: mallopt(3), malloc_trim(3). Other C libraries than glibc have no such functions, and keep less.
"""

import ctypes
import gc

_LIBC = ctypes.CDLL(None)
_ARENA_MAX = -8  # <malloc.h>


def share_one_arena() -> None:
    """Let all threads that begin from now on take memory from one place, all of which `give_memory_back` reaches.

    It doesn't reach the end of a thread's own arena, which grows to twice the largest array that was ever freed there,
    64 MB at most, for each thread. Python's lock lets few threads allocate at a time anyway.
    """
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_ARENA_MAX, 1)


def give_memory_back() -> None:
    """Return freed memory to the system."""
    gc.collect()
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
