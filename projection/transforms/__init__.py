"""What happens to a batch on the device."""

from projection.transforms.amplitude import AmplitudeScaling, GaussianNoise
from projection.transforms.apply import RandomApply
from projection.transforms.crop import RandomCrop
from projection.transforms.interference import BaselineWander, PowerLineInterference
from projection.transforms.masking import LeadDropout, TimeMask
from projection.transforms.mixup import Mixup
from projection.transforms.normalise import Normalise
from projection.transforms.spectrum import BandPass, FourierSurrogate, Resample
from projection.transforms.transform import Transform, seed_of, seeded_generator
from projection.transforms.warp import TimeWarp

__all__ = [
    "AmplitudeScaling",
    "BandPass",
    "BaselineWander",
    "FourierSurrogate",
    "GaussianNoise",
    "LeadDropout",
    "Mixup",
    "Normalise",
    "PowerLineInterference",
    "RandomApply",
    "RandomCrop",
    "Resample",
    "TimeMask",
    "TimeWarp",
    "Transform",
    "seed_of",
    "seeded_generator",
]
