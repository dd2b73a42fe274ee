"""Several processes that train one model: each takes its share of every batch."""

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.trainer.network import Network

# Ranks start and read the data at their own pace; one that died is noticed by the server, which stops the others.
PATIENCE = timedelta(minutes=10)


class Ranks:
    """This process among its peers, by RANK, WORLD_SIZE and LOCAL_RANK of the environment; alone without them."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", 0))
        self.count = int(os.environ.get("WORLD_SIZE", 1))
        self.local = int(os.environ.get("LOCAL_RANK", self.rank))
        self.is_alone = self.count == 1
        self.device = self._device()
        self._control: distributed.ProcessGroup | None = None
        self._asked: tuple[Tensor, distributed.Work] | None = None

    def _device(self) -> torch.device:
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", self.local % torch.cuda.device_count())

    def join(self) -> None:
        """Returns when all ranks are there."""
        if self.is_alone:
            return
        if os.environ.get("MASTER_ADDR") in ("127.0.0.1", "localhost"):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the machine's own name may lead nowhere
        has_own_gpu = self.device.type == "cuda" and self.count <= torch.cuda.device_count()
        distributed.init_process_group("nccl" if has_own_gpu else "gloo", timeout=PATIENCE)
        # Asking whether to stop must not wait for a GPU.
        self._control = distributed.new_group(backend="gloo", timeout=PATIENCE)

    def leave(self) -> None:
        """Returns when all ranks are here: one that ends with a question under way makes its peers abort."""
        if self._control is None:
            return
        if self._asked is not None:
            self._asked[1].wait()
        distributed.barrier(group=self._control)
        distributed.destroy_process_group()

    def wrap(self, network: Network) -> nn.Module:
        """The network to call in training. Statistics of batches stay each rank's own until `average`."""
        if self.is_alone:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, forward_sync_buffers=False)

    def shares(self, rows: Tensor, batch_size: int) -> Sequence[Tensor]:
        """This rank's part of each batch; empty when the last batch has fewer samples than there are ranks."""
        batches: tuple[Tensor, ...] = torch.split(rows, batch_size) if len(rows) else ()
        return batches if self.is_alone else [batch[self.rank :: self.count] for batch in batches]

    def sum(self, values: Tensor) -> None:
        """Over all ranks, in place."""
        if not self.is_alone:
            distributed.all_reduce(values)

    def average(self, network: Network) -> None:
        """Running statistics of all ranks, so that every rank has the model that is saved."""
        if self.is_alone:
            return
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.running_mean, module.running_var):
                    assert values is not None
                    distributed.all_reduce(values)
                    values /= self.count

    def as_the_first(self, *, answer: bool) -> bool:
        """Rank 0's answer, on every rank: clocks differ, and what all ranks do together all must do."""
        if self.is_alone:
            return answer
        told = torch.tensor(int(answer))
        distributed.broadcast(told, 0, group=self._control)
        return bool(told.item())

    def agree(self, *, wants_to_stop: bool) -> bool:
        """Whether any rank wanted to stop one batch ago; the same answer on every rank, without waiting for it."""
        if self.is_alone:
            return wants_to_stop
        answer = False
        if self._asked is not None:
            wanted, work = self._asked
            work.wait()
            answer = bool(wanted.item())
        wanted = torch.tensor(int(wants_to_stop))
        work = distributed.all_reduce(wanted, group=self._control, async_op=True)
        assert work is not None
        self._asked = (wanted, work)
        return answer
