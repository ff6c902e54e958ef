"""A vision transformer (Dosovitskiy et al., 2021) in PyTorch, with timm's names for its tensors.

The reference against which the Swift model is tested: pre-norm blocks, GELU,
learned positions, a class token.
"""

import torch
from torch import nn
from torch.nn import functional as F

SIZES = {"xs": (128, 2, 6), "ti": (192, 3, 12), "s": (384, 6, 12), "b": (768, 12, 12)}


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(n, tokens, width))


class Perceptron(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Perceptron(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbedding(nn.Module):
    def __init__(self, channels, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, images):
        return self.proj(images).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """Gives features, logits, and the class token after the embedding and after every block."""

    def __init__(self, width, depth, heads, patch, image_size, channels, classes):
        super().__init__()
        tokens = (image_size[0] // patch) * (image_size[1] // patch) + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.patch_embed = PatchEmbedding(channels, patch, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    @classmethod
    def named(cls, name, channels, classes, image_size=(32, 32)):
        _, size, patch = name.split("-")
        width, heads, depth = SIZES[size]
        return cls(width, depth, heads, int(patch), image_size, channels, classes)

    def forward(self, images):
        x = self.patch_embed(images)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1) + self.pos_embed
        trajectory = [x[:, 0]]
        for block in self.blocks:
            x = block(x)
            trajectory.append(x[:, 0])
        features = self.norm(x)[:, 0]
        return features, self.head(features), trajectory
