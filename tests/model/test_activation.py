"""GELU and its gradient are torch's; and no code is compiled for each size that is met."""

import re
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from model.activation import APPROXIMATIONS, Gelu, gelu_backward


@pytest.mark.parametrize("hidden_act", APPROXIMATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_gradient_is_that_of_torch(hidden_act, dtype):
    torch.manual_seed(0)
    ours = torch.randn(7, 65, dtype=dtype, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    weights = torch.randn(7, 65, dtype=dtype)
    found = Gelu(hidden_act)(ours)
    expected = F.gelu(theirs, approximate=APPROXIMATIONS[hidden_act])
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert torch.backends.mkldnn.enabled == torch.backends.mkldnn.is_available()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells anonymous memory")
def test_sizes_that_differ_leave_nothing_behind():
    def anonymous_mb() -> float:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1000

    before = anonymous_mb()
    for count in range(1000, 1060):
        gelu_backward(torch.ones(count, 64), torch.ones(count, 64), "none")
    assert anonymous_mb() - before < 60  # oneDNN: 2.3 MB for each
