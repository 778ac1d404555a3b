"""The image against everything else together, as in the paper, and with gaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.align.base import EVALUATED, Align
from cardiobind.methods.align.phenotypes import at_rows
from cardiobind.methods.base import METHODS, Present, Step, embedding_spread, finite, having, zero_loss
from cardiobind.methods.predict import restrict
from cardiobind.models import ProjectionHead, Tower
from cardiobind.objectives import gather_rows, info_nce
from cardiobind.training.protocol import Outputs


@METHODS.register("align_joint")
class AlignJoint(Align):
    """One CLIP loss: the image against ECG and table together.

    A subject needs all of them, or, with `gaps`, the image and one of the others; a learnt token stands for the other.

    Args:
        towers: pre-trained, by modality: ``cmr`` and one or both of ``ecg`` and ``tabular``.
        projection: width of the embeddings that are compared.
        temperature: of the loss, where it starts if it is learnt.
        learn_temperature: whether it is learnt, within [0.01, 1].
        weight: of the direction image to the others; the other has ``1 - weight``.
        gaps: whether subjects who lack ECG or table take part.
        modality_dropout: probability with which training hides ECG or table of who has both, never both.
        crop_s: length of the random ECG crops, None for the whole record.
        augment_probability: with which an ECG or a CMR is augmented.
        corruption: probability of replacing an entry of the table.
        chunk: subjects that go through an encoder at a time, None for all: less memory, each computed twice.
        alike_above: cosine above which two subjects are no negatives of one another, None for no such subjects.
        alike_by: what they are compared by: the values of the table (``tabular``) or their ``embeddings``.

    Raises:
        ConfigError: a tower is lacking, or an option is out of range.

    Source: arXiv 2411.05900, section 3.2; the token and the dropout after ml4h DROPFUSE.
    """

    def __init__(
        self, towers: Mapping[str, Tower], *, projection: int = 128, temperature: float = 0.1,
        learn_temperature: bool = False, weight: float = 0.5, gaps: bool = False, modality_dropout: float = 0.0,
        crop_s: float | None = None, augment_probability: float = 0.95, corruption: float = 0.3,
        chunk: int | None = None, alike_above: float | None = None, alike_by: str = "tabular",
    ) -> None:  # fmt: skip
        super().__init__(
            towers, temperature=temperature, learn_temperature=learn_temperature, crop_s=crop_s,
            augment_probability=augment_probability, corruption=corruption, chunk=chunk, alike_above=alike_above,
            alike_by=alike_by,
        )  # fmt: skip
        if "cmr" not in towers or len(towers) < 2:
            raise ConfigError(
                "joint alignment needs the image and something else", expected="cmr and one or both of ecg, tabular",
                got=tuple(towers), hint="align_all_pairs takes any two modalities",
            )  # fmt: skip
        if not 0.0 <= modality_dropout < 1.0:
            raise ConfigError("out of range", where="modality_dropout", expected="[0, 1)", got=modality_dropout)
        self.others = tuple(name for name in towers if name != "cmr")
        width = sum(towers[name].width for name in self.others)
        self.head = ProjectionHead(width, width, projection)
        self.image_head = ProjectionHead(towers["cmr"].width, towers["cmr"].width, projection)
        self.projection, self.weight = projection, weight
        self.gaps, self.modality_dropout = gaps, modality_dropout
        tokens = {name: 0.02 * torch.randn(towers[name].width) for name in self.others}
        self.absent = nn.ParameterDict(tokens if gaps or modality_dropout else {})

    def taking_part(self, batch: Batch) -> Batch:
        """Return the part of a batch that has what the method needs."""
        others = torch.stack([batch.present[name] for name in self.others])
        who = batch.present["cmr"] & (others.any(dim=0) if self.gaps else others.all(dim=0))
        return restrict(batch, self.modalities, who)

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the embeddings (n, projection) of image and others, of the n subjects that have what is needed."""
        batch = self.taking_part(batch)
        if batch.size == 0:
            empty = next(self.parameters()).new_zeros(0, self.projection)
            return empty, empty
        shown = {name: self.show(name, batch.signals[name]) for name in self.modalities if len(batch.signals[name])}
        features = {name: self.through(name, x) for name, x in shown.items()}
        return self.image_head(features["cmr"]), self.head(self.side_by_side(features, batch))

    @property
    def spaces(self) -> tuple[str, ...]:
        """The image, and the others together."""
        return ("cmr", "+".join(self.others))

    def shared_space(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the normalised embeddings (B, projection) of the image and of the others together, NaN where absent.

        Who lacks one of the others has none of them, but where the learnt token stands for it.
        """
        found = {}
        if "cmr" in features:
            found["cmr"] = at_rows(F.normalize(self.image_head(features["cmr"]), dim=1), present["cmr"])
        have = torch.stack([present[name] for name in self.others], dim=1)
        who = have.any(dim=1) if self.absent else have.all(dim=1)
        if bool(who.any()):
            told = {name: features[name][who[present[name]]] for name in self.others if name in features}
            z = self.head(self.beside_one_another(told, have[who]))
            found["+".join(self.others)] = at_rows(F.normalize(z, dim=1), who)
        return found

    def side_by_side(self, features: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return (n, sum of widths): what the towers of the others say, or the learnt token where one is absent."""
        return self.beside_one_another(features, torch.stack([batch.present[name] for name in self.others], dim=1))

    def beside_one_another(self, features: Mapping[str, Tensor], have: Tensor) -> Tensor:
        """Return (n, sum of widths); `have` (n, others) says who has which, all of them where there are no tokens."""
        if not self.absent:
            return torch.cat([features[name] for name in self.others], dim=1)
        shown = self._keep(have)
        return torch.cat([self._column(m, features, have[:, i], shown[:, i]) for i, m in enumerate(self.others)], dim=1)

    def _keep(self, have: Tensor) -> Tensor:
        if not self.training or self.modality_dropout == 0.0:
            return have
        noise = torch.rand(have.shape, device=have.device).masked_fill(~have, -1.0)
        spared = torch.zeros_like(have).scatter_(1, noise.argmax(dim=1, keepdim=True), True)
        return have & (spared | (noise >= self.modality_dropout))

    def _column(self, name: str, features: Mapping[str, Tensor], have: Tensor, shown: Tensor) -> Tensor:
        absent: Tensor = self.absent[name].expand(len(have), -1)
        if name not in features:
            return absent
        told = features[name]
        filled = absent.to(told.dtype).index_copy(0, have.nonzero().flatten(), told)
        return torch.where(shown[:, None], filled, absent.to(told.dtype))

    def training_step(self, batch: Batch) -> Step:
        """Return the CLIP loss of image and others over the subjects of all processes."""
        self.sharpness.keep_within()
        image, others = (gather_rows(z) for z in self.embed(batch))
        if len(image) < 2:
            return Step(zero_loss(list(self.parameters())))
        logs = {"spread_image": embedding_spread(image), "spread_others": embedding_spread(others)}
        everyone = dict.fromkeys(("image", "others"), torch.ones(len(image), dtype=torch.bool, device=image.device))
        alike = self.alike(self.taking_part(batch), {"image": image, "others": others}, everyone)
        loss = info_nce(image, others, self.temperature, self.weight, alike=alike)
        return self.step(loss, logs, {}, batch)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return the embeddings of image and others.

        Raises:
            TrainingError: one is not finite.
        """
        image, others = (finite(z, "validation embeddings") for z in self.embed(batch))
        return {"image": image, "others": others}

    @torch.no_grad()
    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return loss, recall in both directions, spread and collapse over the first `EVALUATED` subjects."""
        image, others = (torch.from_numpy(outputs[name][:EVALUATED]).to(self.device) for name in ("image", "others"))
        if len(image) < 2:
            return {"loss": float("nan")}
        loss = float(info_nce(image, others, self.temperature, self.weight))
        scores = self.scores("image~others", image, others)
        return {"loss": loss} | scores | self.health({"image": image, "others": others})

    def usable(self, present: Present) -> Any:
        """Return who has all modalities, or with `gaps` the image and one of the others."""
        if self.gaps:
            return present["cmr"] & having(present, self.others, 1)
        return having(present, self.modalities, len(self.modalities))
