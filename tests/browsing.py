"""A real headless Chromium for the tests that look at pages."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def _unavailable() -> str | None:
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium isn't installed"
    if not shutil.which("chromedriver"):
        return "no chromedriver on the path"
    if not (shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")):
        return "no Chromium on the path"
    return None


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium driven by selenium, with the logs of its console and of what it asks for."""
    if reason := _unavailable():
        if os.environ.get("NESTBENCH_REQUIRE_BROWSER") == "1":
            pytest.fail(f"NESTBENCH_REQUIRE_BROWSER=1, but {reason}")
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.binary_location = str(
        shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    )
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


DONE = "return [...document.querySelectorAll('.figure')].filter(f => f.querySelector('.plot svg')).length"


def size(browser: Any, width: int, height: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )


def wait(browser: Any, script: str, seconds: float = 30) -> None:
    script = script if script.startswith("return") else f"return {script}"
    end = time.monotonic() + seconds
    while not browser.execute_script(script):
        assert time.monotonic() < end, f"waited for: {script}"
        time.sleep(0.1)


def show_all(browser: Any) -> None:
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    wait(browser, f"{DONE} === document.querySelectorAll('.figure').length")
