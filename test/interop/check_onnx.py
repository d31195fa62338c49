"""Runs the onnx package's full checker on models: python test/interop/check_onnx.py FILE..."""
import sys
import onnx

failed = not sys.argv[1:]
for path in sys.argv[1:]:
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
        print(f"ok {path}: {len(model.graph.node)} nodes, {opsets}")
    except Exception as error:
        failed = True
        print(f"FAIL {path}: {error}")
sys.exit(1 if failed else 0)
