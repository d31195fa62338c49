"""More golden values of single ops, in the form of ops.json: python test/golden/ops-gradients.py > test/golden/ops-gradients.json

PyTorch in float64: what ops.py leaves out, raw gradients, and the gradients of gradients' own ops.
"""
import torch
import torch.nn.functional as F

from cases import add, floats, ints, write

# Comparisons, with ties, as int8.
COMPARISONS = {
    "equal": torch.eq, "notEqual": torch.ne, "less": torch.lt, "lessEqual": torch.le, "greater": torch.gt, "greaterEqual": torch.ge,
}  # fmt: skip
x, y = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, float("inf")]]).double(), torch.tensor([1.0, 3.0, float("inf")]).double()
for op, call in COMPARISONS.items():
    add(op, [x, y], lambda a, b: call(a, b).to(torch.int8), gradients=False)
add("logicalAnd", [torch.tensor([[0.0, 1.0], [2.0, -1.0]]).double(), torch.tensor([1.0, 0.0]).double()], lambda a, b: torch.logical_and(a, b).to(torch.int8), gradients=False)
add("isFinite", [torch.tensor([0.0, float("nan"), float("inf"), -float("inf"), 3.5]).double()], lambda a: torch.isfinite(a).to(torch.int8), gradients=False)

# Shapes.
add("broadcastTo", [floats(2, 1)], lambda a: a.expand(3, 2, 4), shape=[3, 2, 4])
add("broadcastLike", [floats(3), floats(2, 3)], lambda a, like: a.expand(2, 3) + 0 * like.detach(), gradients=False)
add("expandDims", [floats(2, 3)], lambda a: a.unsqueeze(1), axis=1)
add("squeeze", [floats(2, 1, 3, 1)], lambda a: a.squeeze())
add("identity", [floats(2, 3)], lambda a: a * 1)
add("addN", [floats(2, 3), floats(2, 3), floats(2, 3)], lambda a, b, c: a + b + c)
add("constant", [], lambda: torch.full((2, 2), 1.5, dtype=torch.float32), value=1.5, dtype="float32", shape=[2, 2])
for op, value, attrs in (("constantLike", -2.5, {"value": -2.5}), ("zerosLike", 0.0, {}), ("onesLike", 1.0, {})):
    add(op, [floats(2, 3)], lambda a: torch.full_like(a, value).detach(), gradients=False, **attrs)

# Functions that PyTorch has under the same name, or as a formula.
add("xdivy", [torch.tensor([0.0, 1.5, -2.0]).double(), torch.tensor([3.0, 0.25, -4.0]).double()], lambda a, b: a / b)
add("xdivy", [torch.tensor([0.0, 0.0, 1.0]).double(), torch.tensor([0.0, 2.0, 4.0]).double()], lambda a, b: torch.where(a == 0, 0 * a.detach(), a / torch.where(a == 0, 1.0, b)), gradients=False)
add("reciprocalNoNan", [torch.tensor([0.5, -4.0, 8.0]).double()], torch.reciprocal)
add("reciprocalNoNan", [torch.tensor([0.0, 2.0]).double()], lambda a: torch.where(a == 0, 0.0, 1 / a), gradients=False)
add("logSoftmax", [floats(2, 3, 2)], lambda a: F.log_softmax(a, 1), axis=1)
add("softmax", [floats(2, 3, 2)], lambda a: F.softmax(a, 1), axis=1)
for output in (0, 1):
    for keepdims in (False, True):
        add("moments", [floats(2, 3, 2)], lambda a: (a.mean(dim=(0, 2), keepdim=keepdims), a.var(dim=(0, 2), correction=0, keepdim=keepdims))[output], axes=[0, 2], output=output, keepdims=keepdims)  # fmt: skip
channel = lambda v: v[:, None]
add("batchNormalization", [floats(2, 3, 2), floats(3), floats(3, low=0, high=4), floats(3), floats(3)], lambda x, m, v, b, g: (x - channel(m)) / torch.sqrt(channel(v) + 0.5) * channel(g) + channel(b), varianceEpsilon=0.5)
add("unsortedSegmentSumLike", [floats(4, 2), ints([1, 0, 1, 2]), floats(3, 2)], lambda a, i, like: torch.zeros(3, 2).double().index_add(0, i.long(), a) + 0 * like.detach(), gradients=False)
add("unsortedBatchSegmentSum", [floats(2, 3, 2), ints([[1, 0, 1], [0, 0, 2]])], lambda a, i: torch.stack([torch.zeros(3, 2).double().index_add(0, i[n].long(), a[n]) for n in range(2)]), numSegments=3)

# Raw gradients: PyTorch's gradient is the value, its gradient the gradient.
def gradient_of(call, x, dy):
    return torch.autograd.grad(call(x), x, dy, create_graph=True)[0]


