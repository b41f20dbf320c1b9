"""A headless Chromium, pages that record every console error and every violation of the content security policy, and a
server with boards in every state."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field

import pytest
from django.test import Client

from leaderboard.boards.models import Board
from tests.web import rows
from tests.web.overall_rows import fill_overall

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RECORD_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""


@pytest.fixture(scope="session")
def chromium():
    """One browser for the whole run."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    # Playwright keeps an event loop in this thread, beside which Django refuses the database unless it is told otherwise.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Reader:
    """A browser window on the server. `faults` collects what should not happen on any page."""

    page: object
    base: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str, *, expect: int = 200):
        """Open a path, and record every fault that can be seen there."""
        response = self.page.goto(f"{self.base}{path}", wait_until="load")
        assert response.status == expect, f"{path}: {response.status}"
        self.check(path)
        return self.page

    def check(self, path: str) -> None:
        """Record violations and sideways scrolling of the page as it is now."""
        self.faults += [f"{path}: {violation}" for violation in self.page.evaluate("window.violations")]
        width, room = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        if width > room:
            self.faults.append(f"{path}: scrolls sideways, {width} px in {room} px")


@pytest.fixture
def open_window(chromium, live_server):
    """Makes windows: `open_window(user, width=375, scheme="dark")`."""
    contexts = []

    def make(user=None, *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Reader:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        context.add_init_script(RECORD_VIOLATIONS)
        if user is not None:
            client = Client()
            client.force_login(user)
            context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(20_000)
        reader = Reader(page=page, base=live_server.url)
        page.on("console", lambda message: reader.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: reader.faults.append(str(error)))
        return reader

    yield make
    for context in contexts:
        context.close()


@dataclass(frozen=True)
class Scene:
    """What stands on the server, by name."""

    user: object
    board: object
    graph_board: object
    best: object
    queued: object
    running: object
    failed: object
    graph: object


@pytest.fixture
def scene(live_server, graph_board, system, user, other_user) -> Scene:
    """The digits board with a dozen standings; three submissions of the user that wait, run and failed; one with a curve."""
    board = Board.objects.select_related("track", "host").get(slug="digits-classification")
    made = rows.fill_digits(board, people=[user, other_user], system=system)
    running = rows.add_submission(board, owner=user, name="running now", model="nin", config={"steps": 300}, day=44)
    rows.add_evaluation(running, state="running", stage="predict", progress=0.42, **rows.lease())
    queued = rows.add_submission(board, owner=user, name="waiting", kind="onnx", day=44, description="A tree.\n<b>bold</b>")
    rows.add_evaluation(queued, state="queued", started_at=None, attempt=0)
    failed = rows.add_submission(board, owner=user, name="wrong shape", kind="onnx", day=43)
    rows.add_evaluation(
        failed,
        state="failed",
        failure_code="wrong_output",
        failure_message='expected "logits" float32 [899, 10], got float32 [899, 9]; give one column for each digit',
        log="loading wrong-shape.onnx\n",
        finished_at=failed.created_at,
    )
    graph = rows.fill_graphs(graph_board, owner=system)
    fill_overall(board, submission=str(made[0].pk))
    return Scene(user, board, graph_board, made[0], queued, running, failed, graph)
