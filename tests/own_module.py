"""What a user brings: plain PyTorch and Lightning, nothing of projection."""

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


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


class TwoLeads(LightningDataModule):
    """Records of a user's own, whose labels their means tell; nothing of projection."""

    def __init__(self, path: str = "nowhere", batch_size: int = 32, val_folds: int = 3) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.given = (path, batch_size, val_folds)

    def loader(self, first):  # type: ignore[no-untyped-def]
        x = torch.randn(80, 2, 50, generator=torch.Generator().manual_seed(first))
        return DataLoader(TensorDataset(x, (x.mean(dim=2) > 0).float()), self.batch_size)

    def train_dataloader(self):  # type: ignore[no-untyped-def]
        return self.loader(0)

    def val_dataloader(self):  # type: ignore[no-untyped-def]
        return self.loader(1)

    def test_dataloader(self):  # type: ignore[no-untyped-def]
        return self.loader(2)

    def predict_dataloader(self):  # type: ignore[no-untyped-def]
        return self.loader(2)


class MeanModel(LightningModule):
    """A model of a user's own whose steps return probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.linear(x.mean(dim=2))

    def training_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        return nn.functional.binary_cross_entropy_with_logits(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        self.log("val/loss", self.training_step(batch, batch_idx))
        return self(batch[0]).sigmoid()

    def test_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        return self(batch[0]).sigmoid()

    predict_step = test_step

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SureNet(MeanNet):
    """A network whose logits are all beyond 20."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return super().forward(x).sigmoid() + 20


def make_net(leads: int, classes: int) -> nn.Module:
    """No class: what a checkpoint may not call."""
    raise AssertionError("called")
