"""Golden values of a tiny BERT (2 layers, 2 heads, width 16): python test/golden/bert.py > test/golden/bert.json

By PyTorch in float64, from the documented formulas: losses of pretraining, SQuAD and classification, and one step of
pretraining by AdamW (epsilon 1e-6, decay 0.01 but for biases and LayerNorm, clipped to a global norm of 1, no bias correction).
"""
import json, re, sys
import numpy as np
import torch
import torch.nn.functional as F

from formula import formula

V, S, H, HEADS, LAYERS, B, P, POSITIONS = 40, 8, 16, 2, 2, 3, 2, 12
RATE, DECAY, EPSILON = 0.01, 0.01, 1e-6


def shapes():
    s = {"bert-embeddings-word_embeddings": [V, H], "bert-embeddings-token_type_embeddings": [2, H], "bert-embeddings-position_embeddings": [1, POSITIONS, H]}
    def norm(at): s[at + "-LayerNorm-beta"], s[at + "-LayerNorm-gamma"] = [H], [H]
    def dense(at, a, b): s[at + "-weight"], s[at + "-bias"] = [a, b], [b]
    norm("bert-embeddings")
    for i in range(LAYERS):
        at = f"bert-encoder-layer_{i}"
        for part in "query", "key", "value": dense(f"{at}-attention-self-{part}", H, H)
        dense(f"{at}-attention-output-dense", H, H)
        norm(f"{at}-attention-output")
        dense(f"{at}-intermediate-dense", H, 4 * H)
        dense(f"{at}-output-dense", 4 * H, H)
        norm(f"{at}-output")
    dense("bert-pooler-dense", H, H)
    dense("cls-predictions-transform-dense", H, H)
    norm("cls-predictions-transform")
    s["cls-predictions-output_bias"] = [V]
    for head in "cls-seq_relationship", "classification": s[head + "-output_weights"], s[head + "-output_bias"] = [2, H], [2]
    dense("cls-squad-output", H, 2)
    return dict(sorted(s.items()))


SHAPES = shapes()
# Gains near 1, everything else within 0.3 of 0; numbered in the order of the names.
W = {n: torch.tensor((formula(t, int(np.prod(s)), 0.3) + np.float32("gamma" in n)).astype(np.float64).reshape(s), requires_grad=True) for t, (n, s) in enumerate(SHAPES.items())}

ids = torch.tensor([[(7 * b + 3 * s + 1) % V for s in range(S)] for b in range(B)])
mask = torch.tensor([[1 if s < S - b else 0 for s in range(S)] for b in range(B)])
segments = torch.tensor([[1 if s >= 4 else 0 for s in range(S)] for b in range(B)])
positions = torch.tensor([[1 + b, 4] for b in range(B)])
masked = torch.tensor([[5 * b + 2, 3 * b + 20] for b in range(B)])
weights = torch.tensor([[1.0, 0.0 if b == 1 else 1.0] for b in range(B)], dtype=torch.float64)
labels = torch.tensor([b % 2 for b in range(B)])


def dense(x, at): return x @ W[at + "-weight"] + W[at + "-bias"]
def norm(x, at): return F.layer_norm(x, [H], W[at + "-LayerNorm-gamma"], W[at + "-LayerNorm-beta"], 1e-5)


def backbone():
    at = "bert-embeddings"
    x = norm(W[at + "-word_embeddings"][ids] + W[at + "-token_type_embeddings"][segments] + W[at + "-position_embeddings"][:, :S], at)
    bias = (mask.double() - 1)[:, None, None, :] * 10000
    heads = lambda t: t.reshape(B, S, HEADS, H // HEADS).transpose(1, 2)
    for i in range(LAYERS):
        at = f"bert-encoder-layer_{i}"
        q, k, v = (heads(dense(x, f"{at}-attention-self-{part}")) for part in ("query", "key", "value"))
        context = torch.softmax(q @ k.transpose(2, 3) / (H // HEADS) ** 0.5 + bias, -1) @ v
        x = norm(dense(context.transpose(1, 2).reshape(B, S, H), f"{at}-attention-output-dense") + x, f"{at}-attention-output")
        x = norm(dense(F.gelu(dense(x, f"{at}-intermediate-dense")), f"{at}-output-dense") + x, f"{at}-output")
    return x


x = backbone()
pooled = torch.tanh(dense(x[:, 0], "bert-pooler-dense"))
two = lambda head: pooled @ W[head + "-output_weights"].T + W[head + "-output_bias"]

picked = x[torch.arange(B)[:, None], positions].reshape(-1, H)
transformed = norm(F.gelu(dense(picked, "cls-predictions-transform-dense")), "cls-predictions-transform")
logits = transformed @ W["bert-embeddings-word_embeddings"].T + W["cls-predictions-output_bias"]
per_token = F.cross_entropy(logits, masked.reshape(-1), reduction="none").reshape(B, P)
mlm = ((per_token * weights).sum(1) / (weights.sum(1).mean() + 1e-5)).mean()
nsp = F.cross_entropy(two("cls-seq_relationship"), labels)
ends = dense(x, "cls-squad-output")
squad = [0.5 * (F.cross_entropy(ends[b, :, 0][None], positions[b, :1]) + F.cross_entropy(ends[b, :, 1][None], positions[b, 1:])) for b in range(B)]

total = mlm + nsp
total.backward()
used = {n: w for n, w in W.items() if w.grad is not None}
norm_all = sum((w.grad**2).sum() for w in used.values()) ** 0.5
variables = {}
for n, w in used.items():
    g = w.grad * min(1.0, 1 / float(norm_all))
    m, v = 0.1 * g, 0.001 * g * g
    decay = 0 if re.search("bias|LayerNorm|layer_norm", n) else DECAY
    with torch.no_grad(): after = w - RATE * (m / (v.sqrt() + EPSILON) + decay * w)
    flat = lambda t: [float(f"{e:.9g}") for e in t.detach().reshape(-1)]
    variables[n] = {"m": {"norm": float(m.norm()), "first": flat(m)[:4]}, "after": {"norm": float(after.norm()), "first": flat(after)[:4]}}

print("norm of the gradient", float(norm_all), "losses", float(mlm), float(nsp), file=sys.stderr)
print(json.dumps({
    "torch": torch.__version__,
    "config": {"vocabSize": V, "seqLength": S, "hiddenSize": H, "numHiddenLayers": LAYERS, "numAttentionHeads": HEADS, "maxPositionEmbeddings": POSITIONS},
    "inputs": {"inputIds": ids.tolist(), "inputMask": mask.tolist(), "segmentIds": segments.tolist(), "positions": positions.tolist(), "masked": masked.tolist(), "weights": weights.tolist(), "labels": labels[:, None].tolist()},
    "shapes": SHAPES,
    "mlm": float(mlm), "nsp": float(nsp), "squad": [float(s) for s in squad], "classifier": two("classification").tolist(),
    "variables": variables,
}).replace('}, "', '},\n"'))
