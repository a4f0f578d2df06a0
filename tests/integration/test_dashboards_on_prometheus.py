"""Every panel and rule, asked of a real Prometheus that scrapes a page with every metric of ours."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from services.alert.chat.metrics import DeliveryResult
from services.alert.ports import DeliveryReason
from services.contracts.events import CloseReason
from tests.integration.test_monitoring import METRICS, PANELS, RULES, _as_prometheus_sees_it

VALUES = {
    "platform": ("x", "mastodon"),
    "hours": ("wall", "business"),
    "result": ("met", "missed", *DeliveryResult),
    "reason": (CloseReason.answered, *DeliveryReason),
    "segment": ("detect", "classify", "page", "claim", "reply"),
    "direction": ("inbound",),
    "kind": ("mention",),
    "state": ("open", "claimed", "posted"),
}


class Page:
    """A registry with every documented metric under a few label values; grows at each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._children: list[Any] = []
        for name, labels in METRICS.items():
            kind = self._kind(name)
            if kind is not None:
                base = name.removesuffix("_bucket")
                metric = kind(base, "A metric.", sorted(labels - {"le"}), registry=self.registry)
                self._children += self._labelled(metric, sorted(labels - {"le"}))

    @staticmethod
    def _kind(name: str) -> Any:
        if name.endswith("_bucket"):
            return Histogram
        if name.endswith(("_sum", "_count")):
            return None
        return Counter if name.endswith("_total") else Gauge

    @staticmethod
    def _labelled(metric: Any, labels: list[str]) -> Iterator[Any]:
        if not labels:
            yield metric
            return
        for values in itertools.product(*(VALUES.get(label, ("one",)) for label in labels)):
            yield metric.labels(*values)

    def grown(self) -> bytes:
        """The page after one more of everything."""
        for child in self._children:
            child.observe(0.4) if isinstance(child, Histogram) else child.inc()
        return generate_latest(self.registry)


@pytest.fixture(scope="module")
def scraped() -> Iterator[int]:
    """The port of a page that answers a scrape."""
    page = Page()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.grown()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Scrapes are no news."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def prometheus(scraped: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prometheus with our rules that has scraped a few times."""
    program = shutil.which("prometheus")
    if program is None:
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail("prometheus is missing: apt-get install prometheus", pytrace=False)
        pytest.skip("prometheus is missing: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(_configuration(scraped), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for_scrapes(address, folder / "log")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _configuration(page: int) -> str:
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{page}"]}]}
        for job in ("ingest", "classify", "alert")
    ]
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    rules = [str(file) for file in RULES]
    return yaml.safe_dump({"global": every, "rule_files": rules, "scrape_configs": jobs})


def _ask(address: str, expr: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expr})
    with urllib.request.urlopen(f"{address}/api/v1/query?{query}", timeout=10) as answer:
        found = json.load(answer)
    assert found["status"] == "success"
    result: list[Any] = found["data"]["result"]
    return result


def _wait_for_scrapes(address: str, log: Path) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            done = _ask(address, "min(count_over_time(up[1m])) >= 4")
            recorded = _ask(address, "platform:presence_pipeline_seconds:p99_5m")
        except OSError:
            done = recorded = []
        if done and recorded:
            return
        time.sleep(0.25)
    pytest.fail(f"Prometheus scraped nothing:\n{log.read_text(encoding='utf-8')[-2000:]}")


def test_every_panel_shows_something_when_everything_is_measured(prometheus: str) -> None:
    empty = [
        f"{panel['title']}: {target['expr']}"
        for panel in PANELS
        for target in panel["targets"]
        # Scraped once a second here, once in fifteen there: a short window holds enough.
        if not _ask(prometheus, _as_prometheus_sees_it(target["expr"]))
    ]
    assert not empty, "\n".join(empty)


def test_every_rule_evaluates_without_an_error(prometheus: str) -> None:
    with urllib.request.urlopen(f"{prometheus}/api/v1/rules", timeout=10) as answer:
        groups = json.load(answer)["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 10
    assert [rule["name"] for rule in rules if rule.get("lastError")] == []
