"""The page of a study in a real browser: it draws, plays, sorts, hides names, and asks nobody for anything."""

import csv
import shutil
from dataclasses import replace

import pytest
from synthetic import collected, with_sounds

from telucodec.study.report.page import ReportOptions, write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
LOCAL = ("file:", "blob:", "data:")
HOSTILE = """<img src=x onerror=alert(1)>"'&</script>"""
LISTEN = """
const make = AudioContext.prototype.createMediaElementSource;
AudioContext.prototype.createMediaElementSource = function (element) {
  const source = make.call(this, element);
  window.heard = this.createAnalyser();
  source.connect(window.heard);
  return source;
};
window.loudest = () => {
  const samples = new Float32Array(window.heard.fftSize);
  window.heard.getFloatTimeDomainData(samples);
  return Math.max(...samples.map(Math.abs));
};
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium on the PATH: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of each kind: a few arms with sounds, one of them with a hostile name; sixty arms; tables alone."""
    folder = tmp_path_factory.mktemp("pages")
    few = collected(folder / "few", 4, 3, arm_2=HOSTILE)
    with_sounds(few, 2, 1.5)
    many = replace(collected(folder / "many", 60, 2), missing=[("arm_5", 7)])
    bare = collected(folder / "bare", 3)
    bare = replace(
        bare, runs=[replace(run, config={}, rows={600: {"val/snr": run.rows[600]["val/snr"]}}) for run in bare.runs]
    )
    each = {"few": few, "many": many, "bare": bare}
    return {name: write_report(found, folder / f"{name}.html", ReportOptions()) for name, found in each.items()}


