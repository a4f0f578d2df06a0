"""One whole Presence for all tests of the flow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.whole import Whole


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Real Kafka, PostgreSQL and services as processes, and a strict Slack twin."""
    with Whole(tmp_path_factory.mktemp("whole")) as whole:
        yield whole
