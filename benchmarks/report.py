"""Size of the page of a large study, and how long Chromium takes from being told its address to the pictures drawn.

    python benchmarks/report.py --arms 60 --seeds 3 --seconds 4

Synthetic runs (tests/study/synthetic.py) with four utterances each of voice-like noise, which FLAC shortens less than
speech; the page is opened five times in a fresh context.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from telucodec.study.report.page import ReportOptions, write_report

TESTS = Path(__file__).parents[1] / "tests"
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def opened(browser: Browser, page: Path) -> tuple[float, float]:
    """Seconds until the first pictures are drawn, and until the page is loaded whole."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    since = time.perf_counter()
    tab.goto(f"file://{page}", wait_until="commit")
    tab.wait_for_selector("#plane-plot[data-drawn]")
    tab.wait_for_selector("#curve-plot[data-drawn]")
    drawn = time.perf_counter() - since
    tab.wait_for_load_state("load")
    loaded = time.perf_counter() - since
    context.close()
    return drawn, loaded


def main() -> None:
    """Write a page, open it, and print what both took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each utterance")
    options = parser.parse_args()
    sys.path[:0] = [str(TESTS), str(TESTS / "study")]
    from synthetic import collected, with_sounds

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        found = collected(Path(folder), options.arms, options.seeds)
        with_sounds(found, 4, options.seconds)
        since = time.perf_counter()
        page = write_report(found, Path(folder) / "report.html", ReportOptions())
        sys.stdout.write(f"written in {time.perf_counter() - since:.1f} s, {page.stat().st_size / 1e6:.1f} MB\n")
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        times = [opened(browser, page) for _ in range(5)]
        for name, each in zip(("drawn", "loaded"), zip(*times, strict=True), strict=True):
            sys.stdout.write(f"{name} after {statistics.median(each):.2f} s (at most {max(each):.2f})\n")
        browser.close()


if __name__ == "__main__":
    main()