add("geluGrad", [floats(3, 4), floats(3, 4)], lambda x, dy: gradient_of(F.gelu, x, dy))
add("tanhGrad", [floats(3, 4, low=-0.9, high=0.9), floats(3, 4)], lambda y, dy: gradient_of(torch.tanh, torch.atanh(y), dy))
add("softmaxGrad", [torch.softmax(floats(2, 4), 1).float().double(), floats(2, 4)], lambda y, dy: y * (dy - (dy * y).sum(1, keepdim=True)))
logits = floats(2, 3, 2)
add("softmaxGrad", [torch.softmax(logits, 1), floats(2, 3, 2)], lambda y, dy: gradient_of(lambda z: torch.softmax(z, 1), logits.clone().requires_grad_(), dy).detach(), gradients=False, axis=1)
add("padGrad", [floats(4, 5)], lambda a: a[1:4, 2:4], paddings=[[1, 0], [2, 1]])
for begin, lead in ((1, (2,)), (2, (2, 3))):
    x = floats(2, 3, 4)
    tail = tuple(range(begin, 3))
    mean, inverse = x.mean(dim=tail), torch.rsqrt(x.var(dim=tail, correction=0) + 1e-5)
    normal = lambda v: F.layer_norm(v, v.shape[begin:], eps=1e-5)
    # With the true statistics it is the gradient of the normalization ...
    add("layerNormGrad", [floats(2, 3, 4), x, mean, inverse], lambda dy, x, m, i: gradient_of(normal, x.clone().requires_grad_(), dy).detach(), gradients=False, beginNormAxis=begin)
    # ... and with any a formula, which has a gradient of its own.
    wide = lambda v: v.reshape(*lead, *[1] * (3 - begin))
    def formula(dy, x, m, i):
        n = (x - wide(m)) * wide(i)
        return wide(i) * (dy - dy.mean(dim=tail, keepdim=True) - n * (dy * n).mean(dim=tail, keepdim=True))
    add("layerNormGrad", [floats(2, 3, 4), x, floats(*lead), floats(*lead, low=0.5, high=2)], formula, beginNormAxis=begin)
for begin in (1, 2):
    lead = tuple(range(begin))
    for output, call in enumerate([lambda dy, n, g: dy * g, lambda dy, n, g: dy.sum(dim=lead) + 0 * (n.sum() + g.sum()), lambda dy, n, g: (dy * n).sum(dim=lead) + 0 * g.sum()]):
        add("layerNormParamGrad", [floats(2, 3, 4), floats(2, 3, 4), floats(*(2, 3, 4)[begin:])], lambda dy, n, g: call(dy, n, g).detach(), gradients=False, beginParamsAxis=begin, output=output)

# Images made larger.
for size in ([2, 2], [3, 1], [2, 3]):
    add("upsample2d", [floats(1, 2, 3, 2)], lambda a: F.interpolate(a, scale_factor=[float(s) for s in size], mode="nearest"), size=size)
    add("upsample2d", [floats(1, 2, 3, 2)], lambda a: F.interpolate(a, scale_factor=[float(s) for s in size], mode="bilinear", align_corners=False), size=size, interpolation="bilinear")
add("upsample2d", [floats(1, 2, 3, 2)], lambda a: F.interpolate(a.permute(0, 3, 1, 2), scale_factor=2.0, mode="bilinear").permute(0, 2, 3, 1), dataFormat="NHWC", interpolation="bilinear")

# The ops behind convolution and pooling. PyTorch counts an unfolded image [N, C K, L], we [K, N, C, ...].
window = {"kernel": [2, 3], "strides": [2, 1], "dilations": [1, 2], "pads": [1, 2, 1, 2]}
torchs = {"kernel_size": [2, 3], "dilation": [1, 2], "padding": [1, 2], "stride": [2, 1]}
add("unfold", [floats(2, 1, 4, 3)], lambda a: F.unfold(a, **torchs).reshape(2, 1, 6, 3, 3).permute(2, 0, 1, 3, 4), **window)
add("fold", [floats(6, 2, 1, 3, 3)], lambda a: F.fold(a.permute(1, 2, 0, 3, 4).reshape(2, 6, 9), [4, 3], **torchs), **window, sizes=[4, 3])
attrs = {"kernel": [2, 2], "strides": [2, 1], "dilations": [1, 1], "pads": [1, 0, 1, 0], "groups": 2}
add("convFilterGrad", [floats(2, 2, 3, 3), floats(2, 4, 2, 2)], lambda x, dy: gradient_of(lambda w: F.conv2d(x, w, stride=[2, 1], padding=[1, 0], groups=2), torch.ones(4, 1, 2, 2).double().requires_grad_(), dy), **attrs)
image = floats(1, 2, 4, 4)
_, places = F.max_pool2d(image, 2, return_indices=True)
# Our places count through the whole blob, PyTorch's within an image.
whole = (places + torch.arange(2).reshape(1, 2, 1, 1) * 16).int()
add("maxUnpool", [floats(1, 2, 2, 2), whole], lambda dy, i: F.max_unpool2d(dy, places, 2), kernel=[2, 2], strides=[2, 2], dilations=[1, 1], pads=[0, 0, 0, 0], shape=[1, 2, 4, 4])

write()
