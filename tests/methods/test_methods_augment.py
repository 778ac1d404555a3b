"""Augmentations and views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.data.crops import spaced_crops
from cardiobind.errors import ConfigError
from cardiobind.methods import augment_cmr
from cardiobind.methods.augment_cmr import CmrAugmentation, move
from cardiobind.methods.augment_ecg import (
    EcgAugmentation,
    crop_samples,
    fourier_surrogate,
    jitter,
    random_crop,
    rescale,
)
from cardiobind.methods.views import Views, corrupt_table
from cardiobind.modalities.cmr import ABSENT_VALUE


@pytest.fixture
def ecg():
    return torch.randn(6, 12, 100, generator=torch.Generator().manual_seed(0))


@given(seed=st.integers(0, 10_000), sd=st.floats(0, 5))
@settings(max_examples=50)
def test_defect_07_rescaling_never_flips_the_polarity(seed, sd):
    torch.manual_seed(seed)
    x = torch.ones(50, 12, 3)
    assert (rescale(x, sd) > 0).all()


def test_defect_07_the_whole_augmentation_keeps_the_polarity():
    torch.manual_seed(0)
    t = torch.arange(500) / 100
    spike = torch.exp(-(((t % 1) - 0.5) ** 2) / 0.001).expand(2000, 12, -1)
    seen = EcgAugmentation(phase=0.0)(spike)
    correlation = ((seen - seen.mean(2, keepdim=True)) * (spike - spike.mean(2, keepdim=True))).sum(2)
    assert (correlation > 0).float().mean() > 0.99
    unclamped = spike * (1 + 0.5 * torch.randn(2000, 12, 1))
    assert (unclamped.amax(2) <= 0).float().mean() == pytest.approx(0.023, abs=0.005)


def test_rescaling_is_one_factor_a_lead(ecg):
    torch.manual_seed(0)
    factor = rescale(ecg, 0.5) / ecg
    assert torch.allclose(factor, factor[:, :, :1].expand_as(factor), atol=1e-4)
    assert factor[:, :, 0].unique().numel() == 72


def test_surrogate_keeps_the_power_spectrum_and_moves_the_signal(ecg):
    torch.manual_seed(0)
    moved = fourier_surrogate(ecg, 0.3)
    before, after = (np.abs(np.fft.rfft(x.numpy())) for x in (ecg, moved))
    np.testing.assert_allclose(after[..., :-1], before[..., :-1], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(moved, ecg, atol=0.1)
    torch.testing.assert_close(fourier_surrogate(ecg, 0.0), ecg, atol=1e-5, rtol=0)


def test_surrogate_keeps_the_relation_of_the_leads(ecg):
    ecg[:, 1] = -2 * ecg[:, 0]
    torch.manual_seed(0)
    moved = fourier_surrogate(ecg, 0.3)
    torch.testing.assert_close(moved[:, 1], -2 * moved[:, 0], atol=1e-4, rtol=1e-4)


def test_jitter_has_its_standard_deviation():
    torch.manual_seed(0)
    assert jitter(torch.zeros(50, 12, 100), 0.2).std().item() == pytest.approx(0.2, rel=0.02)


def test_probability_is_a_part_of_the_records(ecg):
    torch.manual_seed(0)
    many = ecg[:1].expand(4000, -1, -1)
    altered = (EcgAugmentation(probability=0.25)(many) != many).flatten(1).any(1)
    assert altered.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert EcgAugmentation(probability=0.0)(ecg) is ecg


def test_random_crop_is_a_stretch_of_each_record_and_reaches_both_ends():
    x = torch.arange(20.0).expand(500, 12, 20) + 100 * torch.arange(500.0)[:, None, None]
    torch.manual_seed(0)
    crop = random_crop(x, 15)
    assert crop.shape == (500, 12, 15)
    start = crop[:, 0, 0] - 100 * torch.arange(500.0)
    assert set(start.tolist()) == {0, 1, 2, 3, 4, 5}
    torch.testing.assert_close(crop - crop[:, :, :1], torch.arange(15.0).expand(500, 12, 15))


def test_spaced_crops_cover_the_record():
    x = torch.arange(10.0).expand(1, 12, 10)
    assert [c[0, 0, 0].item() for c in spaced_crops(x, 4, 3)] == [0, 3, 6]
    assert [c[0, 0, 0].item() for c in spaced_crops(x, 4, 1)] == [3]
    assert all(c.shape == (1, 12, 4) for c in spaced_crops(x, 4, 3))


@pytest.mark.parametrize(("crop_s", "multiple"), [(0.0, 1), (2.1, 1), (1.03, 20), (-1.0, 1)])
def test_a_crop_that_does_not_fit_is_refused(crop_s, multiple):
    with pytest.raises(ConfigError, match="crop"):
        crop_samples(crop_s, 100, 200, multiple)


def test_cmr_view_keeps_shape_and_range():
    torch.manual_seed(0)
    x = (torch.rand(40, 3, 24, 24) - 0.5) / 0.25
    seen = CmrAugmentation(smallest_area=0.2)(x)
    assert seen.shape == x.shape
    assert -2.0 <= seen.min() <= seen.max() <= 2.0
    assert CmrAugmentation(probability=0.0)(x) is x


def test_cmr_views_have_the_same_bits_in_blocks_of_any_size_and_with_a_black_corner(monkeypatch):
    x = 4.0 * torch.rand(5, 3, 20, 20) - 2.0
    x[1, 2], x[2], x[3, :, 0, 0] = ABSENT_VALUE, ABSENT_VALUE, ABSENT_VALUE
    views = []
    for pixels in (1, 2 * 3 * 400, 10**6):
        monkeypatch.setattr(augment_cmr, "_BLOCK_PIXELS", pixels)
        torch.manual_seed(0)
        views.append(CmrAugmentation(probability=0.8)(x))
    assert all(torch.equal(views[0], view) for view in views[1:])
    assert (views[0][1, 2] == ABSENT_VALUE).all()
    assert (views[0][2] == ABSENT_VALUE).all()


def test_cmr_frames_of_a_subject_move_together():
    torch.manual_seed(0)
    x = torch.rand(8, 1, 16, 16).expand(-1, 3, -1, -1)
    seen = CmrAugmentation()(x)
    torch.testing.assert_close(seen[:, 0], seen[:, 2])


@pytest.mark.parametrize("planes", [3, 9, 24, 18])
def test_cmr_views_take_every_layout_and_keep_absent_planes(planes):
    torch.manual_seed(0)
    image = torch.rand(6, 1, 16, 16) * 3.9 - 1.9
    x = image.repeat(1, planes, 1, 1)
    x[2:, -3:] = ABSENT_VALUE
    seen = CmrAugmentation(probability=1.0)(x)
    assert bool((seen[2:, -3:] == ABSENT_VALUE).all())
    torch.testing.assert_close(seen[:, :-3], seen[:, :1].expand(-1, planes - 3, -1, -1))
    torch.testing.assert_close(seen[:2, -1], seen[:2, 0])


def test_absent_planes_do_not_darken_the_mean_that_contrast_turns_about():
    x = torch.rand(4, 6, 16, 16) * 3.9 - 1.9
    x[:, 3:] = ABSENT_VALUE
    torch.manual_seed(0)
    with_absent = CmrAugmentation(probability=1.0)(x)
    torch.manual_seed(0)
    alone = CmrAugmentation(probability=1.0)(x[:, :3])
    torch.testing.assert_close(with_absent[:, :3], alone)


@pytest.mark.parametrize(
    ("affine", "expected"),
    [
        ([[1.0, 0, 0], [0, 1, 0]], lambda x: x),
        ([[-1.0, 0, 0], [0, 1, 0]], lambda x: x.flip(3)),
        ([[1.0, 0, 0], [0, -1, 0]], lambda x: x.flip(2)),
        ([[0.0, 1, 0], [-1, 0, 0]], lambda x: torch.rot90(x, -1, (2, 3))),
    ],
)
def test_move_has_its_closed_forms(affine, expected):
    x = torch.rand(1, 2, 8, 8)
    torch.testing.assert_close(move(x, torch.tensor([affine])), expected(x), atol=1e-5, rtol=1e-5)


def test_outside_of_the_image_is_black():
    assert move(torch.ones(1, 1, 8, 8), torch.tensor([[[3.0, 0, 0], [0, 3, 0]]]))[0, 0, 0, 0] == 0


def test_rotation_is_orthogonal_for_a_whole_image():
    torch.manual_seed(0)
    affine = CmrAugmentation(smallest_area=1.0)._affine(500, torch.device("cpu"))
    area = torch.linalg.det(affine[:, :, :2]).abs()
    assert (area <= 1.001).all()
    assert area.median() > 0.8


def test_corruption_draws_from_the_columns_marginal_and_keeps_gaps_with_values():
    torch.manual_seed(0)
    value = torch.arange(1000.0)[:, None] + 10_000 * torch.arange(3)
    observed = (torch.arange(1000) % 4 > 0).float()[:, None].expand(-1, 3)
    table = torch.stack([value * observed, observed], 2)
    seen = corrupt_table(table, 0.3)
    changed = (seen != table).any(2)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.02)
    for column in range(3):
        assert set(seen[:, column, 0].tolist()) <= set(table[:, column, 0].tolist())
    assert ((seen[..., 1] == 0) == (seen[..., 0] == 0)).all()
    assert seen[..., 1].mean().item() == pytest.approx(0.75, abs=0.02)


def test_corruption_is_that_of_its_definition_entry_by_entry():
    table = torch.randn(6, 4, 2)
    torch.manual_seed(1)
    found = corrupt_table(table, 0.5)
    torch.manual_seed(1)
    donors, noise = torch.randint(6, (6, 4)), torch.rand(6, 4)
    for row in range(6):
        for column in range(4):
            source = donors[row, column] if noise[row, column] < 0.5 else row
            assert torch.equal(found[row, column], table[source, column])


def test_defect_05_every_subject_is_a_donor():
    """Also the first one, which a header row once swallowed."""
    torch.manual_seed(0)
    table = torch.stack([torch.arange(5.0)[:, None], torch.ones(5, 1)], 2)
    drawn = torch.cat([corrupt_table(table, 1.0)[:, 0, 0] for _ in range(400)])
    assert np.bincount(drawn.long()).min() > 300


def test_views_are_fixed_in_evaluation(specs, ecg):
    views = Views.of(specs, crop_s=1.0, probability=0.95, corruption=0.3)
    x = torch.randn(4, 12, 200)
    crops = views.fixed("ecg", x, 3)
    assert [c.shape[2] for c in crops] == [100, 100, 100]
    assert torch.equal(crops[1], x[:, :, 50:150])
    assert views.fixed("tabular", x)[0] is x
    assert views.random("tabular", x[:0]).shape == (0, 12, 200)


@pytest.mark.parametrize("options", [{"probability": 1.5, "corruption": 0.0}, {"probability": 0.0, "corruption": -0.1}])
def test_views_refuse_impossible_probabilities(specs, options):
    with pytest.raises(ConfigError, match="probability"):
        Views.of(specs, crop_s=None, **options)
