"""The ViT over single leads: absent leads are not seen, whatever stands there."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.modalities.ecg import EcgPreparation, normalise_by_lead_group, prepare_ecg
from cardiobind.modalities.records import LEADS, EcgRecord
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import AttentionPool, LeadViT, MaskedAutoencoder, MeanPool
from cardiobind.testing import check_encoder


def spec(rate_hz: float = 100.0, duration_s: float = 1.0) -> InputSpec:
    return InputSpec("ecg", (12, round(rate_hz * duration_s)), rate_hz=rate_hz, names=LEADS)


def lead_vit(inputs: InputSpec | None = None, *, separators: bool = False) -> LeadViT:
    torch.manual_seed(0)
    return LeadViT(inputs or spec(), width=24, depth=2, heads=3, separators=separators).eval()


def without(x: torch.Tensor, leads: list[int]) -> torch.Tensor:
    x = x.clone()
    x[:, leads] = 0.0
    return x


@pytest.mark.parametrize("separators", [False, True])
def test_tokens_of_leads_that_are_there_are_those_of_a_network_that_never_had_the_others(separators: bool) -> None:
    model, x = lead_vit(separators=separators), torch.randn(2, 12, 100)
    kept = [1, 6, 10]
    tokens = model(without(x, [i for i in range(12) if i not in kept])).unflatten(1, (12, 5))
    patches = model.patchify(x)
    places = torch.tensor([[5 * lead + i for lead in kept for i in range(5)]]).expand(2, -1)
    alone = model.encode(model.embed(patches, places)).unflatten(1, (3, 5))
    torch.testing.assert_close(tokens[:, kept], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(MeanPool()(tokens.flatten(1, 2)), alone.mean(dim=(1, 2)), rtol=1e-4, atol=1e-5)


def test_a_lead_of_nan_is_as_absent_as_one_of_zeros() -> None:
    model, x = lead_vit(), torch.randn(3, 12, 100)
    zeros, nans = without(x, [0, 4]), x.clone()
    nans[:, [0, 4]] = torch.nan
    assert torch.equal(model(zeros), model(nans))
    assert not torch.allclose(model(zeros), model(x))


def test_each_subject_of_a_batch_has_its_own_leads() -> None:
    model, x = lead_vit(), torch.randn(3, 12, 100)
    x[0, 3:] = 0.0
    x[1, :11] = 0.0
    whole = model(x)
    for i in range(3):
        torch.testing.assert_close(whole[i], model(x[i : i + 1])[0], rtol=1e-4, atol=1e-5)
    assert bool(AttentionPool(24)(whole).isfinite().all())
    assert bool(model(torch.zeros(1, 12, 100)).isfinite().all())


def test_separators_keep_the_contract_and_change_the_tokens() -> None:
    torch.manual_seed(0)
    check_encoder(partial(LeadViT, width=24, depth=1, heads=3, separators=True), spec())
    x = torch.randn(2, 12, 100)
    with_ends, without_ends = lead_vit(separators=True), lead_vit()
    without_ends.load_state_dict(with_ends.state_dict(), strict=False)
    assert with_ends(x).shape == without_ends(x).shape
    assert not torch.allclose(with_ends(x), without_ends(x))


def test_leads_are_told_apart_by_their_embedding() -> None:
    model, x = lead_vit(), torch.zeros(1, 12, 100)
    signal = torch.randn(100)
    first, second = x.clone(), x.clone()
    first[0, 0], second[0, 7] = signal, signal
    assert not torch.allclose(model(first).mean(dim=1), model(second).mean(dim=1))


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 500.0])
def test_every_rate_gives_the_same_tokens_in_number(rate_hz: float) -> None:
    model = lead_vit(spec(rate_hz, 2.0))
    assert model.patch == (1, round(0.2 * rate_hz))
    assert model(torch.randn(1, 12, round(2 * rate_hz))).shape == (1, 120, 24)


def test_a_patch_that_is_no_whole_number_of_samples_is_refused() -> None:
    with pytest.raises(ConfigError, match="whole"):
        LeadViT(spec(), patch_s=0.015)


def test_masking_hides_the_same_part_of_what_a_subject_has() -> None:
    model = MaskedAutoencoder(lead_vit(), mask_ratio=0.8, decoder_width=16, decoder_depth=1, decoder_heads=2)
    x = torch.randn(3, 12, 100)
    x[0, 1:] = 0.0
    x[1, 4:] = 0.0
    masking = model.random_masking(model.encoder.patchify(x))
    assert masking.hidden.sum(dim=1).tolist() == [4, 16, 48]
    assert masking.seen is not None
    assert masking.seen.sum(dim=1).tolist() == [1, 4, 12]
    assert masking.present is not None
    assert not bool((masking.hidden & ~masking.present).any())
    shown = torch.zeros(3, 60, dtype=torch.bool).scatter(1, masking.visible, masking.seen)
    assert torch.equal(shown | masking.hidden, masking.present)


def test_reconstruction_does_not_depend_on_what_others_of_the_batch_lack() -> None:
    model = MaskedAutoencoder(lead_vit(), mask_ratio=0.5, decoder_width=16, decoder_depth=1, decoder_heads=2).eval()
    x = torch.randn(2, 12, 100)
    patches = model.encoder.patchify(x)
    torch.manual_seed(1)
    masking = model.random_masking(patches)
    full = model.forward_decoder(model.forward_encoder(patches, masking), masking)
    x[1, 6:] = 0.0
    patches = model.encoder.patchify(x)
    torch.manual_seed(1)
    masking = model.random_masking(patches)
    mixed = model.forward_decoder(model.forward_encoder(patches, masking), masking)
    torch.testing.assert_close(mixed[0], full[0], rtol=1e-4, atol=1e-5)


def test_a_record_without_some_leads_reaches_the_blocks_without_them() -> None:
    settings = EcgPreparation(rate_hz=100, duration_s=1.0)
    wave = np.random.default_rng(0).normal(size=(12, 100)).astype(np.float32)
    wave[[2, 7, 8]] = np.nan
    prepared = normalise_by_lead_group(prepare_ecg(EcgRecord(wave, 100.0), settings)[None])
    model = lead_vit()
    present = model.present(model.patchify(torch.from_numpy(prepared)))
    assert present is not None
    assert present.reshape(12, 5).all(dim=1).tolist() == [lead not in (2, 7, 8) for lead in range(12)]
    assert present.reshape(12, 5).any(dim=1).tolist() == present.reshape(12, 5).all(dim=1).tolist()
