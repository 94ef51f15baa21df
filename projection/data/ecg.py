"""What a task may ask of its data."""

from lightning.pytorch import LightningDataModule


class ECGDataModule(LightningDataModule):
    """What a task may ask of its data. Derive from it to bring another data set."""

    class_names: tuple[str, ...]
    """Names of the classes, in the order of the label columns; known before any file is read."""
    lead_names: tuple[str, ...]
    """Names of the leads, in the order of the signals; known before any file is read."""
    sampling_rate: int
    """In Hz; known after `setup`."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def mean_and_std(self) -> tuple[float, float]:
        """Compute mean and standard deviation of the training signals, over all leads and samples.

        Returns:
            Both in mV.
        """
        raise NotImplementedError
