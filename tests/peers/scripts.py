"""Training scripts as users of the original library have them: nothing in them knows of this server."""

# Logs, waits until the file `go` is there, logs the rest.
TRAINING = """
import os, sys, time
import numpy as np
import runicorn as rn

run = rn.init(project="vision", name="resnet")
run.set_primary_metric("acc", mode="max")
run.log({"loss": 2.0, "acc": 0.1}, stage="warmup")
run.log_text("warming up")
print("printed", run.id, flush=True)
go = sys.argv[1]
while not os.path.exists(go):
    time.sleep(0.05)
for step in range(2, 51):
    run.log({"loss": 2.0 / step, "acc": step / 100, "lr": float("nan")}, step=step, stage="train")
run.log_image("sample", np.zeros((8, 8, 3), dtype=np.uint8), step=50, caption="black")
run.summary({"notes": "as expected"})
run.log_text("done")
run.finish()
"""

# Over before anybody looks, and twice in one process.
SHORT = """
import runicorn as rn
for name in ("first", "second"):
    run = rn.init(project="vision", name=name)
    run.log({"loss": 0.5}, step=1 if name == "first" else 2)
    run.finish()
print(run.run_dir)
"""
