"""A checkpoint's arrays in PyTorch: JSON lines on stdin, {"cmd": "read", "path"} takes the arrays of a saved directory, variables and
slots of the optimizer apart as `state_dict()`s hold them; "save" and "load" time torch.save (with fsync) and torch.load."""
import json, os, sys, time
from pathlib import Path

import numpy as np
import torch

state = {}


def read(path):
    for name in sorted(os.listdir(path)):
        folder = Path(path) / name
        if not (folder / "out").exists() or not (folder / "meta").exists():
            continue
        meta = json.loads((folder / "meta").read_text())
        array = np.fromfile(folder / "out", meta["dtype"]).reshape(meta["shape"])
        kind = "optimizer" if name.endswith(("-m", "-v", "_t")) else "model"
        state.setdefault(kind, {})[name] = torch.from_numpy(array)


def save(path):
    with open(path, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def load(path):
    loaded = torch.load(path)
    if sorted(loaded["model"]) != sorted(state["model"]):
        raise ValueError("not the arrays that were saved")


for line in sys.stdin:
    message = json.loads(line)
    start = time.perf_counter()
    {"read": read, "save": save, "load": load}[message["cmd"]](message["path"])
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
