"""Mixed precision on GPUs. Weights stay float32; validation is float32 throughout, as a reader computes."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor


class Precision:
    """bfloat16 where the GPU computes with it, else float16 with scaled gradients; float32 on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self.dtype: torch.dtype | None = None
        self.scaler: torch.amp.GradScaler | None = None
        if device.type != "cuda":
            return
        torch.set_float32_matmul_precision("high")  # TF32 where float32 is left
        torch.backends.cudnn.benchmark = True
        self.dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        if self.dtype == torch.float16:
            self.scaler = torch.amp.GradScaler("cuda")

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cuda", self.dtype) if self.dtype else contextlib.nullcontext()

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        if self.scaler is None:
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(optimizer)
        self.scaler.update()

    def __str__(self) -> str:
        return {None: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}[self.dtype]


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """No gradients, and the same sums at every call: cuDNN neither tries algorithms out nor adds in any order."""
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield
