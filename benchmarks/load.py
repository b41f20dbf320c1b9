"""Does a server hold while many people post and read at once? Errors, latencies and memory under a steady crowd.

    .venv/bin/python -m benchmarks.load [--clients 200] [--minutes 3] [--workers 1] [--pause 1.0] [--embedded]

Starts a real deployment on the loopback address: web, scheduler and workers with PostgreSQL and Redis (or the embedded kind).
Each client is a person with a token and one connection, who does one thing after the other with a random pause between (0 to
twice --pause seconds): reads boards, standings, pages and lists, asks again with the ETag, posts small predictions and ONNX
models, and waits for the result by long poll. Prints what was answered how often and how fast, and how the memory of each kind
of process went. An answer that is neither a success nor a stated limit (429 or 503 with Retry-After) is an error, and so is a
connection that breaks; with any, or with memory that grows, the exit status is 1. The clients need a part of the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.post_to_ranked import linear_model
from tests.end_to_end.test_whole_way import digits
from tests.services import Deployment, deployment, postgres_server, redis_server

BOARD = "digits-classification"
STATED_LIMITS = (429, 503)
SAMPLE_SECONDS = 5.0
GROWTH_MB_PER_MINUTE = 5.0
PREPARE = """
from leaderboard.accounts.models import User
from leaderboard.accounts.tokens import issue_token
from leaderboard.boards.models import Board
Board.objects.update(daily_quota=1000000)
for n in range({clients}):
    print(issue_token(user=User.objects.create_user("person-%d" % n), name="load")[1])
"""


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Report:
    """What all clients together have seen."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    errors: Counter[str] = field(default_factory=Counter)
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))


class Person:
    """A client with a connection of its own, which it opens again where the server has closed it."""

    def __init__(self, port: int, token: str, report: Report, *, seed: int, pause: float) -> None:
        self.port, self.token, self.report, self.pause = port, token, report, pause
        self.random = random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.etag = ""
        self.sent: list[str] = []

    async def live(self, until: float) -> None:
        """Do one thing after the other."""
        await asyncio.sleep(self.random.random() * 2 * self.pause)
        while time.monotonic() < until:
            name, act = self.random.choices(ACTIONS, weights=WEIGHTS)[0]
            await self.measured(name, act)
            await asyncio.sleep(self.random.random() * 2 * self.pause)
        if self.streams:
            self.streams[1].close()

    async def measured(self, name: str, act: Any) -> None:
        """One action, counted."""
        began = time.perf_counter()
        try:
            answer = await asyncio.wait_for(act(self), timeout=60)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.report.errors[f"{name}: {type(error).__name__} {error}"] += 1
            self.streams = None
            return
        self.report.seconds[name].append(time.perf_counter() - began)
        self.report.statuses[name][answer.status] += 1
        limit = answer.status in STATED_LIMITS and "retry-after" in answer.headers
        if answer.status >= 400 and not limit:
            self.report.errors[f"{name}: {answer.status} {answer.body[:200].decode(errors='replace')}"] += 1

    async def ask(self, method: str, path: str, *, body: bytes = b"", kind: str = "", **headers: str) -> Answer:
        """One request. A kept connection that the server has closed meanwhile is replaced once."""
        fresh = self.streams is None
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        head = {"Host": "127.0.0.1", "Authorization": f"Bearer {self.token}", "Content-Length": str(len(body)), **headers}
        if kind:
            head["Content-Type"] = kind
        lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in head.items())]
        try:
            self.streams[1].write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            await self.streams[1].drain()
            return await _answer(self.streams[0])
        except (OSError, asyncio.IncompleteReadError):
            self.streams = None
            if fresh:
                raise
            return await self.ask(method, path, body=body, kind=kind, **headers)

    async def read_standings(self) -> Answer:
        """With the ETag of the last time: 304 where nothing has changed."""
        condition = {"If_None_Match": self.etag} if self.etag else {}
        answer = await self.ask("GET", f"/api/v1/boards/{BOARD}/standings/", **condition)
        self.etag = answer.headers.get("etag", "")
        return answer

    async def read_deep_standings(self) -> Answer:
        """A later page, or another order."""
        query = self.random.choice(("cursor=50", "cursor=100", "order=nll", "best_per=competitor", "page_size=200"))
        return await self.ask("GET", f"/api/v1/boards/{BOARD}/standings/?{query}")

    async def read_page(self) -> Answer:
        """A page as a browser does."""
        return await self.ask("GET", self.random.choice((f"/boards/{BOARD}/", "/", "/papers/")))

    async def read_lists(self) -> Answer:
        """Boards, tracks, submissions."""
        paths = ("boards/", f"boards/{BOARD}/", "tracks/", "submissions/", "submissions/?state=succeeded", "me/")
        return await self.ask("GET", f"/api/v1/{self.random.choice(paths)}")

    async def post_predictions(self) -> Answer:
        """Random logits."""
        buffer = io.BytesIO()
        np.savez(buffer, logits=self.rng.normal(size=(len(digits().hidden["y_test"]), 10)).astype(np.float32))
        return await self._post(buffer.getvalue(), kind="predictions", filename="answers.npz")

    async def post_model(self) -> Answer:
        """A random linear model."""
        return await self._post(linear_model(self.rng.integers(2**31)), kind="onnx", filename="model.onnx")

    async def wait(self) -> Answer:
        """For the newest that one has sent, as a program that has submitted does."""
        if not self.sent:
            return await self.read_standings()
        return await self.ask("GET", f"/api/v1/submissions/{self.sent[-1]}/?wait=10")

    async def _post(self, content: bytes, *, kind: str, filename: str) -> Answer:
        fields = {"name": f"load {self.random.random()}", "kind": kind}
        boundary = "between-the-parts"
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n')
        body = "".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()
        path = f"/api/v1/boards/{BOARD}/submissions/"
        answer = await self.ask("POST", path, body=body, kind=f"multipart/form-data; boundary={boundary}")
        if answer.status == 201:
            self.sent.append(json.loads(answer.body)["id"])
        return answer


ACTIONS = (
    ("standings, by ETag", Person.read_standings),
    ("standings, other pages", Person.read_deep_standings),
    ("pages", Person.read_page),
    ("lists", Person.read_lists),
    ("post predictions", Person.post_predictions),
    ("post a model", Person.post_model),
    ("wait for a result", Person.wait),
)
WEIGHTS = (30, 10, 15, 20, 4, 4, 17)


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    status = int(head[0].split()[1])
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return Answer(status, headers, body)
    length = 0 if status in (204, 304) else int(headers.get("content-length", 0))
    return Answer(status, headers, await reader.readexactly(length))


async def watch_memory(server: Deployment, report: Report, until: float) -> None:
    """Memory that each kind of process has to itself (USS), in MB."""
    began = time.monotonic()
    while time.monotonic() < until:
        for name, process in server.processes.items():
            report.memory[name].append((time.monotonic() - began, await asyncio.to_thread(_memory, process.popen.pid)))
        await asyncio.sleep(SAMPLE_SECONDS)


def _memory(pid: int) -> float:
    total = 0
    try:
        root = psutil.Process(pid)
        for each in (root, *root.children(recursive=True)):
            total += each.memory_full_info().uss
    except psutil.NoSuchProcess:
        return total / 2**20
    return total / 2**20


async def crowd(server: Deployment, tokens: list[str], report: Report, *, minutes: float, pause: float) -> None:
    """All clients at once."""
    until = time.monotonic() + 60 * minutes
    people = [Person(server.port, token, report, seed=seed, pause=pause) for seed, token in enumerate(tokens)]
    await asyncio.gather(watch_memory(server, report, until), *(person.live(until) for person in people))


def slope(samples: list[tuple[float, float]]) -> float:
    """MB a minute over the second half of the time: what comes at the start is warming up."""
    half = [each for each in samples if each[0] >= samples[-1][0] / 2]
    if len(half) < 3:
        return 0.0
    at, value = np.array(half).T
    return float(np.polyfit(at / 60, value, 1)[0])


def tell(report: Report, *, seconds: float) -> bool:
    """Print the report; whether all is well."""
    print(f"\n{'action':26}{'count':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'max ms':>9}  answers")
    for name, _ in ACTIONS:
        values = 1000 * np.array(report.seconds[name] or [0.0])
        quantiles = "".join(f"{np.quantile(values, q):9.0f}" for q in (0.5, 0.95, 0.99, 1.0))
        answers = ", ".join(f"{count} x {status}" for status, count in sorted(report.statuses[name].items()))
        print(f"{name:26}{len(report.seconds[name]):8}{quantiles}  {answers}")
    count = sum(map(len, report.seconds.values()))
    print(f"\n{count} answers in {seconds:.0f} s: {count / seconds:.0f} a second")
    for name, samples in report.memory.items():
        first, last = samples[0][1], samples[-1][1]
        print(f"memory of {name}: {first:.0f} MB at first, {last:.0f} at last, {slope(samples):+.1f} MB a minute at the end")
    for error, times in report.errors.most_common(20):
        print(f"ERROR {times} x {error}")
    growing = [name for name, samples in report.memory.items() if slope(samples) > GROWTH_MB_PER_MINUTE]
    return not report.errors and not growing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pause", type=float, default=1.0)
    parser.add_argument("--embedded", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        urls = {}
        if not options.embedded:
            postgres = stack.enter_context(postgres_server(folder / "postgres"))
            redis = stack.enter_context(redis_server(folder / "redis"))
            urls = {"database_url": postgres.create_database(), "redis_url": redis.url}
        # One address for all clients: its own limit of posts is not what is measured.
        server = stack.enter_context(deployment(folder / "standings", SUBMISSIONS_PER_MINUTE="1000000", **urls))
        digits()  # loads its libraries: seconds in which no client would read its answers
        tokens = server.manage("shell", "-v", "0", "-c", PREPARE.format(clients=options.clients)).split()
        server.start_web()
        server.start_scheduler()
        server.start_worker(concurrency=options.workers)
        load = psutil.getloadavg()[0]
        print(f"{options.clients} clients for {options.minutes:g} min; load of the machine before: {load:.1f}", flush=True)
        report, began = Report(), time.monotonic()
        asyncio.run(crowd(server, tokens, report, minutes=options.minutes, pause=options.pause))
        well = tell(report, seconds=time.monotonic() - began)
        if not well:
            print(server.logs()[-3000:])
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
