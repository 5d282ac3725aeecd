"""A page in a browser as a phone, a tablet, a desk, the dark and paper have it, all in frames of one window."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVERYWHERE = ("room", "labels", "order", "names", "keys")
FRAMES = {
    "desk": (1280, (*EVERYWHERE, "contrast")),
    "tablet": (820, EVERYWHERE),
    "phone": (390, EVERYWHERE),
    "small": (360, ("room", "labels")),
    "dark": (1280, ("contrast",)),
    "paper": (718, ("room", "labels", "folds")),
}
"""Of each frame its width in CSS pixels (A4 less its margins is 718 wide) and the rules it is held to."""

MEDIA = {"dark": "(prefers-color-scheme: dark)", "paper": "print"}
"""What of a page's style counts in a frame that is neither dark nor paper itself."""

QUIET = (
    "--headless",
    "--no-sandbox",
    "--hide-scrollbars",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--log-level=0",
    "--virtual-time-budget=2000",
)


def as_seen(page: str, frame: str) -> str:
    """The page with the media of a frame in force."""
    return page.replace(f"@media {MEDIA[frame]}", "@media all") if frame in MEDIA else page


def faults(pages: Mapping[str, str], folder: Path) -> list[str]:
    """What is wrong with pages in any of the frames, with the page's and the frame's name; one start of a browser."""
    audit = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")
    seen = [(name, frame, as_seen(page, frame), *FRAMES[frame]) for name, page in pages.items() for frame in FRAMES]
    held = "".join(
        f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{html.escape(page)}"></iframe>'
        for _, _, page, width, _ in seen
    )
    asked = json.dumps([[f"{name}, {frame}", rules] for name, frame, _, _, rules in seen])
    run = f"""<script>{audit}
    addEventListener("load", () => {{
      const frames = [...document.querySelectorAll("iframe")];
      const found = {asked}.flatMap(([name, rules], i) => audit(frames[i], rules).map((text) => `${{name}}: ${{text}}`));
      document.body.textContent = JSON.stringify(found);
      document.title = "looked";
    }});
    </script>"""
    window = folder / "window.html"
    window.write_text(f'<!doctype html><meta charset="utf-8"><body style="margin:0">{held}{run}', encoding="utf-8")
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", "--dump-dom", window.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "<title>looked</title>" in done.stdout, done.stderr[-2000:]
    body = re.search(r"<body[^>]*>(.*)</body>", done.stdout, re.DOTALL)
    assert body is not None
    return list(json.loads(html.unescape(body[1])))
