"""The team's file changes while replicas run: a new version on each of them, or refused as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.alert.domain.escalation import reached
from services.alert.domain.rota_changes import ChangeKind, RotaChange, in_effect, propose
from services.alert.store import configurations
from services.alert.store.in_force import InForce
from services.alert.team_file import Looked, TeamFile, checks
from services.contracts.configuration import Configuration, Step, Target
from services.runtime.configuration import load, parse
from services.runtime.errors import WrongConfiguration
from services.runtime.postgres import Pool
from tests.alert.builders import PRESENCE, at, configuration
from tests.alert.story import Story, story
from tests.conftest import FreshDatabase

TWENTY = PRESENCE.replace("answer_within: 15m", "answer_within: 20m")


@dataclass
class Replica:
    """A process of its own: its pool, its copy of the file, what holds in it."""

    pool: Pool
    path: Path
    file: TeamFile
    in_force: InForce

    async def refresh(self) -> bool:
        """As it does every second, and before it fires a step."""
        async with self.pool.connection() as connection:
            return await self.in_force.refresh(connection)

    @property
    def minutes(self) -> float:
        """The answer budget that holds here."""
        return self.in_force().policies[0].answer_within.total_seconds() / 60


@asynccontextmanager
async def replica(url: str, folder: Path, text: str = PRESENCE) -> AsyncIterator[Replica]:
    """Started with this file."""
    folder.mkdir()
    path = folder / "presence.yaml"
    path.write_text(text)
    async with story(url) as told:
        loaded = load(path)
        await configurations.store(told.pool, loaded)
        file = TeamFile(path, loaded.sha256, told.pool, lambda: at(0))
        one = Replica(told.pool, path, file, InForce(loaded.configuration))
        await one.refresh()
        yield one


@pytest.mark.integration
async def test_a_changed_file_holds_on_both_replicas_without_a_restart(
    postgres: FreshDatabase, tmp_path: Path
) -> None:
    url = postgres()
    async with replica(url, tmp_path / "a") as a, replica(url, tmp_path / "b") as b:
        assert (a.minutes, b.minutes) == (15, 15)
        a.path.write_text(TWENTY)
        assert await a.file.look() is Looked.stored
        assert await b.file.look() is Looked.unchanged, "its own copy is old, and no change"
        assert (await a.refresh(), await b.refresh()) == (True, True)
        assert (a.minutes, b.minutes) == (20, 20)
        b.path.write_text(TWENTY)
        assert await b.file.look() is Looked.stored
        assert not await a.refresh(), "the same file is the same version"


@pytest.mark.integration
async def test_a_wrong_file_is_refused_as_a_whole_with_its_line(
    postgres: FreshDatabase, tmp_path: Path
) -> None:
    async with replica(postgres(), tmp_path / "a") as a:
        wrong = TWENTY.replace("members: [mia, ben]", "members: [mia, zoe]")
        a.path.write_text(wrong)
        assert await a.file.look() is Looked.refused
        assert await a.file.look() is Looked.unchanged, "told once"
        line = wrong.splitlines().index(next(x for x in wrong.splitlines() if "zoe" in x)) + 1
        assert (a.file.problem or "").startswith(f"presence.yaml:{line}: rotas[0]")
        await a.refresh()
        assert a.minutes == 15, "nothing of it holds"
        async with a.pool.connection() as connection:
            rows = await connection.execute(
                "select after->>'mistakes' from alert.audit order by id"
            )
            assert (await rows.fetchall())[-1] == (a.file.problem,)
        a.path.write_text(TWENTY)
        assert await a.file.look() is Looked.stored
        assert a.file.problem is None
        a.path.unlink()
        assert await a.file.look() is Looked.unchanged, "what was accepted holds"


@pytest.mark.integration
async def test_replicas_that_start_at_once_with_different_files_agree(
    postgres: FreshDatabase, tmp_path: Path
) -> None:
    paths = []
    for minutes in range(16, 22):
        path = tmp_path / f"{minutes}.yaml"
        path.write_text(PRESENCE.replace("answer_within: 15m", f"answer_within: {minutes}m"))
        paths.append(path)
    async with story(postgres()) as told:
        await asyncio.gather(*(configurations.store(told.pool, load(path)) for path in paths))
        assert await _active(told) == 1
        replicas = [InForce(configuration()) for _ in range(3)]
        async with told.pool.connection() as connection:
            for one in replicas:
                await one.refresh(connection)
        assert len({one().policies[0].answer_within for one in replicas}) == 1


async def _active(told: Story) -> int:
    (row,) = await told.rows("select count(*) from alert.configurations where active")
    return int(row[0])


QUIET = """  - {id: ben, name: Ben, roles: [responder], slack: U2, zone: Europe/Berlin,
     quiet_hours: [%s]}
