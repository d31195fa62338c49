"""python check_onnx.py FILE...: onnx.checker with full_check and strict shape inference on each file; exit 1 at a failure."""
import sys

import onnx

if len(sys.argv) < 2:
    sys.exit("usage: python check_onnx.py FILE...")
failed = False
for path in sys.argv[1:]:
    try:
        onnx.checker.check_model(path, full_check=True)  # by path: external data is found, models above 2 GB pass
        model = onnx.load(path, load_external_data=False)
        try:
            onnx.checker.check_model(model, full_check=True)
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        except ValueError as error:
            if "exceeds maximum protobuf size" not in str(error):
                raise
        opsets = ",".join(f"{entry.domain or 'ai.onnx'}:{entry.version}" for entry in model.opset_import)
        print(f"ok {path} nodes={len(model.graph.node)} opset={opsets}", flush=True)
    except Exception as error:  # every file gets its line
        failed = True
        print(f"FAILED {path}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
sys.exit(1 if failed else 0)
