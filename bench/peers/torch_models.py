"""The full-size models in PyTorch, as its users write them: modules, fused attention, the optimizers of torch.optim.

First values come from a checkpoint in OneFlow's layout, so that losses can be compared. Dropout is off, as in the jobs they stand beside.
"""
import torch
from torch import nn
from torch.nn import functional as F

import variables


class Checkpoint:
    """The variables of a directory by their names."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name):
        return torch.from_numpy(variables.variable(self.folder, name))

    @torch.no_grad()
    def fill(self, module, name, names=("weight", "bias"), transposed=False):
        """Copies `<name>-<part>` into each of a module's parameters `weight` and `bias`."""
        for parameter, part in zip((module.weight, module.bias), names):
            if parameter is not None:
                value = self(f"{name}-{part}")
                parameter.copy_(value.T if transposed and value.ndim == 2 else value)
        return module


def batch_normalization(checkpoint, channels, name):
    module = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)
    return checkpoint.fill(module, name, ("gamma", "beta"))


class Bottleneck(nn.Module):
    """A block of ResNet50 v1.5: the stride is on the 3 x 3 convolution."""

    def __init__(self, checkpoint, name, inputs, inner, stride, first):
        super().__init__()

        def conv(branch, channels, filters, kernel, stride):
            module = nn.Conv2d(channels, filters, kernel, stride, padding=kernel // 2, bias=False)
            checkpoint.fill(module, f"{name}_{branch}")
            return nn.Sequential(module, batch_normalization(checkpoint, filters, f"{name}_{branch}_bn"))

        self.shortcut = conv("branch1", inputs, 4 * inner, 1, stride) if first else nn.Identity()
        self.a = conv("branch2a", inputs, inner, 1, 1)
        self.b = conv("branch2b", inner, inner, 3, stride)
        self.c = conv("branch2c", inner, 4 * inner, 1, 1)

    def forward(self, x):
        y = F.relu(self.a(x), inplace=True)
        y = F.relu(self.b(y), inplace=True)
        return F.relu(self.c(y) + self.shortcut(x), inplace=True)


def resnet50(checkpoint):
    """examples/models/resnet.ts. `SAME` puts the odd pixel before, so with these sizes it is padding by half the kernel."""
    stem = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
    layers = [
        checkpoint.fill(stem, "Resnet-conv1"),
        batch_normalization(checkpoint, 64, "Resnet-conv1_bn"),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, padding=1),
    ]
    inputs = 64
    for stage, count in enumerate((3, 4, 6, 3)):
        inner = 64 * 2**stage
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            layers.append(Bottleneck(checkpoint, f"Resnet-res{stage + 2}_{i}", inputs, inner, stride, i == 0))
            inputs = 4 * inner
    dense = checkpoint.fill(nn.Linear(inputs, 1000), "Resnet-fc1001")
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense)


def alexnet(checkpoint):
    """examples/models/alexnet.ts."""
    layers, inputs = [], 3
    for n, filters, kernel, stride in ((1, 64, 11, 4), (2, 192, 5, 1), (3, 384, 3, 1), (4, 384, 3, 1), (5, 256, 3, 1)):
        conv = nn.Conv2d(inputs, filters, kernel, stride, padding=kernel // 2 if stride == 1 else 0)
        layers += [checkpoint.fill(conv, f"conv{n}"), nn.ReLU(inplace=True)]
        if n in (1, 2, 5):
            layers.append(nn.AvgPool2d(3, 2))
        inputs = filters
    weights = [checkpoint(f"fc{n}-weight") for n in (1, 2, 3)]
    layers.append(nn.Flatten())
    for n, weight in enumerate(weights, 1):
        layers.append(checkpoint.fill(nn.Linear(weight.shape[1], weight.shape[0], bias=n < 3), f"fc{n}"))
        if n < 3:
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def convolutional(model, feeds, penalty, compile):
    """The step of `trainNet`: label smoothing 0.1, momentum 0.9 at a rate of 0.01, `penalty` times each parameter in its gradient."""
    images, labels = feeds
    labels = labels.long()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=penalty)
    forward = torch.compile(model) if compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(forward(images), labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


class EncoderLayer(nn.Module):
    """One block of BERT: attention, then two dense layers, each added to its input and normalized."""

    def __init__(self, checkpoint, name, width, heads):
        super().__init__()
        self.heads = heads

        def dense(part):
            weight = checkpoint(f"{name}-{part}-weight")
            return checkpoint.fill(nn.Linear(*weight.shape), f"{name}-{part}", transposed=True)

        def norm(part):
            return checkpoint.fill(nn.LayerNorm(width, eps=1e-5), f"{name}-{part}", ("gamma", "beta"))

        self.query, self.key, self.value = (dense(f"attention-self-{part}") for part in ("query", "key", "value"))
        self.attended, self.attended_norm = dense("attention-output-dense"), norm("attention-output-LayerNorm")
        self.wide, self.output, self.output_norm = dense("intermediate-dense"), dense("output-dense"), norm("output-LayerNorm")

    def forward(self, x, mask):
        batch, tokens, width = x.shape

        def heads_of(projected):
            return projected.view(batch, tokens, self.heads, -1).transpose(1, 2)

        context = F.scaled_dot_product_attention(
            heads_of(self.query(x)), heads_of(self.key(x)), heads_of(self.value(x)), attn_mask=mask
        )
        x = self.attended_norm(self.attended(context.transpose(1, 2).reshape(batch, tokens, width)) + x)
        return self.output_norm(self.output(F.gelu(self.wide(x))) + x)


class BertClassifier(nn.Module):
    """examples/models/bert.ts with its classifier."""

    def __init__(self, checkpoint, layers, heads):
        super().__init__()

        def table(name):
            return nn.Embedding.from_pretrained(checkpoint(f"bert-embeddings-{name}"), freeze=False)

        self.words, self.segments = table("word_embeddings"), table("token_type_embeddings")
        self.positions = nn.Parameter(checkpoint("bert-embeddings-position_embeddings"))
        width = self.positions.shape[-1]
        self.norm = checkpoint.fill(nn.LayerNorm(width, eps=1e-5), "bert-embeddings-LayerNorm", ("gamma", "beta"))
        self.layers = nn.ModuleList(
            EncoderLayer(checkpoint, f"bert-encoder-layer_{i}", width, heads) for i in range(layers)
        )
        self.pooler = checkpoint.fill(nn.Linear(width, width), "bert-pooler-dense", transposed=True)
        self.classifier = nn.Linear(width, 2)
        with torch.no_grad():
            self.classifier.weight.copy_(checkpoint("classification-output_weights"))
            self.classifier.bias.copy_(checkpoint("classification-output_bias"))

    def forward(self, ids, mask, segments):
        x = self.words(ids) + self.segments(segments) + self.positions[:, : ids.shape[1]]
        x = self.norm(x)
        # 0 where a token is, -10000 where padding is.
        bias = ((mask.float() - 1) * 10000)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, bias)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


