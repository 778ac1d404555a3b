"""Masked reconstruction of tables: hide observed entries, predict them from the rest of the row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.base import METHODS, Step, having, require_modality, zero_loss
from cardiobind.methods.contrast import EVALUATED
from cardiobind.methods.table_errors import TableErrors, summary
from cardiobind.methods.views import Views
from cardiobind.models import Encoder, MeanPool, ProjectionHead, TableDecoder, TabularTransformer, Tower
from cardiobind.models.tabular import cardinality_of
from cardiobind.objectives import gather_rows, nt_xent
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs


@METHODS.register("masked_table")
class MaskedTable(nn.Module):
    """Predicts hidden entries of a table from the others; with a weight, contrasts corrupted views as SCARF does too.

    Only entries that were observed are hidden and predicted: a missing value is neither learnt from nor guessed at. A
    hidden entry looks to the encoder like a missing one, so what is learnt is how to do without it.

    Args:
        encoder: of tables; it holds the pre-trained weights afterwards. A `TabularTransformer` predicts each feature
            from its own token, any other encoder all features from the mean of its tokens.
        mask_ratio: probability of hiding an observed entry; 0.5 in TIP's published settings.
        reconstruction_weight: of the reconstruction in the loss.
        contrastive_weight: of the contrast of two corrupted views; 0 leaves it out.
        corruption: probability of replacing an entry in these views.
        temperature: of the contrast.
        projection: width of the embeddings that are contrasted.

    Raises:
        ConfigError: the encoder is for another modality, or an option is out of range.

    Source: Du et al. 2024 (TIP, ECCV), section 3.2, equations of the masked tabular reconstruction; Bahri et al. 2022
        (SCARF) for the contrast.
    """

    monitor = "loss"
    higher_is_better = False

    def __init__(
        self, encoder: Encoder, *, mask_ratio: float = 0.5, reconstruction_weight: float = 1.0,
        contrastive_weight: float = 0.0, corruption: float = 0.3, temperature: float = 0.1, projection: int = 128,
    ) -> None:  # fmt: skip
        super().__init__()
        require_modality(encoder.inputs.modality, ("tabular",), "masked_table")
        if not 0.0 < mask_ratio < 1.0:
            raise ConfigError("mask_ratio is out of range", where="masked_table", expected="(0, 1)", got=mask_ratio)
        if not (reconstruction_weight > 0.0 and contrastive_weight >= 0.0):
            raise ConfigError(
                "a weight is out of range", where="masked_table", got=f"{reconstruction_weight}, {contrastive_weight}",
                expected="reconstruction_weight > 0, contrastive_weight >= 0", hint="scarf has the contrast alone",
            )  # fmt: skip
        self.modalities: tuple[str, ...] = ("tabular",)
        self.mask_ratio, self.temperature = mask_ratio, temperature
        self.weights = (reconstruction_weight, contrastive_weight)
        self.tower = Tower(encoder, MeanPool())
        self.decoder = TableDecoder(cardinality_of(encoder.inputs), encoder.width)
        self.views = Views.of({"tabular": encoder.inputs}, crop_s=None, probability=0.0, corruption=corruption)
        self.head = None
        if contrastive_weight:
            self.head = ProjectionHead(encoder.width, encoder.width, projection, batch_norm=True)

    def hide(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return a table (B, features, 2) in which observed entries became missing, and which, (B, features) bool."""
        hidden = (torch.rand(x.shape[:2], device=x.device) < self.mask_ratio) & (x[..., 1] != 0)
        return x.masked_fill(hidden[..., None], 0.0), hidden

    def tokens(self, x: Tensor) -> Tensor:
        """Return what the entries of a table are predicted from: (B, features, width), or (B, 1, width) for all."""
        encoder = self.tower.encoder
        if isinstance(encoder, TabularTransformer):
            return encoder.encode(x)[:, 1:]
        return encoder(x).mean(dim=1, keepdim=True)  # type: ignore[no-any-return]

    def errors(self, x: Tensor) -> TableErrors:
        """Return how well hidden entries of a table (B, features, 2) are predicted."""
        shown, hidden = self.hide(x)
        return TableErrors.of(self.decoder, self.tokens(shown), x, hidden)

    def contrast(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings (B, projection) of two corrupted views; with no weight on them, empty ones."""
        if self.head is None:
            return x.new_zeros(len(x), 0), x.new_zeros(len(x), 0)
        views = torch.cat([self.views.random("tabular", x) for _ in range(2)])
        z1, z2 = self.head(self.tower(views)).chunk(2)
        return z1, z2

    def training_step(self, batch: Batch) -> Step:
        """Return the weighted sum of reconstruction and contrast, over the subjects of all processes."""
        x = batch.signals["tabular"]
        found = TableErrors(*map(gather_rows, self.errors(x)))
        parts = {"reconstruction": self.weights[0] * found.mean()}
        z1, z2 = map(gather_rows, self.contrast(x))
        if z1.shape[1] and len(z1) > 1:
            parts["contrast"] = self.weights[1] * nt_xent(z1, z2, self.temperature)
        return Step(torch.stack([*parts.values(), zero_loss([z1, z2])]).sum(), parts=parts)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return the errors of each subject and the embeddings of two views, the same at each validation."""
        x = batch.signals["tabular"]
        z1, z2 = self.contrast(x)
        return {**self.errors(x)._asdict(), "z1": z1, "z2": z2}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the loss, the mean squared error of numbers, and cross-entropy and accuracy of categories."""
        found = summary(outputs)
        loss = self.weights[0] * found.pop("loss", float("nan"))
        z1, z2 = (torch.from_numpy(outputs[name][:EVALUATED]) for name in ("z1", "z2"))
        if z1.shape[1] and len(z1) > 1:
            found["contrast"] = float(nt_xent(z1, z2, self.temperature))
            loss += self.weights[1] * found["contrast"]
        return {"loss": loss, **found}

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Any) -> Any:
        """Return who has a row in the table."""
        return having(present, self.modalities, 1)
