"""Throughput against p99 as an SVG: one panel a workload, one line a server, a point for each load."""

from collections.abc import Sequence
from math import log10
from xml.sax.saxutils import escape

PANEL, MARGIN, COLUMNS = 300, 50, 3
COLOURS = ("#0b6e4f", "#c1121f", "#f77f00", "#577590", "#7b2cbf", "#0096c7", "#8d5b00", "#e05297", "#222222", "#6c757d")
Point = tuple[str, str, float, float]


def chart(points: Sequence[Point]) -> str:
    """The picture of (workload, server, requests a second, p99 in ms); both axes are logarithmic."""
    names = list(dict.fromkeys(workload for workload, *_ in points))
    servers = list(dict.fromkeys(server for _, server, *_ in points))
    rows = -(-len(names) // COLUMNS)
    width, height = COLUMNS * (PANEL + MARGIN) + MARGIN, rows * (PANEL + 2 * MARGIN) + 20 * len(servers) + MARGIN
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="12">'
        ),
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, name in enumerate(names):
        left = MARGIN + (number % COLUMNS) * (PANEL + MARGIN)
        top = MARGIN + (number // COLUMNS) * (PANEL + 2 * MARGIN)
        parts += _panel(name, [point for point in points if point[0] == name], servers, left, top)
    for number, server in enumerate(servers):
        y = height - 20 * (len(servers) - number)
        parts.append(
            f'<rect x="{MARGIN}" y="{y - 10}" width="12" height="12" fill="{COLOURS[number % len(COLOURS)]}"/>'
        )
        parts.append(f'<text x="{MARGIN + 20}" y="{y}">{escape(server)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(name: str, points: Sequence[Point], servers: Sequence[str], left: int, top: int) -> list[str]:
    rates, tails = [p[2] for p in points], [p[3] for p in points]
    parts = [
        f'<rect x="{left}" y="{top}" width="{PANEL}" height="{PANEL}" fill="none" stroke="#999"/>',
        f'<text x="{left}" y="{top - 8}" font-weight="bold">{escape(name)}</text>',
        f'<text x="{left}" y="{top + PANEL + 16}">{min(rates):.0f} to {max(rates):.0f} requests/s →</text>',
        (
            f'<text x="{left + PANEL}" y="{top - 8}" text-anchor="end">'
            f"p99 {min(tails):.1f} to {max(tails):.1f} ms ↑</text>"
        ),
    ]
    for number, server in enumerate(servers):
        places = [
            (left + _along(rate, rates) * PANEL, top + PANEL - _along(tail, tails) * PANEL)
            for _, owner, rate, tail in points
            if owner == server
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2"/>'
        )
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[number % len(COLOURS)]}"/>' for x, y in places
        ]
    return parts


def _along(value: float, values: Sequence[float]) -> float:
    """Where a value lies between the least, 0, and the greatest, 1, by their logarithms."""
    low, high = log10(min(values)), log10(max(values))
    return (log10(value) - low) / (high - low) if high > low else 0.5
