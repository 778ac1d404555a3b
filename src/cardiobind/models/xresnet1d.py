"""Deep residual network over time for ECGs (xresnet1d), the strong supervised baseline of PTB-XL."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder

FIRST_SCALE = 0.1
"""Of a block's branch: near the shortcut alone, as He et al. 2019 begin, without their 0 that stops its gradient."""


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    # Convolutions over time as images of one row: channels-last kernels of torch need two dimensions.
    convolution = nn.Conv2d(inputs, outputs, (1, kernel), (1, stride), (0, kernel // 2), bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class SqueezeExcite(nn.Module):
    """Weight of each channel from the means of all (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(4, channels // reduction))
        self.excite = nn.Linear(max(4, channels // reduction), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map (B, C, 1, T) of the shape of `x`, its channels weighted."""
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3))))))
        weighted: Tensor = x * weight[:, :, None, None]
        return weighted


class Bottleneck1d(nn.Module):
    """Narrow, convolve over time, widen; the shortcut shortens time by averaging (ResNet-D)."""

    def __init__(self, inputs: int, narrow: int, outputs: int, kernel: int, stride: int, *, squeeze: bool) -> None:
        super().__init__()
        self.conv1 = _conv_norm(inputs, narrow, 1)
        self.conv2 = _conv_norm(narrow, narrow, kernel, stride)
        self.conv3 = _conv_norm(narrow, outputs, 1)
        self.squeeze = SqueezeExcite(outputs) if squeeze else nn.Identity()
        pool = nn.AvgPool2d((1, stride), ceil_mode=True, count_include_pad=False)
        self.pool = pool if stride > 1 else nn.Identity()
        self.shortcut = _conv_norm(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map (B, outputs, 1, ceil(T / stride))."""
        y = F.relu(self.conv2(F.relu(self.conv1(x))))
        return F.relu(self.squeeze(self.conv3(y)) + self.shortcut(self.pool(x)))


@ENCODERS.register("xresnet1d")
class XResNet1d(Encoder):
    """xresnet1d50 by default; its tokens are the positions of the last feature map, a 32nd of the samples.

    Args:
        inputs: an ECG (12, samples).
        blocks: bottlenecks of each stage: (3, 4, 6, 3) is xresnet1d50, (3, 4, 23, 3) xresnet1d101.
        widths: narrow channels of each stage; every stage but the first halves time.
        expansion: channels of a stage over its narrow ones.
        kernel: odd length of the convolutions in samples.
        stem: channels of the three convolutions that begin; they and a pool divide time by 4.
        squeeze_excite: weigh the channels of each bottleneck by their means.

    Raises:
        ConfigError: a size below 1, an even kernel, or stages that do not match.

    Source: Strodthoff et al. 2021 (PTB-XL benchmark: kernel 5, the same width in all stages); He et al. 2019 (three
        convolutions in the stem, averaging shortcut); Hu et al. 2018 (squeeze and excite).
    """

    modalities: ClassVar[tuple[str, ...]] = ("ecg",)

    def __init__(
        self,
        inputs: InputSpec,
        *,
        blocks: tuple[int, ...] = (3, 4, 6, 3),
        widths: tuple[int, ...] = (64, 64, 64, 64),
        expansion: int = 4,
        kernel: int = 5,
        stem: tuple[int, int, int] = (32, 32, 64),
        squeeze_excite: bool = False,
    ) -> None:
        super().__init__()
        sizes = (*blocks, *widths, *stem, expansion, kernel)
        if min(sizes) < 1 or kernel % 2 == 0 or len(blocks) != len(widths) or not blocks:
            raise ConfigError("sizes must be positive, the kernel odd, a width for each stage", got=f"{sizes}")
        self.inputs, self.width = inputs, widths[-1] * expansion
        channels = [inputs.shape[0], *stem]
        convs = [_conv_norm(channels[i], channels[i + 1], kernel, 2 if i == 0 else 1) for i in range(3)]
        self.stem = nn.Sequential(*[part for conv in convs for part in (conv, nn.ReLU())])
        self.pool = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))
        self.blocks = nn.ModuleList()
        now = stem[-1]
        for stage, (count, narrow) in enumerate(zip(blocks, widths, strict=True)):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                block = Bottleneck1d(now, narrow, narrow * expansion, kernel, stride, squeeze=squeeze_excite)
                self.blocks.append(block)
                now = narrow * expansion
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)
            if isinstance(part, Bottleneck1d):
                nn.init.constant_(part.conv3[1].weight, FIRST_SCALE)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, N, width) of ECGs (B, 12, T) of any length.

        Raises:
            InputError: the number of leads is another.
        """
        if x.ndim != 3 or x.shape[1] != self.inputs.shape[0]:
            expected = f"(B, {self.inputs.shape[0]}, T)"
            raise InputError("the batch does not fit the encoder", expected=expected, got=tuple(x.shape))
        image = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        image = self.pool(self.stem(image))
        for block in self.blocks:
            image = block(image)
        tokens: Tensor = image.squeeze(2).transpose(1, 2)
        return tokens