def bert(checkpoint, feeds, layers, heads, compile):
    """The step of `bertFinetuning`: Adam with bias correction at 5e-5."""
    model = BertClassifier(checkpoint, layers, heads)
    ids, mask, segments, labels = feeds
    labels = labels.long()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5)
    forward = torch.compile(model) if compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(forward(ids, mask, segments), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


class WideDeep(nn.Module):
    """examples/models/wide-deep.ts; the tables have sparse gradients."""

    def __init__(self, checkpoint):
        super().__init__()

        def table(name):
            return nn.Embedding.from_pretrained(checkpoint(name), freeze=False, sparse=True)

        self.wide, self.deep = table("wide_embedding"), table("deep_embedding")
        layers = []
        for n in range(1, 9):
            weight = checkpoint(f"fc{n}-weight")
            layers += [checkpoint.fill(nn.Linear(weight.shape[1], weight.shape[0]), f"fc{n}"), nn.ReLU(inplace=True)]
        self.dense = nn.Sequential(*layers[:-1])

    def forward(self, numbers, wide_ids, deep_ids):
        features = torch.cat([self.deep(deep_ids).flatten(1), numbers], dim=1)
        return self.wide(wide_ids).sum(1) + self.dense(features)


def wide_deep(checkpoint, feeds, compile):
    """SparseAdam updates the rows that were read, as LazyAdam does; Adam the rest. Loss: the mean over the rows."""
    model = WideDeep(checkpoint)
    labels, numbers, wide_ids, deep_ids = feeds
    labels = labels.float()
    sparse = torch.optim.SparseAdam([model.wide.weight, model.deep.weight], lr=0.001)
    dense = torch.optim.Adam(model.dense.parameters(), lr=0.001)
    forward = torch.compile(model) if compile else model

    def step():
        sparse.zero_grad(set_to_none=True)
        dense.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(forward(numbers, wide_ids, deep_ids), labels)
        loss.backward()
        sparse.step()
        dense.step()
        return loss.item()

    return step


def open_model(case, threads, weights, feeds, compile):
    """A step of a full-size case on its fixed batch: the mean loss before the update."""
    checkpoint, feeds = Checkpoint(weights), [torch.from_numpy(feed) for feed in variables.feeds(feeds)]
    name = case["model"]
    if name == "resnet50":
        return convolutional(resnet50(checkpoint), feeds, 1 / 32768, compile)
    if name == "alexnet":
        return convolutional(alexnet(checkpoint), feeds, 0.00005, compile)
    if name == "wdl":
        return wide_deep(checkpoint, feeds, compile)
    if name == "transformer":
        return bert(checkpoint, feeds, layers=2, heads=2, compile=compile)
    if name == "bert":
        return bert(checkpoint, feeds, layers=12, heads=12, compile=compile)
    raise ValueError(f"has no version of {case['title']}")
