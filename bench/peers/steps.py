"""The steps of bench/steps.ts in PyTorch, in its best form: channels last, same threads, eager or compiled.

Answers each line on standard input with the milliseconds of one training step. Needs torch (2.13 was measured).
PDP is written as PyTorch users would: a k-th value a layer, and the soft mask as a sigmoid.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

setting = json.loads(sys.argv[1])
form = sys.argv[2]
torch.manual_seed(0)


def conv(i, o, k, s=1):
    return nn.Conv2d(i, o, k, s, (k - 1) // 2, bias=False)


class Block(nn.Module):
    def __init__(self, i, o, s, option_a):
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 3, s), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3), nn.BatchNorm2d(o)
        self.stride, self.extra = s, o - i
        project = (s != 1 or i != o) and not option_a
        self.downsample = nn.Sequential(conv(i, o, 1, s), nn.BatchNorm2d(o)) if project else None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.downsample is not None:
            x = self.downsample(x)
        elif self.stride != 1 or self.extra:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        return F.relu(y + x, inplace=True)


class ResNet(nn.Module):
    def __init__(self, width, blocks, option_a):
        super().__init__()
        self.conv1, self.bn1 = conv(3, width, 3), nn.BatchNorm2d(width)
        layers, i = [], width
        for stage, n in enumerate(blocks):
            o = width * 2**stage
            for b in range(n):
                layers.append(Block(i, o, 2 if b == 0 and stage > 0 else 1, option_a))
                i = o
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(i, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.fc(self.layers(x).mean((2, 3)))


def resident(field):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(field))


class SoftMask(nn.Module):
    """m(w) w with m = sigmoid((w^2 - t^2) / tau), t recomputed in every forward pass, without gradient."""

    def forward(self, w):
        magnitude = w.detach().abs().flatten()
        k = int(0.9 * magnitude.numel() + 1e-6)
        t = 0.5 * (magnitude.kthvalue(k).values + magnitude.kthvalue(k + 1).values)
        return w * torch.sigmoid((w * w - t * t) / 1e-4)


model = ResNet(64, [2, 2, 2, 2], False) if setting["model"] == "resnet18" else ResNet(16, [3, 3, 3], True)
model = model.to(memory_format=torch.channels_last).train()
if setting["mode"] == "pdp":
    for m in list(model.modules()):
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.utils.parametrize.register_parametrization(m, "weight", SoftMask())
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
x = torch.randn(setting["batch"], 3, 32, 32).to(memory_format=torch.channels_last)
y = torch.arange(setting["batch"]) % 10


def loss_of(x, y):
    with torch.autocast("cpu", torch.bfloat16, enabled=setting["dtype"] == "bf16"):
        return F.cross_entropy(model(x), y)


forward = torch.compile(loss_of) if form == "compiled" else loss_of


def step():
    optimizer.zero_grad(set_to_none=True)
    forward(x, y).backward()
    optimizer.step()


before = resident("VmRSS")
print(json.dumps({"ready": 1}), flush=True)
for line in sys.stdin:
    if line.strip() == "quit":
        break
    start = time.perf_counter()
    step()
    print(json.dumps({"ms": (time.perf_counter() - start) * 1e3}), flush=True)
print(json.dumps({"peakBytes": resident("VmHWM") - before}), flush=True)
