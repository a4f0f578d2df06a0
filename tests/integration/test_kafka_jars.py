"""Kafka's jars: only those whose hash is checked in, all of them or none."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local.errors import HashMismatchError, ToolMissingError
from deploy.local.jar_fetchers import Coordinate, FetchError, fetch_with_jgo
from deploy.local.kafka_jars import Fetch, Jar, kafka_version, provide_jars, read_list


def content(jar: Coordinate) -> bytes:
    return f"the bytes of {jar.file_name}".encode()


def a_jar(artifact: str) -> Jar:
    jar = Jar("org.apache.kafka", artifact, "4.3.1", "")
    return Jar(jar.group, artifact, jar.version, hashlib.sha256(content(jar)).hexdigest())


JARS = (a_jar("kafka_2.13"), a_jar("kafka-clients"))


def honest(jars: Sequence[Coordinate], into: Path, fetched: Callable[[str], None]) -> None:
    for jar in jars:
        (into / jar.file_name).write_bytes(content(jar))
        fetched(jar.file_name)


def forging(jars: Sequence[Coordinate], into: Path, fetched: Callable[[str], None]) -> None:
    honest(jars, into, fetched)
    (into / jars[1].file_name).write_bytes(b"something else")


def failing(jars: Sequence[Coordinate], into: Path, fetched: Callable[[str], None]) -> None:
    honest(jars[:1], into, fetched)
    raise FetchError("no network")


def crashing(jars: Sequence[Coordinate], into: Path, fetched: Callable[[str], None]) -> None:
    honest(jars[:1], into, fetched)
    raise KeyboardInterrupt


def provide(cache: Path, *fetchers: Fetch) -> tuple[Path, ...]:
    named = [(fetcher.__name__, fetcher) for fetcher in fetchers]
    return provide_jars(JARS, cache=cache, fetchers=named)


def test_the_checked_in_list_pins_every_jar_by_version_and_hash() -> None:
    jars = read_list()
    assert kafka_version(jars).startswith("4.")
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)


def test_a_jar_with_another_hash_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(HashMismatchError, match=r"clients-4\.3\.1\.jar as fetched by forging"):
        provide(tmp_path, forging)
    assert [path.name for path in (tmp_path / "kafka").iterdir()] == ["lock"]


def test_the_next_way_is_tried_where_one_cannot_fetch(tmp_path: Path) -> None:
    paths = provide(tmp_path, failing, honest)
    assert [path.read_bytes() for path in paths] == [content(jar) for jar in JARS]


def test_one_line_says_why_no_way_could_fetch(tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError, match=r"failing: no network.*PRESENCE_KAFKA"):
        provide(tmp_path, failing)


def test_a_crash_while_fetching_leaves_no_half_set(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        provide(tmp_path, crashing)
    (tmp_path / "kafka" / ".fetching-killed").mkdir()  # what kill -9 would have left
    provide(tmp_path, honest)
    assert not list((tmp_path / "kafka").glob(".fetching-*"))


def test_a_jar_damaged_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    provide(tmp_path, honest)[0].write_bytes(b"bit rot")
    assert provide(tmp_path, honest)[0].read_bytes() == content(JARS[0])


def test_of_several_at_once_only_one_fetches(tmp_path: Path) -> None:
    calls: list[int] = []
    everybody_here = threading.Barrier(4)

    def counting(jars: Sequence[Coordinate], into: Path, fetched: Callable[[str], None]) -> None:
        calls.append(1)
        honest(jars, into, fetched)

    def ask() -> None:
        everybody_here.wait()
        provide(tmp_path, counting)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


class _Repository(BaseHTTPRequestHandler):
    """A repository in Maven's layout that hangs up on the first request for each file."""

    def do_GET(self) -> None:
        asked: set[str] = self.server.asked  # type: ignore[attr-defined]
        name = self.path.rsplit("/", 1)[-1]
        jar = next((jar for jar in JARS if jar.file_name == name), None)
        found = self.path in asked
        asked.add(self.path)
        if jar is None or not found:
            return  # hangs up without an answer
        body = content(jar)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def repository() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Repository) as server:
        server.asked = set()  # type: ignore[attr-defined]
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_without_maven_jgo_fetches_and_tries_a_failed_jar_again(
    tmp_path: Path, repository: str
) -> None:
    fetch = partial(fetch_with_jgo, repositories={"local": repository})
    paths = provide_jars(JARS, cache=tmp_path, fetchers=[("jgo", fetch)])
    assert [path.read_bytes() for path in paths] == [content(jar) for jar in JARS]


def test_a_jar_that_no_repository_has_is_told_by_name(tmp_path: Path, repository: str) -> None:
    missing = Jar("org.apache.kafka", "never-published", "4.3.1", "0" * 64)
    fetch = partial(fetch_with_jgo, repositories={"local": repository})
    with pytest.raises(ToolMissingError, match=r"never-published-4\.3\.1\.jar"):
        provide_jars([*JARS, missing], cache=tmp_path, fetchers=[("jgo", fetch)])
