"""Makes the model files of the tests with Python's own libraries: python test/formats/golden/make.py (requirements: test/interop)."""
import json
import pathlib
import struct

import numpy as np
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
arrays = {
    "b": np.array([True, False, True]),
    "f2": np.array([[1.5, -2.0], [65504, 6e-8]], np.float16),
    "f4": np.array([[1.5, -2.25, np.nan], [np.inf, -np.inf, 1e-45]], np.float32),
    "f8": np.array([np.pi, -0.0, 5e-324]),
    "i1": np.array([-128, 127], np.int8),
    "i4": np.array([[-(2**31), 2**31 - 1]], np.int32),
    "i8": np.array([-(2**63), 2**63 - 1, 42], np.int64),
    "u1": np.array([[[0], [255]]], np.uint8),
    "scalar": np.array(7.5, np.float32),
    "empty": np.zeros((2, 0), np.float32),
    "layer.0/weight é": np.arange(6, dtype=np.float32).reshape(2, 3),
}
save_file(arrays, here / "every-dtype.safetensors", metadata={"format": "np"})
named = {key.replace("/", "-").replace(" é", ""): value for key, value in arrays.items()}
np.savez(here / "every-dtype.npz", **named)
np.savez_compressed(here / "deflated.npz", **named)
np.savez(
    here / "fortran.npz",
    matrix=np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    cube=np.asfortranarray(np.arange(24, dtype=np.int64).reshape(2, 3, 4)),
    row=np.asfortranarray(np.arange(4, dtype=np.int8).reshape(1, 4)),
)
# numpy has no bfloat16: 1, -2, and the largest number below 1.
header = json.dumps({"x": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
header += b" " * (-len(header) % 8)
(here / "bfloat16.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes.fromhex("803f00c07f3f"))
