"""What happens to a training batch on the device."""

from projection.transforms.amplitude import AmplitudeScaling, GaussianNoise
from projection.transforms.crop import RandomCrop
from projection.transforms.transform import Transform

__all__ = ["AmplitudeScaling", "GaussianNoise", "RandomCrop", "Transform"]
