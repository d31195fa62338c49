"""A Python peer of the benchmark: `serve.py torch_eager|torch_compile|tensorflow_graph|jax_jit` answers JSON lines on stdin as
bench/peers/serve.ts does.

{"cmd": "open", "case", "threads"[, "weights", "feeds"]} -> {"ok", "version", "importMs", "openMs"}
{"cmd": "steps", "n"} -> {"ms": [...], "losses": [...], "rss"}, the peak of resident bytes

A full-size case names the folders of its first values, `<weights>/<variable>/out` (raw little-endian float32, its shape in `meta`), and
of its arguments, `<feeds>/0.npy`, `1.npy`, ... in the order of the job's arguments.
"""
import json, resource, sys, time
from pathlib import Path

here = Path(__file__).resolve().parent
# `formula`, which the golden runs share.
sys.path[:0] = [str(here), str(here.parent.parent / "test" / "golden")]


def load(name, threads):
    """Imports the framework and what builds its cases: (version, open_case, open_model)."""
    if name in ("torch_eager", "torch_compile"):
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        import torch_cases

        compiled = name == "torch_compile"

        def open_model(*args):
            import torch_models

            return torch_models.open_model(*args, compile=compiled)

        return torch.__version__, lambda case: torch_cases.open_case(case, compile=compiled), open_model
    if name == "tensorflow_graph":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        import tensorflow_cases

        def open_model(*args):
            import tensorflow_models

            return tensorflow_models.open_model(*args)

        return tf.__version__, tensorflow_cases.open_case, open_model
    if name == "jax_jit":
        import jax

        import jax_cases

        def open_model(*args):
            import jax_models

            return jax_models.open_model(*args)

        return jax.__version__, jax_cases.open_case, open_model
    raise SystemExit(f"serve.py: unknown peer '{name}'")


def peak_rss():
    """Bytes: the high-water mark of this process's resident memory."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def answer(message, state):
    if message["cmd"] == "open":
        case, threads = message["case"], message["threads"]
        start = time.perf_counter()
        version, open_case, open_model = load(sys.argv[1], threads)
        imported = time.perf_counter()
        if "layers" in case:
            state["step"] = open_case(case)
        else:
            state["step"] = open_model(case, threads, message["weights"], message["feeds"])
        end = time.perf_counter()
        return {"ok": True, "version": version, "importMs": (imported - start) * 1e3, "openMs": (end - imported) * 1e3}
    ms, losses = [], []
    for _ in range(message["n"]):
        start = time.perf_counter()
        losses.append(float(state["step"]()))
        ms.append((time.perf_counter() - start) * 1e3)
    return {"ms": ms, "losses": losses, "rss": peak_rss()}


def main():
    state = {}
    for line in sys.stdin:
        message = json.loads(line)
        if message["cmd"] == "close":
            break
        try:
            reply = answer(message, state)
        except Exception as error:  # the benchmark names the peer as left out, with this reason
            text = str(error).strip()
            reply = {"error": f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
