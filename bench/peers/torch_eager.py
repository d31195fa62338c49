"""PyTorch eager as a peer of the benchmark: JSON lines on stdin and stdout, as bench/peers/serve.ts."""
import json, sys, time
import numpy as np
import torch


def formula(tensor, length, scale):
    """As bench/cases.ts."""
    i = np.arange(length, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    h = (i * np.uint64(2654435761) + np.uint64(tensor * 40503 + 12345)) & mask
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & mask
    h ^= h >> np.uint64(13)
    return (((h % np.uint64(20001)).astype(np.float64) - 10000) / 10000 * scale).astype(np.float32)


def open_case(c, threads):
    torch.set_num_threads(threads)
    batch, shape = c["batch"], list(c["input"])
    x = formula(10, batch * int(np.prod(shape)), 1).reshape(batch, *shape)
    x = torch.tensor(np.abs(x) if c["positiveInputs"] else x)
    modules, tensor = [], 0
    for layer in c["layers"]:
        if layer["kind"] == "pool":
            modules.append(torch.nn.MaxPool2d(2, 2, ceil_mode=True))
            shape = [shape[0], -(-shape[1] // 2), -(-shape[2] // 2)]
            continue
        if layer["kind"] == "conv":
            module = torch.nn.Conv2d(shape[0], layer["filters"], layer["kernel"], padding="same")
            relu, shape = True, [layer["filters"], *shape[1:]]
        else:
            if len(shape) > 1:
                modules.append(torch.nn.Flatten())
            module = torch.nn.Linear(int(np.prod(shape)), layer["units"])
            relu, shape = layer["relu"], [layer["units"]]
        with torch.no_grad():
            for parameter in (module.weight, module.bias):
                parameter.copy_(torch.tensor(formula(tensor, parameter.numel(), c["scales"][tensor])).reshape(parameter.shape))
                tensor += 1
        modules += [module, torch.nn.ReLU()] if relu else [module]
    model = torch.nn.Sequential(*modules)
    y = torch.arange(batch) % shape[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=c["learningRate"])

    def train():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict():
        with torch.inference_mode():
            return model(x).square().sum().item()

    return train if c["mode"] == "train" else predict


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
