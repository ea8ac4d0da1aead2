"""Looks at HTML reports in a real browser. See tools/checks/pages, which calls it."""

import pathlib
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

SNAPSHOTS = pathlib.Path("tests/snapshots/reports")
IMAGES = pathlib.Path("docs/images")

# Widths of a small phone and of a desk, in CSS pixels.
SIZES = {"phone": (360, 740), "desktop": (1280, 900)}
SCHEMES = ["light", "dark"]

# What Chromium would do by itself on the network.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--no-sandbox",
]

# What axe is asked for: WCAG 2.2 A and AA, and what its authors think good practice.
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def page_of(snapshot):
    """The page that a snapshot file holds, below its header, with the style and the script that are cut out of it."""
    _, _, page = snapshot.read_text().split("---\n", 2)
    for path in ("src/report/html/style.css", "src/report/html/script.js"):
        page = page.replace(f"/* {path} */\n", pathlib.Path(path).read_text())
    return page


class Watch:
    """Everything that a page does and should not."""

    def __init__(self, page, own_url):
        self.found = []
        page.on("console", lambda message: self.found.append(f"says {message.text!r} on the console"))
        page.on("pageerror", lambda error: self.found.append(f"fails: {error}"))
        page.on("dialog", lambda dialog: (self.found.append(f"opens {dialog.message!r}"), dialog.dismiss()))
        page.on("popup", lambda popup: self.found.append(f"opens {popup.url}"))
        page.on(
            "request",
            lambda request: request.url == own_url or self.found.append(f"asks for {request.url[:200]}"),
        )


def checked(browser, name, url):
    """What is wrong with the page at `url`, a line each."""
    wrong = []
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
            )
            page = context.new_page()
            watch = Watch(page, url)
            page.goto(url)
            found = []
            # With everything folded out, which is when it is widest.
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wide > 0:
                found.append(f"scrolls sideways by {wide} px")
            small = page.evaluate(
                """[...document.querySelectorAll('body *')].filter(e => e.offsetParent && e.children.length == 0
                    && e.textContent.trim() && !e.closest('svg')
                    && parseFloat(getComputedStyle(e).fontSize) < 12).map(e => e.textContent.trim()).slice(0, 3)"""
            )
            if small:
                found.append(f"has text too small to read: {small}")
            found += watch.found
            watch.found.clear()
            for violation in Axe().run(page, options=AXE).response["violations"]:
                nodes = ", ".join(node["target"][0] for node in violation["nodes"][:3])
                found.append(f"axe: {violation['help']} ({violation['id']}): {nodes}")
            # What axe itself says is none of ours.
            watch.found.clear()
            found += copied(page)
            found += watch.found
            wrong += [f"{name}, {size}, {scheme}: {what}" for what in found]
            context.close()
    return wrong + same_words(browser, name, url)


def copied(page):
    """Whether each button copies, or where the browser forbids that selects, the command beside it."""
    commands = page.locator(".command").count()
    buttons = page.locator(".command button")
    if buttons.count() != commands:
        return [f"has {buttons.count()} buttons for {commands} commands"]
    if commands == 0:
        return []
    buttons.first.click()
    # A function that is waited for would be evaluated by the page, whose policy forbids that.
    expect(buttons.first).not_to_have_text("Copy", timeout=5000)
    said = buttons.first.text_content()
    wanted = page.locator(".command pre").first.text_content()
    if said == "Selected" and page.evaluate("getSelection().toString()") != wanted:
        return ["selects something other than the command"]
    return [] if said in ("Copied", "Selected") else [f"says {said!r} when asked to copy"]


def same_words(browser, name, url):
    """Whether paper and a browser without scripts show the same."""
    wrong = []
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(url)
    plain = page.locator("main").inner_text()
    context.close()
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(url)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = page.locator("main").inner_text()
    if not page.evaluate("[...document.querySelectorAll('details')].every(d => d.open)"):
        wrong.append(f"{name}: what is folded in stays so on paper")
    if page.locator("button:visible").count():
        wrong.append(f"{name}: has buttons on paper")
    missing = [line for line in plain.splitlines() if line.strip() and line.strip() not in printed]
    if missing:
        wrong.append(f"{name}: is not all on paper: {missing[:3]}")
    if not page.pdf():
        wrong.append(f"{name}: cannot be printed")
    context.close()
    return wrong


def check(browser, folder):
    snapshots = sorted(SNAPSHOTS.glob("*.html.snap"))
    if not snapshots:
        sys.exit(f"there are no pages in {SNAPSHOTS}")
    wrong = []
    for snapshot in snapshots:
        name = snapshot.name.removesuffix(".html.snap")
        page = folder / f"{name}.html"
        page.write_text(page_of(snapshot))
        wrong += checked(browser, name, page.as_uri())
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        sys.exit(f"{len(wrong)} things are wrong with {len(snapshots)} pages")
    print(f"{len(snapshots)} pages read well on {' and '.join(SIZES)}, {' and '.join(SCHEMES)}")


def screenshots(browser, page_file):
    IMAGES.mkdir(parents=True, exist_ok=True)
    url = pathlib.Path(page_file).resolve().as_uri()
    for size, (width, height) in SIZES.items():
        scheme = {"phone": "dark", "desktop": "light"}[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            device_scale_factor=2 if size == "phone" else 1,
        )
        page = context.new_page()
        page.goto(url)
        picture = IMAGES / f"report-{size}.png"
        page.screenshot(path=picture)
        print(picture)
        context.close()


def main(chromium, *what):
    import tempfile

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        match what:
            case ():
                check(browser, pathlib.Path(folder))
            case ("screenshots", page):
                screenshots(browser, page)
            case _:
                sys.exit(__doc__)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
