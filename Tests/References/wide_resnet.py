"""A wide residual network (Zagoruyko and Komodakis, 2016) in PyTorch.

The reference against which the Swift model is tested. Pre-activation basic
blocks without dropout; three groups of (depth - 4) / 6 blocks, of widths 16k,
32k and 64k and strides 1, 2 and 2.
"""

import math
import re

import torch
from torch import nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """bn-relu-conv twice, plus the shortcut.

    Where the width changes, the activation bn-relu comes before the fork, so
    that the 1x1 shortcut sees it too; elsewhere the shortcut is the identity.
    """

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        if in_channels != out_channels:
            self.convShortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        elif stride != 1:
            raise ValueError("an identity shortcut needs stride 1")
        else:
            self.convShortcut = None

    def forward(self, x):
        h = F.relu(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(h)
        h = F.relu(self.bn2(self.conv1(h)))
        return shortcut + self.conv2(h)


class Group(nn.Module):
    def __init__(self, in_channels, out_channels, blocks, stride):
        super().__init__()
        self.layer = nn.Sequential(
            *(
                BasicBlock(
                    in_channels if i == 0 else out_channels,
                    out_channels,
                    stride if i == 0 else 1,
                )
                for i in range(blocks)
            )
        )

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    """`forward` returns the pooled features and the logits."""

    def __init__(self, depth, width, channels=3, classes=10):
        super().__init__()
        if depth < 10 or (depth - 4) % 6 != 0:
            raise ValueError("depth must be 6n + 4 with n >= 1")
        blocks = (depth - 4) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.block1 = Group(16, 16 * width, blocks, 1)
        self.block2 = Group(16 * width, 32 * width, blocks, 2)
        self.block3 = Group(32 * width, 64 * width, blocks, 2)
        self.bn1 = nn.BatchNorm2d(64 * width)
        self.fc = nn.Linear(64 * width, classes)
        self.reset_parameters()

    def reset_parameters(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        h = self.block3(self.block2(self.block1(self.conv1(x))))
        features = F.relu(self.bn1(h)).mean(dim=(2, 3))
        return features, self.fc(features)

    @classmethod
    def named(cls, name, channels=3, classes=10):
        """The model of a name such as "wrn-16-2"."""
        match = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
        if match is None:
            raise ValueError(f"not a wide residual network: {name!r}")
        return cls(int(match[1]), int(match[2]), channels, classes)


def parameter_count(model):
    return sum(p.numel() for p in model.parameters())


def soft_cross_entropy(logits, targets):
    """Cross-entropy against target distributions, averaged over the batch."""
    return -(targets * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


if __name__ == "__main__":
    expected = {(3, 10): 55_841_754, (3, 100): 55_899_444, (1, 10): 55_841_466}
    with torch.device("meta"):
        for (channels, classes), count in expected.items():
            found = parameter_count(WideResNet(40, 10, channels, classes))
            print(f"wrn-40-10, {channels} channels, {classes} classes: {found:,}")
            assert found == count, f"expected {count:,}"