@pytest.fixture
def visit(browser, pages):
    """Open a page; what goes wrong in it is an error, at whatever moment."""
    contexts, wrong = [], []

    def open_page(name, **settings):
        context = browser.new_context(**({"viewport": {"width": 1100, "height": 900}} | settings))
        contexts.append(context)
        context.set_default_timeout(15000)
        page = context.new_page()
        page.add_init_script(LISTEN)
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on(
            "request",
            lambda asked: wrong.append(asked.url[:99]) if asked.url[:5] not in ("file:", "blob:", "data:") else None,
        )
        page.goto(f"file://{pages[name]}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def until(page, condition):
    """Wait for a condition; Playwright's own way evaluates text in the page, which the page forbids."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came: {condition}")


@pytest.mark.parametrize("name", ["few", "many", "bare"])
@pytest.mark.parametrize("width", [360, 1100])
def test_no_page_scrolls_sideways(visit, name, width):
    page = visit(name, viewport={"width": width, "height": 800})
    page.wait_for_load_state()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if name != "bare":
        assert page.locator("#curve-plot[data-drawn] path.way").count() >= 4


def test_a_player_plays_and_goes_on_when_the_arm_changes(visit):
    page = visit("few")
    page.locator(".clip").first.click()
    until(page, "document.getElementById('audio').currentTime > 0.2")
    assert page.evaluate("document.getElementById('audio').duration") == pytest.approx(1.5, abs=0.01)
    until(page, "window.loudest() > 0.01")  # what is heard is not silence
    row = page.locator(".clips tbody tr").nth(2)
    row.locator(".clip").first.click()
    until(page, "!document.getElementById('audio').paused")
    assert page.evaluate("document.getElementById('audio').currentTime") >= 0.2
    assert "arm_1" in page.locator("#now").inner_text()
    assert page.locator(".clip[aria-pressed=true]").count() == 1


def test_pictures_are_drawn_in_view(visit):
    page = visit("few")
    page.locator("#listen").scroll_into_view_if_needed()
    page.locator(".clip img").first.wait_for()
    assert page.locator(".clip img").first.evaluate("image => image.decode().then(() => image.naturalHeight)") == 129


def test_tables_sort_by_any_column_both_ways(visit):
    page = visit("many")
    head = page.locator("#arms-table thead th").nth(2)
    for direction in ("ascending", "descending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == direction
        cells = page.locator("#arms-table tbody tr td:nth-child(3)").evaluate_all(
            "all => all.map(c => Number(c.dataset.value))"
        )
        assert len(cells) == 60
        assert cells == sorted(cells, reverse=direction == "descending")


def test_the_blind_test_hides_names_counts_votes_and_saves_them(visit, tmp_path):
    page = visit("few")
    page.locator("#start-blind").click()
    blind = page.locator("#blind")
    assert not page.locator("#grid").is_visible()
    votes = []
    for _ in range(3):
        markup = blind.evaluate("node => node.outerHTML")
        assert not any(name in markup for name in ("arm_1", "arm_3", "base", "onerror"))
        blind.locator("[data-letter=A]").click()
        until(page, "document.getElementById('audio').currentTime > 0")
        blind.locator(".vote").nth(len(votes)).click()
        votes.append(("A", "B", "")[len(votes)])
    page.locator("#reveal").click()
    counts = page.locator("#votes tbody td").all_inner_texts()
    assert sum(map(int, counts)) == 6  # each vote counts for both arms
    with page.expect_download() as download:
        page.locator("#export").click()
    download.value.save_as(tmp_path / "votes.csv")
    with (tmp_path / "votes.csv").open() as file:
        saved = list(csv.DictReader(file))
    assert [row["vote"] for row in saved] == votes
    assert {row["a"] for row in saved} <= {"base", "arm_1", HOSTILE, "arm_3"}
    page.locator("#leave-blind").click()
    assert page.locator("#grid").is_visible()


def test_every_control_is_reached_and_used_by_the_keyboard(visit):
    page = visit("few")
    wanted = {
        "theme",
        "forest-metric",
        "plane-time",
        "plane-replay",
        "curve-metric",
        "curve-over",
        "curve-log",
        "curve-at",
    }
    wanted |= {"audio", "matched", "start-blind", "gradient-site", "codebook-what"}
    seen, clips, chips = set(), 0, 0
    for _ in range(250):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "[document.activeElement.id, document.activeElement.className, document.activeElement.tagName]"
        )
        seen.add(found[0])
        clips += str(found[1]) == "clip"
        chips += str(found[1]) == "chip"
        if found[2] == "BODY":
            break
    assert wanted <= seen
    assert clips == 2 * 5  # two utterances of a target and four arms
    assert chips == 3 * 4  # of the plane, the curves and the insides
    page.locator("#plane-plot circle[tabindex]").first.focus()
    assert page.locator("#tip").is_visible()
    page.locator(".clip").nth(3).focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('audio').currentTime > 0")


def test_curves_follow_the_metric_the_axis_and_the_arms_in_colour(visit):
    page = visit("few")
    page.locator("#curve-metric").select_option("loss/mel")
    page.locator("#curve-over").select_option("hours")
    title = page.locator("#curve-plot svg").get_attribute("aria-label")
    assert title == "loss/mel over hours of audio heard"
    assert "0.70 h" in page.locator("#curve-values").inner_text()
    page.locator("#curve-at").fill("0")
    assert "0.00 h" in page.locator("#curve-values").inner_text()
    bands = page.locator("#curve-plot .band").count()
    page.locator("#curves .chip").nth(1).click()
    assert page.locator("#curve-plot .band").count() == bands - 1
    assert page.locator("#curves .chip").nth(1).get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.activeElement.dataset.arm") == "1"
    page.locator("#curve-log").check()
    assert page.locator("#curve-plot .band").count() == bands - 1


def test_sixty_arms_can_be_put_in_colour_at_once(visit):
    page = visit("many")
    assert page.locator("#curve-plot .way:not(.faint)").count() == 8
    page.locator("#curves summary").click()
    page.locator("#curves .quick button", has_text="all").click()
    assert page.locator("#curve-plot .way:not(.faint)").count() == 60
    looks = page.locator("#curve-plot .way").evaluate_all(
        "all => all.map(p => p.getAttribute('style') + p.getAttribute('stroke-dasharray'))"
    )
    assert len(set(looks)) == 28


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_system_and_the_button(visit, scheme):
    page = visit("few", color_scheme=scheme)

    def brightness():
        return page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")

    assert (brightness() < 60) == (scheme == "dark")
    page.locator("#theme").click()
    assert (brightness() < 60) == (scheme == "light")


def test_replay_does_not_move_for_those_who_want_calm(visit):
    page = visit("few", reduced_motion="reduce")
    page.locator("#plane-replay").click()
    assert page.locator("#plane-told").inner_text() == "the first 0 %"
    page.locator("#plane-replay").click()
    assert page.locator("#plane-told").inner_text() == "to the end"


def test_level_matching_makes_a_quiet_output_as_loud_as_its_target(visit):
    page = visit("few")
    clip = page.locator(".clips tbody tr").nth(4).locator(".clip").first
    clip.click()
    until(page, "document.getElementById('audio').currentTime > 0")
    assert "dB" not in page.locator("#now").inner_text()
    page.locator("#matched").check()
    assert "dB" in page.locator("#now").inner_text()
