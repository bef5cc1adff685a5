"""One self-contained HTML page: sections of a conclusion, a plot and a table. Well-formed XML."""

from dataclasses import dataclass, field
from html import escape

from reporting import svg

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --faint: #5c5c5c; --line: #d5d5d5;
  --paper: #ffffff; --stress: #f3f5f8; --warn: #8a5200; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --faint: #a9a9a9; --line: #43464c;
  --paper: #1b1d21; --stress: #26292f; --warn: #f0b860; } }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 1040px; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 3rem 0 0.5rem; }
p { max-width: 46rem; }
a { color: inherit; }
.conclusion { font-size: 1.08rem; font-weight: 600; max-width: 54rem; }
.note, caption, footer { color: var(--faint); font-size: 0.9rem; }
.warning { color: var(--warn); font-weight: 600; }
.plot { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 0.3rem; }
th, td { padding: 0.25rem 0.8rem 0.25rem 0; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child, .words th { text-align: left; }
.words td { white-space: normal; text-align: left; }
td small { display: block; color: var(--faint); font-size: 0.85em; }
pre { background: var(--stress); padding: 0.75rem 1rem; overflow-x: auto; font-size: 0.88rem; }
li { margin: 0.2rem 0; max-width: 54rem; }
"""


@dataclass
class Section:
    title: str
    conclusion: str
    figure: str = ""  # SVG
    notes: list = field(default_factory=list)
    tables: list = field(default_factory=list)  # HTML
    key: str = ""


def table(head, rows, caption="", words=False):
    """Cells are texts, or (text, small print). `words`: running text rather than figures."""
    def cell(content):
        main, small = content if isinstance(content, tuple) else (content, "")
        below = f"<small>{escape(small)}</small>" if small else ""
        return f"<td>{escape(main)}{below}</td>"

    titled = f"<caption>{escape(caption)}</caption>" if caption else ""
    top = "<tr>" + "".join(f"<th>{escape(h)}</th>" for h in head) + "</tr>" if head else ""
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>\n" for row in rows)
    kind = ' class="words"' if words else ""
    return f'<div class="scroll"><table{kind}>{titled}{top}\n{body}</table></div>'


def paragraph(words, kind=""):
    styled = f' class="{kind}"' if kind else ""
    return f"<p{styled}>{escape(words)}</p>"


def code(text):
    return f"<pre><code>{escape(text)}</code></pre>"


def bullets(items):
    return "<ul>" + "".join(f"<li>{escape(item)}</li>\n" for item in items) + "</ul>"


def section(content):
    parts = [f'<section id="{escape(content.key)}"><h2>{escape(content.title)}</h2>',
             paragraph(content.conclusion, "conclusion")]
    if content.figure:
        parts.append(f"<figure style=\"margin: 1rem 0\">{content.figure}</figure>")
    parts += [paragraph(note, "note") for note in content.notes]
    parts += content.tables
    return "\n".join(parts) + "\n</section>"


def page(title, introduction, sections, ending):
    """`introduction` and `ending` are lists of HTML."""
    summary = "".join(f'<li><a href="#{escape(s.key)}">{escape(s.title)}</a>: '
                      f"{escape(s.conclusion)}</li>\n" for s in sections)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{escape(title)}</title>
<style>{STYLE}{svg.STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
{chr(10).join(introduction)}
<ul>
{summary}</ul>
{chr(10).join(map(section, sections))}
{chr(10).join(ending)}
</body></html>
"""
