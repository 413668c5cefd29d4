import platform
import resource

import pytest
import torch

from cleanplate.memory import keep_freed


def pages_of_a_fresh_tensor():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(6 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do as they like")
def test_freed_memory_serves_the_next():
    keep_freed()
    pages_of_a_fresh_tensor()
    # 24 MiB are 6144 pages.
    assert pages_of_a_fresh_tensor() < 1000
