"""What a checkpoint states beside its weights, so that they can be used on the next record, and on no wrong one."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from projection.errors import ProjectionError

Contract = Mapping[str, Any]
"""version, class_names, lead_names, sampling_rate (Hz), unit, preprocess, window and stride (s), aggregation, data;
after `fit` also operating_point: the criterion, thresholds by class and temperature that the validation folds gave."""

# how records are judged may be chosen anew, what the weights learned may not
_CHOICES = ("window", "stride", "aggregation")


def check_contract(learned: Contract | None, own: Contract) -> None:
    """Refuse a checkpoint that states nothing (None), or that contradicts what the model would state of itself."""
    if learned is None:
        raise ProjectionError(
            "The checkpoint does not state its classes, leads and preprocessing: it is of another model, or of a "
            "version of projection before 0.2. Train it again."
        )
    if missing := own.keys() - learned.keys():
        raise ProjectionError(f"The checkpoint does not state its {', '.join(sorted(missing))}: it is damaged.")
    for name, hint in (
        ("class_names", "Give data of these classes, in this order; those of PTB-XL follow from data.labels."),
        ("lead_names", "Give the data with these leads, in this order."),
        ("sampling_rate", "Give data of the same sampling rate."),
        ("preprocess", "Use the config.yaml of its run, or set model.init_args.preprocess accordingly."),
    ):
        if own[name] is not None and learned[name] != own[name]:
            raise ProjectionError(f"The checkpoint learned {_differing(name, learned[name], own[name])}. {hint}")
    for name in _CHOICES:
        if learned[name] != own[name]:
            rank_zero_warn(
                f"The checkpoint was trained with model.init_args.{name} {_said(learned[name])}; it is judged with "
                f"{_said(own[name])}, as configured."
            )


def _differing(name: str, learned: Any, own: Any) -> str:
    if name == "class_names":
        return f"{len(learned)} classes ({_first(learned)}), but the data has {len(own)} ({_first(own)})"
    if name == "sampling_rate":
        return f"from records at {learned} Hz, but the data has {own} Hz"
    what = {"lead_names": "leads", "preprocess": "with preprocess:"}[name]
    return f"{what} {_listed(learned)}, but here they are {_listed(own)}"


def _first(names: Sequence[str]) -> str:
    return ", ".join([*names[:5], *(["..."] if len(names) > 5 else [])])


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values) or "none"


def _said(value: Any) -> str:
    return "null" if value is None else str(value)
