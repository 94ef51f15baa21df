"""Drawings read as people read them: charts by the numbers at their axes, electrocardiograms by their paper."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree.ElementTree import Element, fromstring

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""`(points, 2)`."""


def points(data: str) -> Points:
    """Read the points of a path of straight lines."""
    found: list[list[float]] = []
    for command, text in re.findall(r"([MLHV])([^MLHVZ]*)", data):
        values = [float(value) for value in text.split()]
        found.append({"H": lambda v: [*v, found[-1][1]], "V": lambda v: [found[-1][0], *v]}.get(command, list)(values))
    return np.array(found)


def numbers(data: str) -> list[float]:
    """Read the numbers in a path."""
    return [float(each) for each in re.findall(r"-?\d+\.?\d*", data)]


def kind(node: Element) -> str:
    return node.get("class") or ""


class Chart:
    """A chart, its marks in the units of its axes."""

    def __init__(self, svg: str) -> None:
        self.root = fromstring(svg)
        self.nodes = list(self.root.iter())
        self.texts = [node.text for node in self.root.iter("text")]
        labels = [node for node in self.root.iter("text") if kind(node) == "axis"]
        # across, then up, which is turned
        self.labels = [node.text for node in sorted(labels, key=lambda node: "rotate" in node.get("transform", ""))]
        self._x, self._y = self._scale("V"), self._scale("H")

    def lines(self, wanted: str) -> list[Points]:
        """Read the lines of a kind, such as `line s0`."""
        return [self.read(points(node.get("d", ""))) for node in self.root.iter("path") if kind(node) == wanted]

    def curves(self, style: int = 0) -> list[Points]:
        """Read the lines of a series, other than whiskers."""
        return [line for line in self.lines(f"line s{style}") if len(set(line[:, 0])) > 1]

    def dots(self, style: int = 0) -> Points:
        """Read the dots of a series."""
        found = [node for node in self.root.iter("circle") if kind(node) == f"dot f{style}"]
        return self.read(np.array([[float(node.get(name, "")) for name in ("cx", "cy")] for node in found]))

    def whiskers(self, style: int = 0) -> Points:
        """Read vertical intervals, `(intervals, 3)`: abscissa, lower and upper end."""
        found = [line for line in self.lines(f"line s{style}") if len(set(line[:, 0])) == 1]
        return np.array([[line[0, 0], line[:, 1].min(), line[:, 1].max()] for line in found])

    def bands(self, style: int = 0) -> list[Points]:
        """Read areas, each `(abscissae, 3)`: abscissa, lower and upper end."""
        found = []
        for area in self.lines(f"band f{style}"):
            xs = np.unique(area[:, 0])
            ends = [area[area[:, 0] == x, 1] for x in xs]
            found.append(np.array([[x, ys.min(), ys.max()] for x, ys in zip(xs, ends, strict=True)]))
        return found

    def read(self, places: Points) -> Points:
        """Turn places on the paper into values."""
        return np.stack([np.polyval(self._x, places[:, 0]), np.polyval(self._y, places[:, 1])], axis=1)

    def _scale(self, direction: str) -> NDArray[np.float64]:
        """Fit a straight line from places to the numbers written at an axis."""
        marks = []
        for line, text in pairwise(self.nodes):
            data = line.get("d", "")
            if kind(line) == "grid" and direction in data:
                # the number stands at its line
                side, place = ("x", numbers(data)[0]) if direction == "V" else ("y", numbers(data)[1])
                assert abs(float(text.get(side, "")) - place) < 5
                marks.append((place, float((text.text or "").replace(",", ""))))
        if len(marks) < 2:
            return np.zeros(2)
        places, values = np.array(marks).T
        fit: NDArray[np.float64] = np.polyfit(places, values, 1)
        # numbers rise to the right and upwards, within the frame
        assert (fit[0] > 0) == (direction == "V")
        for frame in self.root.iter("rect"):
            if kind(frame) == "frame":
                start, size = (
                    float(frame.get(n, "")) for n in (("x", "width") if direction == "V" else ("y", "height"))
                )
                assert all(start - 0.1 <= place <= start + size + 0.1 for place in places)
        # coordinates have one decimal
        assert np.abs(np.polyval(fit, places) - values).max() < 0.2 * abs(fit[0])
        return fit


@dataclass(frozen=True)
class Strip:
    """A part of a lead as it is drawn: places on the paper, seconds and millivolts."""

    lead: str
    row: int
    places: Points
    seconds: Points
    millivolts: Points


