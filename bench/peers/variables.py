"""The variables of a checkpoint in OneFlow's layout."""
import json
from pathlib import Path

import numpy as np


def variable(folder, name):
    """The values of `<folder>/<name>`, in the shape that its `meta` says."""
    meta = json.loads((Path(folder) / name / "meta").read_text())
    values = np.fromfile(Path(folder) / name / "out", dtype=np.dtype(meta["dtype"]).newbyteorder("<"))
    return values.reshape(meta["shape"])


def trained(folder):
    """Names of the variables that a model's optimizer changes: those that have a slot of momentum or of Adam's."""
    names = {path.name for path in Path(folder).iterdir()}
    return sorted(name for name in names if f"{name}-momentum" in names or f"{name}-m" in names)


def feeds(folder):
    """The arguments of the job."""
    return [np.load(path) for path in sorted(Path(folder).glob("*.npy"), key=lambda path: int(path.stem))]
