"""The cases of layers in PyTorch, eager or through torch.compile."""
import numpy as np
import torch
from formula import formula


def open_case(c, compile):
    """A step of the case: training gives the loss before the update, inference the sum of squared logits."""
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
                values = formula(tensor, parameter.numel(), c["scales"][tensor])
                parameter.copy_(torch.tensor(values).reshape(parameter.shape))
                tensor += 1
        modules += [module, torch.nn.ReLU()] if relu else [module]
    model = torch.nn.Sequential(*modules)
    y = torch.arange(batch) % shape[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=c["learningRate"])
    forward = torch.compile(model) if compile else model

    def train():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict():
        with torch.inference_mode():
            return forward(x).square().sum().item()

    return train if c["mode"] == "train" else predict
