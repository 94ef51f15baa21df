"""What a user brings: plain PyTorch and Lightning, nothing of projection."""

import torch
from lightning.pytorch import LightningModule
from torch import nn


class TutorialModel(LightningModule):
    """A model as in any Lightning tutorial, with neither a validation step nor metrics."""

    def __init__(self, hidden: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12 * 1000, hidden), nn.ReLU(), nn.Linear(hidden, 71))

    def training_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        x, y = batch
        return nn.functional.binary_cross_entropy_with_logits(self.layers(x), y)

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class ValidatedModel(TutorialModel):
    """Logs a validation metric of its own."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        assert num_classes == 71

    def validation_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        self.log("val_loss", self.training_step(batch, batch_idx))


class MeanNet(nn.Module):
    """A network of a user's own."""

    def __init__(self, channels: int, outputs: int, scale: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, outputs)
        self.scale = scale

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.linear(self.scale * x.std(dim=2))
