"""The page that shows a run.

A run is told as a story that can be checked: what was found, in one sentence; the curves against passes and against
FLOPs with every growth marked on them; the architecture through time; each decision with the reason and the proof it
was recorded with; and what is needed to do it again. The page is one file of text: figures are drawn here as SVG, some
tens of kilobytes, so that a sweep can leave hundreds of pages behind and each one prints and opens on a phone. It shows
what the ledger, `result.json` and `curves.json` hold and computes nothing new.
"""

from autogrow.report.run.page import write_report

__all__ = ["write_report"]
