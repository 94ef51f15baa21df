"""Config-as-code training and honest evaluation of PTB-XL electrocardiogram models."""

__version__ = "0.2.0"
