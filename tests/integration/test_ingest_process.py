"""`presence ingest` and `presence replay` as people run them: processes, HTTP, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import orjson
import pytest
import yaml

from deploy.local import ports
from tests.conftest import FreshDatabase
from tests.ingest.brand import LINK_SECRET, SECRETS, configuration, payload
from tests.integration.ingest_service import Records, settings_for, unique, with_accounts

pytestmark = pytest.mark.integration

PRESENCE = Path(sys.executable).with_name("presence")


def _presence_yaml(folder: Path, account: str) -> Path:
    accounts = configuration().model_dump(mode="json", by_alias=True, exclude_none=True)["accounts"]
    known = {one["id"]: one for one in accounts}
    x = {**accounts[0], "id": account}
    file = with_accounts(x, known["1010"], known["zip-shop"])
    path = folder / "presence.yaml"
    path.write_text(yaml.safe_dump(file.model_dump(mode="json", by_alias=True, exclude_none=True)))
    return path


async def test_a_file_is_replayed_through_a_running_ingest_which_stops_when_told(
    kafka: str, postgres: FreshDatabase, tmp_path: Path
) -> None:
    account, database = unique("90"), postgres()
    settings_for(kafka, database)
    port = ports.pick(None)
    environment = {
        **os.environ, **SECRETS,
        "PRESENCE_CONFIG": str(_presence_yaml(tmp_path, account)),
        "PRESENCE_KAFKA": kafka,
        "PRESENCE_DATABASE_URL": database,
        "PRESENCE_LINK_SECRET": LINK_SECRET.get_secret_value(),
        "PRESENCE_INGEST_PORT": str(port),
        "PRESENCE_HOST": "127.0.0.1",
    }  # fmt: skip
    lines = tmp_path / "lines.jsonl"
    mine = payload("x", "mention").replace(b"2244994945", account.encode())
    written = [
        {"source": "x", "body": orjson.loads(mine)},
        {"source": "x", "body": orjson.loads(mine)},
        {"source": "shop", "body": orjson.loads(payload("shop", "review"))},
        {"source": "meta", "raw": "{broken"},
    ]
    lines.write_bytes(b"\n".join(orjson.dumps(line) for line in written))
    log = (tmp_path / "ingest.log").open("wb")
    service = subprocess.Popen([PRESENCE, "ingest"], env=environment, stderr=log)
    try:
        _until_ready(port, service)
        for accepted, duplicates in ((2, 1), (0, 3)):
            command = [str(PRESENCE), "replay", str(lines), "--json"]
            done = subprocess.run(command, env=environment, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
            told = orjson.loads(done.stdout.splitlines()[-1])
            assert (told["accepted"], told["duplicates"]) == (accepted, duplicates)
            assert told["dead_letters"] == 1
        again = [
            str(PRESENCE),
            "replay",
            str(lines),
            "--shift-to-now",
            "--page",
            "--rate",
            "50",
            "--json",
        ]
        done = subprocess.run(again, env=environment, capture_output=True, check=False)
        assert orjson.loads(done.stdout.splitlines()[-1])["accepted"] == 2, "fresh ids"
        service.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert service.wait(15) == 0
        assert time.monotonic() - begun < 10
    finally:
        service.kill()
        service.wait()
        log.close()
    reader = Records(kafka, account)
    found = await reader.until(lambda found: len(found) == 2)
    reader.close()
    assert [
        (one.origin.value, one.may_page) for one in sorted(found, key=lambda one: one.received_at)
    ] == [
        ("replay", False),
        ("replay", True),
    ]
    text = (tmp_path / "ingest.log").read_text()
    assert not any(secret in text for secret in SECRETS.values())


def _until_ready(port: int, service: subprocess.Popen[bytes]) -> None:
    for _ in range(150):
        assert service.poll() is None, "ingest ended"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=3).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail("ingest did not become ready")
