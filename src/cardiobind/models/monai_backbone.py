"""Backbones of MONAI over the planes of a cine, where the extra ``imaging`` is installed."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder

WIDTHS = {"DenseNet121": 1024, "DenseNet169": 1664, "SEResNet50": 2048, "SEResNext50": 2048}


@ENCODERS.register("monai")
class MonaiBackbone(Encoder):
    """A convolutional network of MONAI whose tokens are the cells of its last feature map; planes are its channels.

    Args:
        inputs: an image (channels, rows, columns).
        network: class of ``monai.networks.nets``: densely connected, or residual with squeeze and excitation.

    Source: Huang et al. 2017 (DenseNet); Hu et al. 2018 (squeeze and excitation); weights are random.
    """

    modalities: ClassVar[tuple[str, ...]] = ("cmr",)
    requires: ClassVar[tuple[str, ...]] = ("monai", "imaging")

    def __init__(
        self,
        inputs: InputSpec,
        *,
        network: Literal["DenseNet121", "DenseNet169", "SEResNet50", "SEResNext50"] = "DenseNet121",
    ) -> None:
        super().__init__()
        self.inputs, self.width = inputs, WIDTHS[network]
        chosen = getattr(importlib.import_module("monai.networks.nets"), network)
        self.features = (_dense if network.startswith("Dense") else _squeezed)(chosen, inputs.shape[0])

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, cells, width) of images (B, C, H, W).

        Raises:
            InputError: the batch does not fit `inputs`.
        """
        if x.ndim != 4 or x.shape[1] != self.inputs.shape[0]:
            expected = f"(B, {', '.join(map(str, self.inputs.shape))})"
            raise InputError("the batch does not fit the encoder", expected=expected, got=tuple(x.shape))
        return F.relu(self.features(x)).flatten(2).transpose(1, 2)


def _dense(network: Any, channels: int) -> nn.Module:
    features: nn.Module = network(spatial_dims=2, in_channels=channels, out_channels=1).features
    return features


def _squeezed(network: Any, channels: int) -> nn.Module:
    built = network(spatial_dims=2, in_channels=channels, num_classes=1)
    return nn.Sequential(*(getattr(built, f"layer{number}") for number in range(5)))
