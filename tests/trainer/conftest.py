"""Every test of the trainer computes on one thread: results to the last bit depend on their number."""

import signal
import warnings
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MLSERVER_RUN_DIR", raising=False)
    before, show = signal.getsignal(signal.SIGTERM), warnings.showwarning
    torch.set_num_threads(1)
    yield
    signal.signal(signal.SIGTERM, before)
    warnings.showwarning = show
