"""HTML pages that need nothing else: no script, no network, no other file.

They are as light or dark as the browser is, and fit a phone.
"""

import base64
from collections.abc import Iterable
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --soft: #57606a; --card: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3d444d; --soft: #9da7b3; --card: #161b22; }
  body { background: #0d1117; color: #e6edf3; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem;
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.4rem; }
p { margin: 0 0 1rem; max-width: 45rem; color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.75rem;
  margin: 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: 0.5rem;
  padding: 0.6rem 0.8rem; }
dt { color: var(--soft); font-size: 0.85rem; }
dd { margin: 0; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
.wide + .wide { margin-top: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; max-width: 12rem; }
thead th { color: var(--soft); font-weight: 600; }
@media (max-width: 32rem) {
  th, td { padding: 0.3rem 0.4rem; font-size: 0.85rem; }
  th:first-child { padding-left: 0; max-width: 6rem; }
}
img { display: block; width: 100%; min-width: 32rem; max-width: 48rem; height: auto;
  background: white; border: 1px solid var(--line); border-radius: 0.5rem; }
"""


def page(title: str, cards: Iterable[tuple[str, str]], body: str) -> str:
    """A page.

    Args:
      title: its heading; any text.
      cards: what stands above all: names and values; any text.
      body: sections, in HTML.
    """
    shown = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>\n" for name, value in cards
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<dl>\n{shown}</dl>\n{body}</body>\n</html>\n"
    )


def section(heading: str, explanation: str, *shown: str) -> str:
    """A section: its heading and what it explains are any text, what it shows is HTML."""
    wide = "".join(f'<div class="wide" tabindex="0">{each}</div>\n' for each in shown)
    return (
        f"<section>\n<h2>{escape(heading)}</h2>\n<p>{escape(explanation)}</p>\n{wide}</section>\n"
    )


def picture(png: bytes, alt: str) -> str:
    """A PNG file as HTML, with what it shows in words."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def frame(page: str, title: str) -> str:
    """The page for a notebook: in a frame, lest its style reach the notebook's own."""
    size = f'width="100%" height="900" style="border: 0" title="{escape(title)}"'
    return f'<iframe srcdoc="{escape(page)}" {size}></iframe>'
