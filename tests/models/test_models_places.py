"""Places of a heart encoded one by one: absent views leave no trace, and present ones count alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cardiobind.data.dataset import scale_cmr
from cardiobind.errors import ConfigError, DataContractError, InputError
from cardiobind.modalities.cmr import ABSENT_VALUE, LONG_AXIS, CmrPreparation, cmr_spec
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import ResNet, ResNetPlaces, VideoViT, build_encoder, load_weights
from cardiobind.models.encoder import Encoder
from cardiobind.testing import check_encoder

SHORT = cmr_spec(CmrPreparation(size_px=32, layout="slices"))
FULL = cmr_spec(CmrPreparation(size_px=32, layout="slices", long_axis=LONG_AXIS))
Make = Callable[[InputSpec], Encoder]
MAKES: dict[str, Make] = {
    "resnet_places": lambda spec: ResNetPlaces(spec, depth=10, base_width=8, stem="small"),
    "vit_video": lambda spec: VideoViT(spec, patch=8, width=24, depth=2, heads=3),
}


def batch(spec: InputSpec, subjects: int = 3, absent: tuple[tuple[int, int], ...] = ()) -> Tensor:
    x = torch.rand(subjects, *spec.shape, generator=torch.Generator().manual_seed(2)) * 4 - 2
    for subject, place in absent:
        x[subject, 3 * place : 3 * place + 3] = ABSENT_VALUE
    return x


def made(name: str, spec: InputSpec) -> Encoder:
    torch.manual_seed(0)
    return MAKES[name](spec)


def test_the_value_of_an_absent_plane_is_that_of_zero_bytes() -> None:
    assert scale_cmr(np.zeros((2, 2), np.uint8)).tolist() == [[ABSENT_VALUE] * 2] * 2
    assert torch.tensor(ABSENT_VALUE).bfloat16().item() == ABSENT_VALUE


@pytest.mark.parametrize("name", MAKES)
def test_the_interface_is_kept_for_every_layout(name: str) -> None:
    for settings in (
        CmrPreparation(size_px=32, layout="video", video_phases=4),
        CmrPreparation(size_px=32, layout="slices", long_axis=("lax_4ch",)),
        CmrPreparation(size_px=32, long_axis=LONG_AXIS),
    ):
        torch.manual_seed(0)
        check_encoder(MAKES[name], cmr_spec(settings))


@pytest.mark.parametrize("name", MAKES)
def test_a_subject_without_views_is_as_in_a_layout_without_them(name: str) -> None:
    full, short = made(name, FULL).eval(), made(name, SHORT).eval()
    state = full.state_dict()
    load_weights(short, {**state, "place_embed": state["place_embed"][:3]})
    x = batch(FULL, absent=((0, 3), (0, 4), (0, 5), (2, 4)))
    with torch.no_grad():
        tokens = full(x)
        torch.testing.assert_close(tokens[:1], short(x[:1, :9]))
        assert not torch.allclose(tokens[1:2], short(x[1:2, :9]))


@pytest.mark.parametrize("name", MAKES)
def test_tokens_are_the_slow_mean_over_the_places_that_are_there(name: str) -> None:
    encoder = made(name, FULL).eval()
    absent = {(0, 3), (0, 5), (1, 4)}
    x = batch(FULL, absent=tuple(absent))
    with torch.no_grad():
        for subject, tokens in enumerate(encoder(x)):
            each = [
                encoder.encode(x[subject : subject + 1, 3 * p : 3 * p + 3], torch.tensor([p]))[0]
                for p in range(6) if (subject, p) not in absent
            ]  # fmt: skip
            torch.testing.assert_close(tokens, sum(each) / len(each))


def test_absent_views_enter_no_batch_statistics() -> None:
    full, short = made("resnet_places", FULL).train(), made("resnet_places", SHORT).train()
    state = full.state_dict()
    load_weights(short, {**state, "place_embed": state["place_embed"][:3]})
    x = batch(FULL, absent=tuple((subject, place) for subject in range(3) for place in (3, 4, 5)))
    torch.testing.assert_close(full(x), short(x[:, :9]))
    torch.testing.assert_close(full.network.bn1.running_mean, short.network.bn1.running_mean)


@pytest.mark.parametrize("name", MAKES)
def test_gradients_are_finite_and_absent_views_have_none(name: str) -> None:
    encoder = made(name, FULL).train()
    encoder(batch(FULL, absent=((0, 5), (1, 5), (2, 5)))).square().mean().backward()
    gradients = {n: p.grad for n, p in encoder.named_parameters()}
    assert all(g is not None and bool(g.isfinite().all()) for g in gradients.values())
    assert not gradients["place_embed"][5].any()
    assert gradients["place_embed"][:5].any(dim=1).all()


@pytest.mark.parametrize("name", MAKES)
def test_a_black_short_axis_is_not_absent(name: str) -> None:
    encoder = made(name, FULL).eval()
    assert bool(encoder(torch.full((2, *FULL.shape), ABSENT_VALUE)).isfinite().all())


@pytest.mark.parametrize("name", MAKES)
def test_the_order_of_places_counts_only_through_their_vectors(name: str) -> None:
    encoder = made(name, SHORT).eval()
    x = batch(SHORT)
    turned = x.unflatten(1, (3, 3)).flip(1).flatten(1, 2)
    with torch.no_grad():
        assert not torch.allclose(encoder(x), encoder(turned), atol=1e-5)
        encoder.place_embed.zero_()
        torch.testing.assert_close(encoder(x), encoder(turned), atol=1e-4, rtol=1e-4)


def test_mixed_precision_keeps_absence() -> None:
    encoder = made("vit_video", FULL).eval()
    x = batch(FULL, absent=((0, 3), (0, 4), (0, 5)))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(encoder(x)[0].float(), encoder(x[:1])[0].float(), atol=0.05, rtol=0.05)
        assert encoder.places.present(x.unflatten(1, (6, 3)))[0].tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_an_encoder_that_takes_planes_for_channels_refuses_what_may_be_absent(kind: str) -> None:
    with pytest.raises(ConfigError, match="black image") as caught:
        build_encoder(kind, FULL)
    assert caught.match("resnet_places, vit_video")
    build_encoder(kind, SHORT, **({"depth": 18, "base_width": 4} if kind == "resnet" else {"patch": (16, 16)}))


def test_weights_of_a_resnet_load_into_the_shared_network() -> None:
    single = ResNet(InputSpec("cmr", (3, 32, 32)), depth=10, base_width=8, stem="small").eval()
    shared = made("resnet_places", SHORT).eval()
    load_weights(shared.network, single.state_dict())
    with torch.no_grad():
        shared.place_embed.zero_()
        x = batch(SHORT)
        torch.testing.assert_close(shared(x), torch.stack([single(x[:, 3 * p : 3 * p + 3]) for p in range(3)]).mean(0))


def test_tubelets_are_the_slow_ones() -> None:
    spec = cmr_spec(CmrPreparation(size_px=16, layout="video", video_phases=4))
    torch.manual_seed(0)
    encoder = VideoViT(spec, tubelet=2, patch=8, width=24, depth=1, heads=3)
    encoder.blocks, encoder.norm = torch.nn.Sequential(), torch.nn.Identity()
    images, place = torch.rand(2, 4, 16, 16), torch.tensor([2, 0])
    tokens = encoder.encode(images, place)
    kernel, bias = encoder.patch_embed.proj.weight, encoder.patch_embed.proj.bias
    for n in range(2):
        for t in range(2):
            for cell in range(4):
                row, column = 8 * (cell // 2), 8 * (cell % 2)
                part = images[n, 2 * t : 2 * t + 2, row : row + 8, column : column + 8]
                slow = (kernel * part).sum(dim=(1, 2, 3)) + bias + encoder.pos_embed[cell]
                slow = slow + encoder.time_embed[t] + encoder.place_embed[place[n]]
                torch.testing.assert_close(tokens[n, 4 * t + cell], slow)


@pytest.mark.parametrize("wrong", [
    {"tubelet": 2}, {"patch": 7}, {"heads": 5}, {"depth": 0}, {"drop_path": 1.0}, {"width": 6, "heads": 3},
])  # fmt: skip
def test_sizes_that_do_not_divide_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        build_encoder("vit_video", SHORT, **{"patch": 8, **wrong})


def test_planes_that_are_no_grid_and_batches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataContractError):
        ResNetPlaces(InputSpec("cmr", (2, 32, 32), names=("basal.a", "mid.b")))
    with pytest.raises(InputError):
        made("vit_video", SHORT)(torch.zeros(2, 9, 32, 24))
