# SPDX-License-Identifier: BSD-3-Clause
"""What the pictures have in common: colours, and elements collected from the top down."""

from __future__ import annotations

from xml.sax.saxutils import escape

WIDTH = 1040
MARGIN = 32
LEFT = 220  # where the drawing starts, right of the VM names
INK, SOFT, LINE, PAPER = "#1f2733", "#667085", "#d5dae2", "#ffffff"
COLORS = ["#2f6fb3", "#c8662b", "#3b8f5a", "#8a52a8", "#b3404f", "#2b8c96", "#94771f", "#5b6577"]


class Canvas:
    """SVG elements, collected from the top down; `y` is where the next panel begins."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = MARGIN

    def rect(self, x: float, y: float, w: float, h: float, fill: str, **more: str) -> None:
        extra = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}"{extra}/>')

    def line(self, x1: float, y1: float, x2: float, y2: float, color: str = LINE) -> None:
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>')

    def text(self, x: float, y: float, text: str, size: int = 13, color: str = INK, anchor: str = "start",
             bold: bool = False) -> None:
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" '
                          f'text-anchor="{anchor}"{weight}>{escape(text)}</text>')

    def heading(self, text: str, note: str) -> None:
        self.text(MARGIN, self.y + 16, text, 16, bold=True)
        self.text(LEFT, self.y + 16, note, 12, SOFT)
        self.y += 30

    def chip(self, x: float, y: float, text: str, color: str, solid: bool = False) -> float:
        """A label in a rounded box. Returns the x after it."""
        width = text_width(text, 12) + 18
        self.rect(x, y, width, 24, color if solid else PAPER, rx="12", stroke=color)
        self.text(x + width / 2, y + 16.5, text, 12, PAPER if solid else INK, "middle")
        return x + width + 8

    def done(self, title: str) -> str:
        height = self.y + MARGIN
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
            f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="DejaVu Sans, Verdana, sans-serif" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="{PAPER}"/>', *self.parts, "</svg>", ""])


def text_width(text: str, size: int) -> float:
    """About the width of the text in pixels; DejaVu Sans is wide, so this errs to the wide side."""
    return len(text) * size * 0.61


def shorten(text: str, width: float, size: int) -> str:
    most = int(width / (size * 0.61))
    return text if len(text) <= most else text[:max(1, most - 1)] + "…"
