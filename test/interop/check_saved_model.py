"""Loads what write.ts exported with TensorFlow's Python package: python test/interop/check_saved_model.py FOLDER"""
import hashlib
import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file
from tensorflow.core.protobuf import saved_model_pb2

from checks import check, finish

folder = pathlib.Path(sys.argv[1])


def signature_of(loaded, inputs, outputs):
    assert list(loaded.signatures) == ["serving_default"], list(loaded.signatures)
    _, specs = loaded.signatures["serving_default"].structured_input_signature
    for given, arrays in ((specs, inputs), (loaded.signatures["serving_default"].structured_outputs, outputs)):
        found = {name: (spec.dtype.as_numpy_dtype, tuple(spec.shape)) for name, spec in given.items()}
        assert found == {name: (array.dtype.type, array.shape) for name, array in arrays.items()}, found


def numbers_of(loaded, inputs, outputs):
    results = loaded.signatures["serving_default"](**{name: tf.constant(array) for name, array in inputs.items()})
    assert sorted(results) == sorted(outputs), sorted(results)
    for name, expected in outputs.items():
        got = results[name].numpy()
        assert got.dtype == expected.dtype and got.shape == expected.shape, f"{name} is {got.dtype}{got.shape}"
        worst = np.max(np.abs(got - expected))
        assert worst <= (1e-5 if got.dtype.kind == "f" else 0), f"{name} is off by {worst}"
        assert np.ptp(expected) > 0, f"{name} tells nothing: every element is equal"


def tell(path):
    """What is in the model, for check_netron.mjs."""
    (meta,) = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs
    (signature,) = meta.signature_def.values()

    def ends(values):
        return {
            name: [value.name.removesuffix(":0"), tf.as_dtype(value.dtype).name, [dim.size for dim in value.tensor_shape.dim]]
            for name, value in values.items()
        }

    constants = {
        node.name: tf.make_ndarray(node.attr["value"].tensor) for node in meta.graph_def.node if node.op == "Const"
    }
    told = {
        "nodes": {node.name: [node.op, list(node.input)] for node in meta.graph_def.node if node.op != "Const"},
        "inputs": ends(signature.inputs),
        "outputs": ends(signature.outputs),
        "constants": {
            name: [array.dtype.name, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
            for name, array in constants.items()
        },
    }
    pathlib.Path(f"{path}.json").write_text(json.dumps(told))


for path in sorted(folder.glob("*.saved_model")):
    tell(path)
    inputs, outputs = (load_file(path.with_suffix(f".{part}.safetensors")) for part in ("inputs", "outputs"))
    loaded = tf.saved_model.load(str(path))
    check(f"TensorFlow {tf.__version__} finds {path.name}'s signature", lambda: signature_of(loaded, inputs, outputs))
    check(f"TensorFlow {tf.__version__} gives our numbers for {path.name}", lambda: numbers_of(loaded, inputs, outputs))
finish()
