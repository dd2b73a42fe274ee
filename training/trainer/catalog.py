"""What the trainer can do, by name, and what fits which data. Imported by the server too, so never with torch."""

from collections.abc import Sequence

# name -> does it need images?
ARCHITECTURES = {
    "mlp": False,
    "simple_cnn": True,
    "lenet5": True,
    "resnet18": True,
    "resnet34": True,
    "resnet50": True,
    "vgg11": True,
    "vgg16": True,
}
OPTIMIZERS = ("adam", "sgd", "rmsprop", "adamw")
LOSS_FUNCTIONS = ("cross_entropy", "mse", "mae", "bce")
REGRESSION_LOSSES = ("mse", "mae")
SMALLEST_SIDE = 8
# EX_IOERR of sysexits.h: it failed and could not write down why, on a full disk for example.
UNTOLD_EXIT_CODE = 74


def objection(
    architecture: str, loss_function: str, *, input_shape: Sequence[int], target: str, class_count: int | None
) -> str:
    """Why this architecture or loss cannot be trained on such samples; empty when it can.

    `input_shape` and `target` as in registry.datasets.facts.
    """
    if ARCHITECTURES[architecture]:
        if len(input_shape) != 3:
            return f"{architecture} needs images; a sample is a row of {input_shape[0]} numbers: use mlp"
        if min(input_shape[:2]) < SMALLEST_SIDE:
            size = "x".join(map(str, input_shape[:2]))
            return f"{architecture} needs images of at least {SMALLEST_SIDE}x{SMALLEST_SIDE}; these are {size}"
    return loss_objection(loss_function, target, class_count)


def loss_objection(loss_function: str, target: str, class_count: int | None) -> str:
    classes = f"{class_count} classes"
    if loss_function in ("cross_entropy", "bce"):
        if target == "numbers":
            return f"{loss_function} needs classes; the target is a number: use mse or mae"
        if loss_function == "bce" and class_count != 2:
            return f"bce needs two classes; the target has {classes}: use cross_entropy"
        if class_count is None or class_count < 2:
            return f"{loss_function} needs at least two classes; the target has {class_count or 0}"
        return ""
    if target == "classes":
        return f"{loss_function} needs a target that is a number; the target has {classes}: use cross_entropy"
    return ""
