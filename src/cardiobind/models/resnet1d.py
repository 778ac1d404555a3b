"""Residual network over time for ECGs: a compact xresnet1d, the strong supervised baseline on PTB-XL."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs))


class Block1d(nn.Module):
    """Two convolutions over time; the shortcut halves time by averaging (the xresnet's change to ResNet)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv_norm(inputs, outputs, kernel, stride)
        self.conv2 = _conv_norm(outputs, outputs, kernel)
        self.pool = nn.AvgPool1d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
        self.shortcut = _conv_norm(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map (B, outputs, ceil(T / stride))."""
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(self.pool(x)))


@ENCODERS.register("resnet1d")
class ResNet1d(Encoder):
    """Residual network over time whose tokens are the positions of the last feature map.

    Args:
        inputs: an ECG (12, samples).
        base_width: channels of the stem and of the first stage; each further stage doubles them.
        blocks: residual blocks of each stage; every stage but the first halves time, the stem divides it by 4.
        kernel: odd length of the convolutions in samples.

    Raises:
        ConfigError: a size below 1 or an even kernel.

    Source: Strodthoff et al. 2021 (PTB-XL benchmark), xresnet1d101; He et al. 2019 (bag of tricks).
    """

    modalities: ClassVar[tuple[str, ...]] = ("ecg",)

    def __init__(
        self,
        inputs: InputSpec,
        *,
        base_width: int = 32,
        blocks: tuple[int, ...] = (1, 1, 1, 1),
        kernel: int = 5,
    ) -> None:
        super().__init__()
        if base_width < 1 or not blocks or min(blocks) < 1 or kernel < 1 or kernel % 2 == 0:
            raise ConfigError("sizes must be positive and the kernel odd", got=f"{base_width}, {blocks}, {kernel}")
        self.inputs = inputs
        self.width = base_width * 2 ** (len(blocks) - 1)
        self.stem = nn.Sequential(
            _conv_norm(inputs.shape[0], base_width, kernel, 2), nn.ReLU(), nn.MaxPool1d(3, stride=2, padding=1)
        )
        self.stages = nn.ModuleList()
        channels = base_width
        for stage, count in enumerate(blocks):
            self.stages.append(_stage(channels, base_width * 2**stage, count, kernel, 1 if stage == 0 else 2))
            channels = base_width * 2**stage
        for part in self.modules():
            if isinstance(part, nn.Conv1d):
                nn.init.kaiming_normal_(part.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, N, width) of ECGs (B, 12, T) of any length.

        Raises:
            InputError: the number of leads is another.
        """
        if x.ndim != 3 or x.shape[1] != self.inputs.shape[0]:
            expected = f"(B, {self.inputs.shape[0]}, T)"
            raise InputError("the batch does not fit the encoder", expected=expected, got=tuple(x.shape))
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x.transpose(1, 2)


def _stage(inputs: int, outputs: int, count: int, kernel: int, stride: int) -> nn.Sequential:
    first = Block1d(inputs, outputs, kernel, stride)
    return nn.Sequential(first, *[Block1d(outputs, outputs, kernel, 1) for _ in range(count - 1)])
