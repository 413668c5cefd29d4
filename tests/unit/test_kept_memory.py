import ctypes
import platform

import pytest
import torch

from cleanplate.memory import keep_freed

FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc 2.33 and later."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in FIELDS.split())


def blocks_of_their_own():
    """Blocks that go back to the system when they are freed."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Mallinfo
    return ask().hblks


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="other C libraries do as they like",
)
def test_layers_of_up_to_32_mib_are_kept():
    keep_freed()
    before = blocks_of_their_own()
    kept = torch.empty(31 << 18)
    assert blocks_of_their_own() == before
    large = torch.empty(33 << 18)
    assert blocks_of_their_own() == before + 1
    del kept, large
