"""The plate finder's network and its loss.

Anchor-free, after the ideas of the YOLOv8 papers: every cell of two grids (of 16 and 32 pixels, in a
frame of 320) tells how sure it is of each class and how far the four edges are; in training, the
cells that already say it best are taught (task-aligned assignment, TOOD, arXiv 2108.07755), classes
by varifocal loss (arXiv 2008.13367), boxes by GIoU (arXiv 1902.09630). Depthwise blocks: about 0.34 million weights. A
plate is found in a small picture; it is read in the large one.
"""
import torch
from torch import nn
from torch.nn import functional as F

SIDE = 320
STRIDES = (16, 32)


class Step(nn.Module):
    """Convolution, batch norm, SiLU. Folded: the norm is part of the convolution."""

    def __init__(self, inputs, outputs, side=1, stride=1, pad=None, groups=1, act=True):
        super().__init__()
        pad = side // 2 if pad is None else pad
        self.conv = nn.Conv2d(inputs, outputs, side, stride, pad, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=.03)
        self.act = act

    def forward(self, x):
        x = self.norm(self.conv(x))
        return F.silu(x) if self.act else x

    def fold(self):
        by = self.norm.weight.data / (self.norm.running_var + self.norm.eps).sqrt()
        self.conv.weight.data *= by.view(-1, 1, 1, 1)
        self.conv.bias = nn.Parameter(self.norm.bias.data - self.norm.running_mean * by)
        self.norm = nn.Identity()


class Block(nn.Module):
    """Widens, looks at 3x3 a channel, narrows; what goes in is added where it fits."""

    def __init__(self, inputs, outputs, stride=1, widen=1, side=3):
        super().__init__()
        middle = inputs * widen
        self.widen = Step(inputs, middle) if widen > 1 else nn.Identity()
        self.look = Step(middle, middle, side, stride, groups=middle)
        self.narrow = Step(middle, outputs, act=widen == 1)
        self.add = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.narrow(self.look(self.widen(x)))
        return x + y if self.add else y


class Head(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.step = Block(inputs, 96)
        self.edges = nn.Conv2d(96, 4, 1)
        self.classes = nn.Conv2d(96, classes, 1)
        nn.init.constant_(self.edges.bias, 1.0)
        nn.init.constant_(self.classes.bias, -4.6)

    def forward(self, x):
        x = self.step(x)
        return torch.cat([self.edges(x), self.classes(x)], 1)


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Sequential(Step(3, 24, 4, 4, 0), Block(24, 48, 2), Block(48, 48))
        self.near = nn.Sequential(Block(48, 112, 2), Block(112, 112), Block(112, 112))
        self.far = nn.Sequential(Block(112, 192, 2, side=5), Block(192, 192, 1, 2, 5),
                                 Block(192, 192, side=5))
        self.lift = Step(192, 112)
        self.fuse_near = Block(112, 112)
        self.fuse_far = Block(112, 192, 2)
        self.heads = nn.ModuleList([Head(112, classes), Head(192, classes)])
        self.register_buffer("centres", centres(), persistent=False)
        self.register_buffer("strides", strides(), persistent=False)

    def forward(self, x):
        """N x 3 x SIDE x SIDE, RGB, 0..1 to (boxes N x cells x 4 x0 y0 x1 y1 in pixels, logits
        N x cells x classes)."""
        near = self.near(self.stem(x))
        far = self.far(near)
        near = self.fuse_near(near + F.interpolate(self.lift(far), scale_factor=2, mode="nearest"))
        far = far + self.fuse_far(near)
        rows = [head(p).flatten(2) for head, p in zip(self.heads, (near, far))]
        out = torch.cat(rows, 2).transpose(1, 2)
        reach = torch.exp(out[..., :4].clamp(-4, 4)) * self.strides[:, None]
        boxes = torch.cat([self.centres - reach[..., :2], self.centres + reach[..., 2:]], -1)
        return boxes, out[..., 4:]

    def fold(self):
        for module in self.modules():
            if isinstance(module, Step) and not isinstance(module.norm, nn.Identity):
                module.fold()
        return self


class Exported(nn.Module):
    """What the file holds: 1 x 3 x SIDE x SIDE to 1 x (4 + classes) x cells, centre and size in
    pixels, then how sure."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        boxes, logits = self.net(x)
        low, high = boxes[..., :2], boxes[..., 2:]
        return torch.cat([(low + high) / 2, high - low, torch.sigmoid(logits)], -1).transpose(1, 2)


def centres():
    parts = []
    for stride in STRIDES:
        n = SIDE // stride
        y, x = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
        parts.append((torch.stack([x, y], -1).reshape(-1, 2) + .5) * stride)
    return torch.cat(parts)


def strides():
    return torch.cat([torch.full(((SIDE // s) ** 2,), float(s)) for s in STRIDES])


def overlap(a, b, generalised=False):
    """IoU, or GIoU, of boxes x0 y0 x1 y1; broadcasts."""
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    both = inner.prod(-1)
    either = (a[..., 2:] - a[..., :2]).clamp(0).prod(-1) + (b[..., 2:] - b[..., :2]).clamp(0).prod(-1) - both
    iou = both / (either + 1e-6)
    if not generalised:
        return iou
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(0).prod(-1)
    return iou - (hull - either) / (hull + 1e-6)


def assign(boxes, scores, truth, labels, present, middle, most=10):
    """Which cell learns which plate. truth: N x plates x 4, labels and present: N x plates. Returns
    (index of the plate, weight 0..1 a cell); weight 0: background."""
    iou = overlap(truth[:, :, None], boxes[:, None]).clamp(0)
    sure = torch.gather(scores.transpose(1, 2), 1, labels[..., None].expand(-1, -1, boxes.shape[1]))
    inside = ((middle > truth[:, :, None, :2]) & (middle < truth[:, :, None, 2:])).all(-1)
    inside &= present[..., None]
    fit = (sure.sqrt() * iou ** 6 + 1e-9) * inside
    best = torch.zeros_like(fit).scatter_(2, fit.topk(most, 2).indices, 1.0) * (fit > 0)
    # A cell that two plates want learns the one that it overlaps more.
    owner = (iou * best - (1 - best)).argmax(1)
    best *= F.one_hot(owner, truth.shape[1]).transpose(1, 2)
    fit = fit * best
    weight = fit / (fit.amax(2, keepdim=True) + 1e-12)
    return owner, weight.sum(1)


def loss(net, planes, truth, labels, present):
    boxes, logits = net(planes)
    with torch.no_grad():
        owner, weight = assign(boxes, logits.sigmoid(), truth, labels, present, net.centres)
        wanted = torch.gather(truth, 1, owner[..., None].expand(-1, -1, 4))
        label = torch.gather(labels, 1, owner)
        target = F.one_hot(label, logits.shape[-1]) * weight[..., None]
    total = weight.sum().clamp(1)
    # Background is nearly all there is: what is known to be background hardly counts.
    heed = torch.where(target > 0, target, .75 * logits.detach().sigmoid() ** 2)
    sure = F.binary_cross_entropy_with_logits(logits, target, heed, reduction="sum") / total
    edges = ((1 - overlap(boxes, wanted, True)) * weight).sum() / total
    return sure + 5 * edges, sure.item(), edges.item()
