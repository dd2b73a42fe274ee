#!/usr/bin/env python3
"""Train a small convolutional network on scikit-learn's handwritten digits (1,797 images of 8x8 pixels).

    python examples/train_digits.py --epochs 40 --lr 0.003 --batch-size 64 --seed 0

Prints one line per epoch and the accuracy on a fifth of the images that training never saw. In a task of the server it
logs both as metrics, too. It is polite: lowest CPU priority and one thread. Uses a GPU when PyTorch finds one.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

STOPPED = 128 + signal.SIGTERM


def stop(number: int, frame: FrameType | None) -> None:
    print("stopped by SIGTERM", flush=True)
    sys.exit(STOPPED)


signal.signal(signal.SIGTERM, stop)  # before the imports, which take seconds
os.nice(19)
# Before numpy and torch are imported: their thread pools are sized at import.
for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

import torch  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from torch import nn  # noqa: E402


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_images, test_images, train_labels, test_labels = load(arguments.seed, device)
    print(f"training on {len(train_images)} images, validating on {len(test_images)}, device {device}", flush=True)
    model = make_model().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr)
    log = metric_log()
    accuracy, started = 0.0, time.monotonic()
    for epoch in range(1, arguments.epochs + 1):
        loss = train_epoch(model, optimizer, train_images, train_labels, arguments.batch_size)
        accuracy = measure(model, test_images, test_labels)
        print(f"epoch {epoch}/{arguments.epochs} loss {loss:.4f} validation accuracy {accuracy:.4f}", flush=True)
        log({"loss": loss, "accuracy": accuracy}, step=epoch)
    seconds = time.monotonic() - started
    print(f"final validation accuracy {accuracy:.4f} after {arguments.epochs} epochs in {seconds:.1f} s", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a small network on scikit-learn's digits.")
    parser.add_argument("--epochs", type=positive(int), default=40)
    parser.add_argument("--lr", type=positive(float), default=0.003, help="learning rate of Adam")
    parser.add_argument("--batch-size", type=positive(int), default=64)
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same numbers on the same machine")
    return parser.parse_args()


def positive(kind: type):
    def read(text: str):
        value = kind(text)
        if not value > 0:
            raise ValueError
        return value

    read.__name__ = f"positive {kind.__name__}"  # what argparse calls it when it refuses a value
    return read


def metric_log() -> Callable[..., None]:
    """`log` of the server's client, which is on the path of every task; elsewhere nothing is recorded."""
    if "MLSERVER_RUN_ID" not in os.environ:
        return lambda data, step: None
    import mlserver_client

    run = mlserver_client.init()
    run.set_primary_metric("accuracy")
    return run.log


def load(seed: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Training and validation images (n, 1, 8, 8) in 0..1 and their labels (n,)."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    parts = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=seed)
    return tuple(part.to(device) for part in parts)


def make_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(64 * 4 * 4, 10),
    )


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor, batch_size: int
) -> float:
    """One pass over the images in a new order; returns the mean loss."""
    model.train()
    total = 0.0
    for batch in torch.randperm(len(images), device=images.device).split(batch_size):
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(images)


@torch.no_grad()
def measure(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images whose digit the model names right."""
    model.eval()
    return (model(images).argmax(1) == labels).float().mean().item()


if __name__ == "__main__":
    main()
