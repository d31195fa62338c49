"""Reads what write.ts wrote, and writes files for read.ts: python test/interop/check.py FOLDER"""
import hashlib
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from checks import check, finish

folder = pathlib.Path(sys.argv[1])
names = {"bool": "bool", "float16": "<f2", "float32": "<f4", "float64": "<f8", "int8": "i1", "int32": "<i4", "int64": "<i8", "uint8": "u1"}


def same(arrays, expected):
    assert sorted(arrays) == sorted(expected), f"{sorted(arrays)}, expected {sorted(expected)}"
    for name, entry in expected.items():
        array = arrays[name]
        assert array.dtype == np.dtype(names[entry["dtype"]]), f"{name} is {array.dtype}"
        assert list(array.shape) == entry["shape"], f"{name} has shape {array.shape}"
        assert array.tobytes().hex() == entry["hex"], f"{name} has other elements"


ours = json.loads((folder / "arrays.json").read_text())
check("safetensors reads our file", lambda: same(load_file(folder / "arrays.safetensors"), ours))
for name in sorted(ours):

    def lazily(name=name):
        with safe_open(folder / "arrays.safetensors", "np") as file:
            same({name: file.get_tensor(name)}, {name: ours[name]})

    check(f"safetensors gives our {name}", lazily)
with np.load(folder / "arrays.npz") as file:
    loaded = {name: file[name] for name in file.files}
check("numpy reads our npz", lambda: same(loaded, ours))


def identical():
    save_file(load_file(folder / "arrays.safetensors"), folder / "again.safetensors")
    assert (folder / "again.safetensors").read_bytes() == (folder / "arrays.safetensors").read_bytes()


check("safetensors would have written the same bytes", identical)

for path in sorted(folder.glob("*.onnx")):

    def model_is_right(path=path):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        assert [entry.domain for entry in model.opset_import] == [""], model.opset_import
        typed = {value.name for value in [*model.graph.value_info, *model.graph.output]}
        named = {output for node in model.graph.node for output in node.output if output}
        assert len(inferred.graph.node) == len(model.graph.node) and len(typed & named) > 0.5 * len(named)
        assert all(node.name for node in model.graph.node)

    def numbers_are_right(path=path):
        arrays = load_file(path.with_suffix(".safetensors"))
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (output,) = session.run(None, {"input": arrays["input"]})
        assert output.dtype == arrays["output"].dtype and output.shape == arrays["output"].shape
        size = max(1, float(np.max(np.abs(arrays["output"]))))
        worst = float(np.max(np.abs(output - arrays["output"]))) / size
        assert worst < 2e-6, f"off by {worst}"

    def tell(path=path):
        """What is in the model, for check_netron.mjs."""
        graph = onnx.load(path).graph

        def ends(values):
            types = {value.name: value.type.tensor_type for value in values}
            return {
                name: [
                    name,
                    onnx.helper.tensor_dtype_to_np_dtype(type.elem_type).name,
                    [dim.dim_value for dim in type.shape.dim],
                ]
                for name, type in types.items()
            }

        arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        told = {
            "nodes": {node.name: [node.op_type, list(filter(None, node.input))] for node in graph.node},
            "inputs": ends(graph.input),
            "outputs": ends(graph.output),
            "constants": {
                name: [array.dtype.name, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
                for name, array in arrays.items()
            },
        }
        path.with_suffix(".onnx.json").write_text(json.dumps(told))

    tell()
    check(f"onnx's full checker takes {path.name}", model_is_right)
    check(f"onnxruntime {onnxruntime.__version__} gives our numbers for {path.name}", numbers_are_right)

rng = np.random.default_rng(7)
theirs = {}
for dtype in names.values():
    for shape in [(3,), (2, 3, 4), (1,), (0, 2)]:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raw = rng.integers(0, 2 if dtype == "bool" else 64, size, dtype=np.uint8)
        theirs[f"{np.dtype(dtype).name}-{'x'.join(map(str, shape))}"] = raw.view(dtype).reshape(shape)
theirs["large-float32"] = rng.standard_normal((600, 1100)).astype("<f4")
save_file(theirs, folder / "theirs.safetensors")
np.savez(folder / "theirs.npz", **theirs)
np.savez_compressed(folder / "theirs-deflated.npz", **theirs)
np.savez(folder / "theirs-fortran.npz", **{name: np.asfortranarray(array) for name, array in theirs.items()})
spelled = {np.dtype(code): name for name, code in names.items()}
manifest = {
    name: {"dtype": spelled[array.dtype], "shape": list(array.shape), "hex": array.tobytes().hex()}
    for name, array in theirs.items()
}
(folder / "theirs.json").write_text(json.dumps(manifest))
finish()
