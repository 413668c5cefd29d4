import copy
import ctypes
import platform

import pytest
import torch

from cleanplate.memory import copy_of, empty, keep_freed, zeros

CPU = torch.device("cpu")
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SHAPES = [(0, 3), (2, 3), (1, 700, 700, 3)]
FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_behaves_like_a_tensor_of_torch(shape, dtype):
    made = empty(shape, dtype, CPU)
    assert (made.shape, made.dtype, made.device) == (shape, dtype, CPU)
    assert made.is_contiguous()
    assert not made.requires_grad
    made.fill_(0.25).add_(0.5)
    twin = copy.deepcopy(made)
    made.zero_()
    assert torch.equal(twin, torch.full(shape, 0.75, dtype=dtype))
    made.requires_grad_()
    made.sum().backward()
    assert torch.equal(made.grad, torch.ones(shape, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_copy_is_contiguous_and_apart(dtype):
    picture = torch.rand(1, 720, 700, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    for part in (picture, picture[:, 5:, :600], picture.expand(2, -1, -1, -1)):
        before = part.clone()
        made = copy_of(part)
        assert made.dtype == dtype
        assert made.is_contiguous()
        assert torch.equal(made, before)
        made.fill_(0.5)
        assert torch.equal(part, before)


def test_memory_outlives_the_call_that_asked_for_it():
    parts = [empty((1, 1100, 1000), torch.float32, CPU).fill_(i)[:, 100:] for i in range(3)]
    assert [(float(p.min()), float(p.max())) for p in parts] == [(0, 0), (1, 1), (2, 2)]


def test_zeros_are_zero_and_writable():
    made = zeros((3, 700, 600), CPU)
    assert not made.any()
    made[1] = 1
    assert float(made.sum()) == 700 * 600


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
    kept = torch.empty(31 << 20, dtype=torch.uint8)
    assert blocks_of_their_own() == before
    del kept
