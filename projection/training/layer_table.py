"""The table of a model's layers."""

from typing import Any

from lightning.pytorch.callbacks import ModelSummary
from typing_extensions import override

_SHOWN = ("Name", "Type", "Params", "In sizes", "Out sizes")


class LayerTable(ModelSummary):
    """Show the parts of the model that have parameters.

    Lightning's table shows all parts, and operations that it did not count as 0.

    Args:
        max_depth: How many levels of nested modules are shown (0: no table; -1: all).
    """

    def __init__(self, max_depth: int = 1) -> None:
        super().__init__(max_depth)

    @staticmethod
    @override
    def summarize(
        summary_data: list[tuple[str, list[str]]], total_parameters: int, trainable_parameters: int, *_: Any, **__: Any
    ) -> None:
        from rich import print
        from rich.table import Table

        columns = {name: values for name, values in summary_data if name in _SHOWN}
        table = Table(*columns)
        for row in zip(*columns.values(), strict=True):
            if row[_SHOWN.index("Params")].strip() != "0":
                table.add_row(*row)
        frozen = total_parameters - trainable_parameters
        print(table)
        print(f"{trainable_parameters:,} parameters are trained, {frozen:,} are not.")
