"""PyTorch eager as a peer of the benchmark: JSON lines on stdin and stdout, as bench/peers/serve.ts."""
import json, sys, time
import numpy as np
import torch

CASES = {
    "mlp": dict(widths=[784, 512, 10], batch=100, lr=0.1, scales=[0.05, 0.01, 0.1, 0.01], positive=True),
    "tiny": dict(widths=[4, 8, 2], batch=8, lr=0.1, scales=[0.5, 0.1, 0.5, 0.1], positive=False),
}


def formula(tensor, length, scale):
    """As bench/cases.ts."""
    i = np.arange(length, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    h = (i * np.uint64(2654435761) + np.uint64(tensor * 40503 + 12345)) & mask
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & mask
    h ^= h >> np.uint64(13)
    return (((h % np.uint64(20001)).astype(np.float64) - 10000) / 10000 * scale).astype(np.float32)


def open_case(name, threads):
    torch.set_num_threads(threads)
    c = CASES[name]
    widths = c["widths"]
    x = formula(10, c["batch"] * widths[0], 1).reshape(c["batch"], widths[0])
    x = torch.tensor(np.abs(x) if c["positive"] else x)
    y = torch.arange(c["batch"]) % widths[-1]
    layers = []
    for k, (a, b) in enumerate(zip(widths, widths[1:])):
        layer = torch.nn.Linear(a, b)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(formula(2 * k, a * b, c["scales"][2 * k]).reshape(b, a)))
            layer.bias.copy_(torch.tensor(formula(2 * k + 1, b, c["scales"][2 * k + 1])))
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=c["lr"])

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


step = None
for line in sys.stdin:
    message = json.loads(line)
    if message["cmd"] == "close":
        break
    if message["cmd"] == "open":
        step = open_case(message["case"], message["threads"])
        answer = {"ok": True, "version": torch.__version__}
    else:
        ms, losses = [], []
        for _ in range(message["n"]):
            start = time.perf_counter()
            losses.append(step())
            ms.append((time.perf_counter() - start) * 1e3)
        answer = {"ms": ms, "losses": losses}
    print(json.dumps(answer), flush=True)
