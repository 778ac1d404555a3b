"""Residual network over images (He et al. 2016), with torchvision's parameter names."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.convolution import StridedPointwise
from cardiobind.models.encoder import ENCODERS, Encoder
from cardiobind.models.layout import channels_last_in_half, convolved


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    if kernel == 1 and stride > 1:
        return StridedPointwise(inputs, outputs, stride)
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def _shortened(downsample: nn.Sequential | None, x: Tensor) -> Tensor:
    if downsample is None:
        return x
    convolution, norm = downsample
    return convolved(convolution, norm, x)  # type: ignore[arg-type]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map (B, planes, H/stride, W/stride)."""
        y = F.relu_(convolved(self.conv1, self.bn1, x))
        return F.relu_(convolved(self.conv2, self.bn2, y) + _shortened(self.downsample, x))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolution and a shortcut."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.conv1 = _conv(inputs, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = _conv(planes, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map (B, 4 * planes, H/stride, W/stride)."""
        y = F.relu_(convolved(self.conv1, self.bn1, x))
        y = F.relu_(convolved(self.conv2, self.bn2, y))
        return F.relu_(convolved(self.conv3, self.bn3, y) + _shortened(self.downsample, x))


DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    10: (BasicBlock, (1, 1, 1, 1)),
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


@ENCODERS.register("resnet")
class ResNet(Encoder):
    """Residual network whose tokens are the cells of the last feature map.

    Args:
        inputs: an image (channels, rows, columns).
        depth: 10, 18, 34 or 50 layers; the paper's CMR encoder is 50.
        base_width: channels of the first stage: 64 is the published network, 16 a compact one.
        stem: "standard" (7x7, stride 2, and max pooling) or "small" (3x3, stride 1) for images under about 64 pixels.
        zero_init_residual: start the last norm of each block at 0, so that every block begins as its shortcut.

    Raises:
        ConfigError: a depth that is not offered, or a width below 1.

    Source: He et al. 2016; arXiv 2411.05900, section 3.1; Goyal et al. 2017 (arXiv 1706.02677, section 5.1) for the
        norms that start at 0.
    """

    modalities: ClassVar[tuple[str, ...]] = ("cmr",)

    def __init__(
        self,
        inputs: InputSpec,
        *,
        depth: int = 50,
        base_width: int = 64,
        stem: Literal["standard", "small"] = "standard",
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise ConfigError("no such depth", where="resnet.depth", expected=" | ".join(map(str, DEPTHS)), got=depth)
        if base_width < 1:
            raise ConfigError("a width must be positive", where="resnet.base_width", got=base_width)
        block, repeats = DEPTHS[depth]
        self.inputs = inputs
        self.width = 8 * base_width * block.expansion
        kernel, stride = (7, 2) if stem == "standard" else (3, 1)
        self.conv1 = _conv(inputs.shape[0], base_width, kernel, stride)
        self.bn1 = nn.BatchNorm2d(base_width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem == "standard" else nn.Identity()
        self.layer1 = _stage(block, base_width, base_width, repeats[0], 1)
        self.layer2 = _stage(block, base_width * block.expansion, 2 * base_width, repeats[1], 2)
        self.layer3 = _stage(block, 2 * base_width * block.expansion, 4 * base_width, repeats[2], 2)
        self.layer4 = _stage(block, 4 * base_width * block.expansion, 8 * base_width, repeats[3], 2)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if zero_init_residual and isinstance(part, BasicBlock | Bottleneck):
                nn.init.zeros_((part.bn2 if isinstance(part, BasicBlock) else part.bn3).weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, cells, width) of images (B, C, H, W).

        Raises:
            InputError: the batch does not fit `inputs`.
        """
        if x.ndim != 4 or x.shape[1] != self.inputs.shape[0]:
            expected = f"(B, {', '.join(map(str, self.inputs.shape))})"
            raise InputError("the batch does not fit the encoder", expected=expected, got=tuple(x.shape))
        return self.body(self.stem(x))

    def stem(self, x: Tensor) -> Tensor:
        """Return the first feature map (B, base_width, h, w) of images (B, C, H, W)."""
        return self.maxpool(F.relu_(convolved(self.conv1, self.bn1, channels_last_in_half(x))))  # type: ignore[no-any-return]

    def body(self, features: Tensor) -> Tensor:
        """Return tokens (B, cells, width) of the first feature map."""
        last: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        return last.flatten(2).transpose(1, 2)


def _stage(block: type[BasicBlock] | type[Bottleneck], inputs: int, planes: int, count: int, stride: int) -> nn.Module:
    first = block(inputs, planes, stride)
    return nn.Sequential(first, *[block(planes * block.expansion, planes) for _ in range(count - 1)])
