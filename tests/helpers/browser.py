"""Pages in headless Chromium, which says what it was asked for and what went wrong in it."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-quic "
    "--disable-sync --disable-background-networking --disable-component-update "
    "--force-device-scale-factor=1 --lang=en-GB"
)


class Opened:
    """A browser and what is asked of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, fragment: str = "", wait: float = 20) -> None:
        """Open a file, and wait until all on the page is shown."""
        self.driver.get("about:blank")  # or else another fragment would be no new page
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(path.resolve().as_uri() + fragment)
        self.until(
            "document.documentElement.dataset.ready !== undefined || document.querySelector('.failed')", wait
        )

    def js(self, code: str, *values: Any) -> Any:
        """Return what a body of a function returns."""
        return self.driver.execute_script(code, *values)

    def until(self, condition: str, wait: float = 5) -> None:
        """Wait for an expression to be true; an error says which was not."""
        end = time.monotonic() + wait
        while not self.js(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.02)

    def texts(self, selector: str) -> list[str]:
        """Return what each of the elements says."""
        return list(
            self.js("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)
        )

    def backgrounds(self, selector: str) -> list[tuple[int, ...]]:
        """Return the colour behind each of the elements, that it has by itself, as red, green, blue."""
        found = self.js(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.style.backgroundColor)", selector
        )
        return [tuple(map(int, re.findall(r"\d+", colour)[:3])) for colour in found]

    def settled(self) -> None:
        """Wait until what was changed is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def keys(self, *keys: str) -> None:
        """Press keys, where the focus is; by selenium's names, or what they write."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        chain = ActionChains(self.driver, duration=0)
        for key in keys:
            *held, last = key.split("+") if len(key) > 1 else [key]
            for one in held:
                chain.key_down(getattr(Keys, one.upper()))
            chain.send_keys(getattr(Keys, last.upper(), last) if len(last) > 1 else last)
            for one in held:
                chain.key_up(getattr(Keys, one.upper()))
        chain.perform()
        self.settled()

    def size(self, width: int, height: int) -> None:
        """Give the page this many pixels."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        self.settled()

    def complaints(self) -> list[str]:
        """Return what the console says that is an error or a warning, since the page was opened."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in ("SEVERE", "WARNING")
        ]

    def requests(self) -> list[str]:
        """Return what was asked for since the page was opened, the page itself first."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("data:", "about:"))]

    def screenshot(self, path: Path) -> None:
        """Save what is seen."""
        self.driver.save_screenshot(str(path))


@contextmanager
def browser() -> Iterator[Opened]:
    """Start a browser, and end it; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium and chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER, env={**os.environ, "SE_OFFLINE": "true"})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Opened(driver)
    finally:
        driver.quit()