"""


def with_quiet_hours(hours: str) -> str:
    """Ben's."""
    return PRESENCE.replace(
        "  - {id: ben, name: Ben, roles: [responder], slack: U2}\n", QUIET % hours
    )


def test_quiet_hours_that_cover_a_shift_are_refused_with_their_line() -> None:
    text = with_quiet_hours("{from: '22:00', to: '07:00'}")
    line = text.splitlines().index("     quiet_hours: [{from: '22:00', to: '07:00'}]}") + 1
    with pytest.raises(WrongConfiguration, match=f":{line}: people.*cover a shift on social"):
        parse(text, checks=checks(at(0)))


def test_quiet_hours_beside_the_shifts_are_fine() -> None:
    text = with_quiet_hours("{from: '22:00', to: '07:00'}").replace(
        "members: [mia, ben]}",
        "members: [mia, ben]}\n        restriction: [{from: '08:00', to: '20:00'}]",
    )
    assert parse(text, checks=checks(at(0))).people[1].quiet_hours


def test_a_region_without_known_holidays_is_refused() -> None:
    text = PRESENCE.replace(
        "    zone: Europe/Berlin\n", "    zone: Europe/Berlin\n    public_holidays: DE-ZZ\n"
    )
    with pytest.raises(WrongConfiguration, match="no public holidays are known of DE-ZZ"):
        parse(text, checks=checks(at(0)))


@pytest.mark.parametrize(
    ("line", "steps", "minutes"),
    [
        ("{id: team, starter: team, rota: social}", ["0%", "75%", "100%"], 15),
        ("{id: team, starter: solo, rota: social}", ["0%", "100%"], 60),
        ("{id: team, starter: solo, rota: social, answer_within: 30m}", ["0%", "100%"], 30),
    ],
)
def test_a_starter_is_a_policy_in_one_line(line: str, steps: list[str], minutes: int) -> None:
    begin, end = PRESENCE.index("  - id: team\n"), PRESENCE.index("  - id: care\n")
    policy = parse(f"{PRESENCE[:begin]}  - {line}\n{PRESENCE[end:]}").policies[0]
    assert [step.at for step in policy.steps] == steps
    assert policy.answer_within.total_seconds() == minutes * 60
    assert type(policy).model_validate_json(policy.model_dump_json(by_alias=True)) == policy


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{id: team, starter: team}", "names the `rota`"),
        ("{id: team, starter: team, rota: night}", "no rota 'night'"),
        ("{id: team, starter: huge, rota: social}", "solo"),
        ("{id: team}", "`answer_within` and `steps`, or a `starter`"),
        ("{id: team, answer_within: 5m}", "`answer_within` and `steps`, or a `starter`"),
    ],
)
def test_half_a_policy_is_refused(line: str, says: str) -> None:
    begin, end = PRESENCE.index("  - id: team\n"), PRESENCE.index("  - id: care\n")
    with pytest.raises(WrongConfiguration, match=says) as refused:
        parse(f"{PRESENCE[:begin]}  - {line}\n{PRESENCE[end:]}")
    assert len(str(refused.value).splitlines()) == 1


def test_a_page_to_everybody_leaves_out_who_has_quiet_hours_unless_nobody_is_left() -> None:
    file = parse(with_quiet_hours("{from: '22:00', to: '07:00'}"))
    policy = file.policies[0].model_copy(
        update={"steps": (Step(at="0%", targets=(Target(everybody=True),)),)}
    )

    def paged(minutes: float, team: Configuration) -> tuple[str, ...]:
        now = at(minutes)
        return reached(team, policy, 0, brand="air", home="room", now=now, paged={}).people

    assert paged(0, file) == ("mia", "ben", "lea", "tom")
    assert paged(14 * 60, file) == ("mia", "lea", "tom"), "midnight in Berlin"
    alone = file.model_copy(update={"people": (file.people[1],)})
    assert paged(14 * 60, alone) == ("ben",)


def test_a_run_time_change_may_not_cover_quiet_hours_either() -> None:
    file = parse(with_quiet_hours("{from: '22:00', to: '07:00'}"))
    night = RotaChange("", ChangeKind.override, "social", "ben", at(13 * 60), at(15 * 60))
    found = propose(
        file, in_effect(file, [night]), [night], at(0), lambda _rota: lambda _day: False
    )
    assert found.refused == (
        "Ben's quiet hours (23:00, Europe/Berlin) would cover a shift on social",
    )
