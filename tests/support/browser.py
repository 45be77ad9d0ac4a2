"""A real browser for pages: what it logs, what it asks for, where it puts things."""

import json
from pathlib import Path
from typing import Any, Self

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from gcpt.machines.gdb import TIMEOUT

DRIVER = "/usr/bin/chromedriver"
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
#: All text that is seen, with its colours and the box of each of its lines. What a table scrolls counts as inside.
_TEXTS = """
const texts = [];
function ground(element) {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    if (color !== 'rgba(0, 0, 0, 0)') return color;
  }
  return 'rgb(255, 255, 255)';
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, parent = node.parentElement;
  if (!node.data.trim() || parent.closest('title, desc, style, .hidden, .skip')) continue;
  const style = getComputedStyle(parent), svg = parent.closest('svg'), scroll = parent.closest('.scroll');
  const frame = svg ? svg.getBoundingClientRect() : {left: 0, right: innerWidth};
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const box of range.getClientRects()) {
    if (box.width === 0) continue;
    texts.push({
      text: node.data.trim(), left: box.left, right: box.right, top: box.top, bottom: box.bottom,
      size: parseFloat(style.fontSize), color: svg ? style.fill : style.color, ground: ground(parent),
      inside: scroll !== null || (box.left >= frame.left - .5 && box.right <= frame.right + .5),
    });
  }
}
return texts;
"""
#: Every part of a map: where it is on its bar, and where the addresses are that it stands for, as shares of the bar.
_PARTS = """
const parts = [];
for (const svg of document.querySelectorAll('.map svg')) {
  for (const bar of svg.querySelectorAll('g.bar, g.outer')) {
    const of = bar.matches('.outer') ? bar.dataset : svg.dataset;
    const start = Number(of.start), length = Number(of.end) - start;
    const ground = bar.querySelector('.ground').getBoundingClientRect();
    for (const rect of bar.querySelectorAll('rect[data-start]')) {
      const box = rect.getBoundingClientRect();
      const from = Math.max(Number(rect.dataset.start), start), to = Math.min(Number(rect.dataset.end), start + length);
      parts.push({
        map: svg.querySelector('title').textContent, name: rect.textContent, pixels: ground.height,
        top: (box.top - ground.top) / ground.height, height: box.height / ground.height,
        start: (from - start) / length, size: (to - from) / length,
      });
    }
  }
}
return parts;
"""


class Browser:
    """A headless Chromium with a profile of its own in ``folder``; use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        options = Options()
        for flag in (*_FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.get("about:blank")  # the page that a new window has asks for things of its own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    def open(self, page: Path, width: int = 1280, scheme: str = "light") -> None:
        """Load ``page`` anew, and open everything on it that can be."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(page.as_uri())
        ready = f"return innerWidth === {width} && matchMedia('(prefers-color-scheme: {scheme})').matches"
        WebDriverWait(self.driver, TIMEOUT).until(
            lambda _: self.run(ready), "the browser did not take width and scheme"
        )
        self.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def said(self) -> list[str]:
        """What the console says since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked_for(self) -> list[str]:
        """The addresses that the page asked for since it was opened, its own included."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = (one["params"] for one in messages if one["method"] == "Network.requestWillBeSent")
        return [one["request"]["url"] for one in sent if one["documentURL"] == self.driver.current_url]

    def texts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.run(_TEXTS)
        return found

    def parts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.run(_PARTS)
        return found

    def cells(self, selector: str) -> list[str]:
        """The text of all elements that ``selector`` finds, as it is in the document."""
        script = f"return [...document.querySelectorAll({json.dumps(selector)})].map(one => one.textContent.trim())"
        found: list[str] = self.run(script)
        return found


def overlaps(texts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Texts that share more than a sliver of the page: two lines of 13 pixels may touch."""
    ordered = sorted(texts, key=lambda one: one["top"])
    found = []
    for i, one in enumerate(ordered):
        for other in ordered[i + 1 :]:
            if other["top"] >= one["bottom"] - 2:
                break
            if min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1:
                found.append((one["text"], other["text"]))
    return found


def _light(color: str) -> float:
    """Relative luminance (WCAG 2.1) of ``rgb(r, g, b)``."""
    channels = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: dict[str, Any]) -> float:
    """The contrast (WCAG 2.1) of a text with its ground: 1 to 21."""
    high, low = sorted((_light(one["color"]), _light(one["ground"])), reverse=True)
    return (high + 0.05) / (low + 0.05)


def check_readable(browser: Browser, page: Path, width: int, scheme: str, least: int) -> list[dict[str, Any]]:
    """Open a page and check that all texts can be read, on a screen of that width; return them.

    least: more texts than this must be there, because a page that shows nothing passes all other checks.
    """
    browser.open(page, width, scheme)
    texts = browser.texts()
    assert len(texts) > least
    assert overlaps(texts) == []
    assert [one["text"] for one in texts if not one["inside"]] == []
    assert browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert [(one["text"], one["color"], one["ground"]) for one in texts if contrast(one) < 4.5] == []
    return texts