def strips(svg: str) -> list[Strip]:
    """Read an electrocardiogram: every trace by the name above its beginning and the pulse before its row."""
    root = fromstring(svg)
    baselines = [points(node.get("d", ""))[0, 1] for node in root.iter("path") if kind(node) == "calibration"]
    names = {(float(n.get("x", "")), float(n.get("y", ""))): n.text or "" for n in root.iter("text")}
    found = []
    for group in root.iter("g"):
        for node in group.iter("path") if kind(group) == "traces" else ():
            if kind(node) or not node.get("d"):
                continue  # a pulse, or a strip after the record's end
            places = points(node.get("d", ""))
            row = int(np.abs(np.median(places[:, 1]) - baselines).argmin())
            # within the row's room, just right of where the trace begins
            (lead,) = [
                name
                for (x, y), name in names.items()
                if 0 <= x - places[0, 0] <= 50 and 0 <= baselines[row] - y <= 130 and len(name) <= 3
            ]
            # ten units are a millimetre, 25 mm a second, and 10 mm a millivolt; paper begins 8 mm before the record
            seconds, millivolts = (places[:, 0] - 80) / 250, (baselines[row] - places[:, 1]) / 100
            found.append(Strip(lead, row, places, seconds, millivolts))
    return found


def halos(svg: str) -> Iterator[tuple[str, Points]]:
    """Read what is coloured: a kind and a stretch between two neighbouring samples each."""
    for group in fromstring(svg).iter("g"):
        for node in group.iter("path") if kind(group) == "halos" else ():
            for part in re.findall("M[^M]*", node.get("d", "")):
                for pair in pairwise(points(part)):
                    yield kind(node), np.array(pair)


def matrix(
    svg: str, rows: Sequence[str], columns: Sequence[str]
) -> dict[tuple[str, str], tuple[str, str, list[float]]]:
    """Read a matrix: text, style and colour of each cell by the names of the nearest row and column."""
    root = fromstring(svg)
    names: dict[str, dict[str, float]] = {"row": {}, "column": {}}
    cells = []
    for text in root.iter("text"):
        turned = numbers(text.get("transform", ""))
        x, y = turned[:2] if turned else (float(text.get("x", "")), float(text.get("y", "")))
        if (text.text or "").isdigit():
            cells.append((x, y, text))
        elif kind(text) != "axis":
            # names of rows end at the first column, those of columns stand in its middle
            where = "row" if text.get("text-anchor") == "end" else "column"
            names[where][text.text or ""] = y if where == "row" else x
    assert [list(names["row"]), list(names["column"])] == [list(rows), list(columns)]
    grounds = [([float(box.get(side, "")) for side in ("x", "y", "width", "height")], box) for box in root.iter("rect")]
    assert len(grounds) == len(cells)
    found = {}
    for x, y, text in cells:
        ((box, ground),) = [each for each in grounds if _inside(x, y, each[0])]
        (column,) = [name for name, place in names["column"].items() if box[0] < place < box[0] + box[2]]
        (row,) = [name for name, place in names["row"].items() if box[1] < place < box[1] + box[3]]
        found[row, column] = (text.text or "", kind(text), numbers(ground.get("fill", "")))
    return found


def _inside(x: float, y: float, box: list[float]) -> bool:
    return box[0] < x < box[0] + box[2] and box[1] < y < box[1] + box[3]


@dataclass(frozen=True)
class Forest:
    """A forest plot: the marks of each name as kind and value, and its names as they are shown."""

    lines: dict[str, list[tuple[str, float | tuple[float, float]]]]
    headings: list[str]
    shown: list[str]
    guide: float | None
    left: float
    width: float


def forest(svg: str) -> Forest:
    """Read a forest plot; a panel of a picture is one of its own."""
    root = fromstring(svg)
    scale = np.array(_marks_of(root))
    across = np.polyfit(*scale.T, 1)
    names = {float(node.get("y", "")) - 4: node for node in root.iter("text") if kind(node) == "name"}
    lines: dict[str, list[tuple[str, float | tuple[float, float]]]] = {_full(node): [] for node in names.values()}
    for node in root.iter("path"):
        words, data = kind(node).split(), node.get("d", "")
        if words[0] == "mark":
            x, y = numbers(data)[:2]
            ((_, name),) = [(at, each) for at, each in names.items() if abs(at - y) < 8]
            value = float(np.polyval(across, x))
            shapes = {"h": "square", "l": "diamond", "v": "tick"}
            if "H" in data:
                lines[_full(name)].append(
                    (f"interval {words[1][1:]}", (value, float(np.polyval(across, numbers(data)[2]))))
                )
            else:
                hollow = "hollow " if "hollow" in words else ""
                shape = shapes[next(letter for letter in data if letter in shapes)]
                lines[_full(name)].append((f"{hollow}{shape} {words[1][1:]}", value))
    guides = [numbers(node.get("d", ""))[0] for node in root.iter("path") if kind(node) == "guide"]
    return Forest(
        lines,
        [_full(node) for node in root.iter("text") if kind(node) == "heading"],
        [node.text or "" for node in names.values()],
        float(np.polyval(across, guides[0])) if guides else None,
        float(scale[:, 0].min()),
        numbers(root.get("viewBox", ""))[2] if root.get("viewBox") else 0.0,
    )


def _marks_of(root: Element) -> list[tuple[float, float]]:
    """Read places across and the numbers that stand below them."""
    pairs = pairwise(root.iter())
    return [(numbers(line.get("d", ""))[0], float(text.text or "")) for line, text in pairs if kind(line) == "grid"]


def _full(node: Element) -> str:
    """Read a name that may be cut."""
    return node.findtext("title") or node.text or ""
