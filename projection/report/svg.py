"""Charts as SVG: small, sharp at any size, and read by screen readers; `charts.css` holds their colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from pathlib import Path

from markupsafe import Markup

STYLES = 6
"""Series that colour and dashes tell apart; further ones begin again."""

UNIT = (0.0, 1.0)

_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 10.0, 10.0, 38.0


def number(value: float) -> str:
    """Write a coordinate with one decimal, as short as it goes: `12.3`, `12` or `-0.5`."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def path(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Write a line as the data of an SVG path, such as `M0 1L2 3`; it is broken where a value is not finite."""
    parts, pen_down, last = [], False, ""
    for x, y in zip(xs, ys, strict=True):
        if not (isfinite(x) and isfinite(y)):
            pen_down = False
            continue
        point = f"{number(x)} {number(y)}"
        if point != last or not pen_down:
            parts.append(("L" if pen_down else "M") + point)
        pen_down, last = True, point
    return "".join(parts)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Choose round numbers within an axis, about so many: rising multiples of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / about
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


@dataclass(frozen=True)
class Axis:
    """One axis of a chart; `high` is above `low`."""

    label: str
    low: float
    high: float

    def place(self, value: float) -> float:
        """Tell where a value lies: 0 at the lower end, 1 at the upper one."""
        return (value - self.low) / (self.high - self.low)

    def marks(self) -> list[float]:
        """Choose where to write numbers."""
        return ticks(self.low, self.high)


class Chart:
    """A chart with two axes, to which series are added one after the other; a series' style is its number.

    Its title, in a few words, is its accessible name; width and height are in user units, CSS pixels at full size.
    """

    def __init__(self, title: str, x: Axis, y: Axis, width: float = 320, height: float = 270) -> None:
        self.title, self.x, self.y = title, x, y
        self.width, self.height = width, height
        self._parts: list[Markup] = []

    def line(self, xs: Sequence[float], ys: Sequence[float], style: int = 0, faint: bool = False) -> None:
        """Add a line, broken by NaN; a faint one stands behind the others, as a help for the eye."""
        kind = "guide" if faint else f"line s{style % STYLES}"
        data = path(self._across(xs), self._down(ys))
        self._parts.append(Markup('<path class="{}" d="{}"/>').format(kind, data))

    def band(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], style: int = 0) -> None:
        """Add the area between two lines."""
        kept = [each for each in zip(xs, lows, highs, strict=True) if all(isfinite(value) for value in each)]
        there, down, up = ([each[i] for each in kept] for i in range(3))
        data = path(self._across([*there, *reversed(there)]), self._down([*up, *reversed(down)]))
        self._parts.append(Markup('<path class="band f{}" d="{}Z"/>').format(style % STYLES, data))

    def dots(self, xs: Sequence[float], ys: Sequence[float], style: int = 0) -> None:
        """Add points; those that are not finite are left out."""
        for x, y in zip(self._across(xs), self._down(ys), strict=True):
            if isfinite(x) and isfinite(y):
                dot = '<circle class="dot f{}" cx="{}" cy="{}" r="4"/>'
                self._parts.append(Markup(dot).format(style % STYLES, number(x), number(y)))

    def whiskers(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], style: int = 0) -> None:
        """Add vertical intervals; those that are not finite are left out."""
        for x, low, high in zip(xs, lows, highs, strict=True):
            if isfinite(low) and isfinite(high):
                self.line([x, x], [low, high], style)

    def note(self, x: float, y: float, text: str) -> None:
        """Write a short text into the chart, ending at a point."""
        (across,), (down,) = self._across([x]), self._down([y])
        part = '<text x="{}" y="{}" text-anchor="end">{}</text>'
        self._parts.append(Markup(part).format(number(across), number(down), text))

    def svg(self) -> Markup:
        """Draw it."""
        frame = '<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>'
        across, down = self.width - _LEFT - _RIGHT, self.height - _TOP - _BOTTOM
        body = [*self._axes(), Markup(frame).format(number(_LEFT), number(_TOP), number(across), number(down))]
        return element(self.title, self.width, self.height, [*body, *self._parts])

    def _axes(self) -> list[Markup]:
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        parts = []
        for value, x in zip(self.x.marks(), self._across(self.x.marks()), strict=True):
            grid = '<path class="grid" d="M{0} {1}V{2}"/><text x="{0}" y="{3}" text-anchor="middle">{4}</text>'
            ends = (number(x), number(_TOP), number(bottom), number(bottom + 14))
            parts.append(Markup(grid).format(*ends, _shown(value)))
        for value, y in zip(self.y.marks(), self._down(self.y.marks()), strict=True):
            grid = '<path class="grid" d="M{0} {1}H{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>'
            where = (number(_LEFT), number(y), number(right), number(_LEFT - 5), number(y + 4))
            parts.append(Markup(grid).format(*where, _shown(value)))
        label = '<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>'
        parts.append(Markup(label).format(number((_LEFT + right) / 2), number(self.height - 6), self.x.label))
        turned = '<text class="axis" transform="translate(11 {}) rotate(-90)" text-anchor="middle">{}</text>'
        return [*parts, Markup(turned).format(number((_TOP + bottom) / 2), self.y.label)]

    def _across(self, values: Sequence[float]) -> list[float]:
        return [_LEFT + self.x.place(value) * (self.width - _LEFT - _RIGHT) for value in values]

    def _down(self, values: Sequence[float]) -> list[float]:
        return [_TOP + (1 - self.y.place(value)) * (self.height - _TOP - _BOTTOM) for value in values]


def element(title: str, width: float, height: float, parts: Sequence[Markup], kind: str = "chart") -> Markup:
    """Put parts into an SVG element of a CSS class, with an accessible name, for a page that has `charts.css`."""
    head = '<svg class="{}" viewBox="0 0 {} {}" style="--width:{}px" role="img" aria-label="{}"><title>{}</title>'
    size = (number(width), number(height), number(width))
    return Markup(head).format(kind, *size, title, title) + Markup("").join(parts) + Markup("</svg>")


def standalone(title: str, width: float, height: float, parts: Sequence[Markup]) -> Markup:
    """Put parts into an SVG file of its own, with its styles and a white ground."""
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img">'
    size = Markup(head).format(number(width), number(height))
    style = Markup("<title>{}</title><style>{}</style>").format(title, Markup(stylesheet()))
    return (
        size
        + style
        + Markup('<rect width="100%" height="100%" fill="#fff"/>')
        + Markup("").join(parts)
        + Markup("</svg>\n")
    )


def stylesheet() -> str:
    """Read the colours of all charts."""
    return Path(__file__).with_name("charts.css").read_text()


def _shown(value: float) -> str:
    return f"{value:,.6g}" if 1e-3 <= abs(value) < 1e7 or not value else f"{value:.0e}"
