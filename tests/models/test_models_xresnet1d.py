from __future__ import annotations

import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.models import XResNet1d, parameter_count
from cardiobind.models.xresnet1d import Bottleneck1d
from cardiobind.testing import check_encoder, example_spec


def bottleneck_weights(inputs: int, narrow: int, outputs: int, kernel: int) -> int:
    norms = 2 * (narrow + narrow + outputs)
    shortcut = inputs * outputs + 2 * outputs if inputs != outputs else 0
    return inputs * narrow + narrow * narrow * kernel + narrow * outputs + norms + shortcut


def test_the_default_is_xresnet1d50_with_as_many_weights_as_counted_by_hand() -> None:
    model = XResNet1d(example_spec("ecg"))
    stem = 12 * 32 * 5 + 32 * 32 * 5 + 32 * 64 * 5 + 2 * (32 + 32 + 64)
    blocks = bottleneck_weights(64, 64, 256, 5) + 15 * bottleneck_weights(256, 64, 256, 5)
    assert len(model.blocks) == 16
    assert parameter_count(model) == stem + blocks
    assert model(torch.randn(1, 12, 1000)).shape == (1, 32, 256)


def test_a_bottleneck_is_one_dimensional_convolutions() -> None:
    torch.manual_seed(0)
    block = Bottleneck1d(6, 4, 8, 3, 2, squeeze=False).eval()
    x = torch.randn(2, 6, 1, 15)

    def conv(part: torch.nn.Sequential, y: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = part[0].weight[:, :, 0]
        return torch.nn.functional.conv1d(y, weight, stride=stride, padding=weight.shape[2] // 2) / (1 + 1e-5) ** 0.5

    flat = x[:, :, 0]
    y = conv(block.conv3, conv(block.conv2, conv(block.conv1, flat).relu(), 2).relu())
    pooled = torch.nn.functional.avg_pool1d(flat, 2, ceil_mode=True, count_include_pad=False)
    torch.testing.assert_close(block(x)[:, :, 0], (y + conv(block.shortcut, pooled)).relu(), rtol=1e-4, atol=1e-5)


def test_squeeze_and_excite_keeps_the_contract() -> None:
    torch.manual_seed(0)
    small = {"blocks": (1, 2), "widths": (8, 8), "stem": (8, 8, 8), "expansion": 2}
    check_encoder(lambda inputs: XResNet1d(inputs, squeeze_excite=True, **small), example_spec("ecg"))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"kernel": 4}, {"blocks": (1, 1)}, {"blocks": (), "widths": ()}, {"expansion": 0}])
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="sizes"):
        XResNet1d(example_spec("ecg"), **options)  # type: ignore[arg-type]
