"""Notifications at a steady rate, whatever the answers take: most open no episode, a few ask for a card."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle

import orjson

from benchmarks.classify.variants import shipped, texts_and_labels
from deploy.local.chat.workspace import Message
from services.classify.bare import as_notification
from services.contracts.events import Label
from tests.pipeline.platforms import X_ACCOUNT, Payload, tweet

CONNECTIONS = 16
LATE = 0.1
"""Seconds behind its time from which a request counts as late: this process could not keep up."""
QUESTIONS = (
    "@auroraair my suitcase {} did not arrive in {}, where is it?",
    "@auroraair can you tell me why booking {} from {} was charged twice?",
    "@auroraair how do I change the name on ticket {} to {}? Nobody answers the phone",
    "@auroraair I have waited for my refund {} since {}, when will it come?",
    "@auroraair is gate {} in {} open for wheelchair users? I need help to board",
    "@auroraair your app says error {} when I check in from {}, what should I do?",
)
PLACES = ("Oslo", "Lisbon", "Turin", "Gdansk", "Cork", "Nantes", "Malmo", "Porto", "Graz", "Bergen")


class Load:
    """`rate` notifications a second, `cards` of them questions, each by a person of its own."""

    def __init__(self, seconds: float, rate: float, cards: float) -> None:
        self.count = round(seconds * rate)
        self.late = 0
        self._rate = rate
        self._every = round(rate / cards)
        self._quiet = _without_a_card(texts_and_labels())

    async def send(self, port: int) -> dict[str, float]:
        """All of it; when each question was sent, by the word that only it holds."""
        free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
        sent: dict[str, float] = {}
        texts, begun = cycle(self._quiet), time.perf_counter()
        async with asyncio.TaskGroup() as requests:
            for number in range(self.count):
                due = begun + number / self._rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                self.late += time.perf_counter() - due > LATE
                text = next(texts)
                if number % self._every == 0:
                    turn = number // self._every
                    word = f"Q{number:07}"
                    text = QUESTIONS[turn % len(QUESTIONS)].format(word, PLACES[turn % len(PLACES)])
                    sent[word] = time.time()
                requests.create_task(_post(free, _request(number, text)))
        while not free.empty():
            _, writer = free.get_nowait()
            writer.close()
        return sent

    def carded(self, messages: Sequence[Message], sent: Mapping[str, float]) -> dict[str, float]:
        """Seconds from sending a question to the chat having its card; those that have one."""
        found: dict[str, float] = {}
        for message in messages:
            said = orjson.dumps(message).decode()
            for word in sent.keys() - found.keys():
                if word in said:
                    found[word] = float(message["ts"]) - sent[word]
        return found


def _without_a_card(rows: tuple[Sequence[str], Sequence[str]]) -> list[str]:
    """Spam and news that the shipped classifier takes for what it is: what is unsure gets a card, and more
    cards than a chat takes would be measured waiting for the chat.
    """
    texts = [text for text, label in zip(*rows, strict=True) if label != Label.conversation]
    verdicts = shipped().judge([as_notification(text) for text in texts])
    return [
        text
        for text, verdict in zip(texts, verdicts, strict=True)
        if verdict.label is not Label.conversation and not verdict.sensitive
    ]


def _request(number: int, text: str) -> bytes:
    said = tweet(str(8_000_000_000 + number), str(50_000 + number), text, datetime.now(UTC))
    payload = {"for_user_id": X_ACCOUNT, "tweet_create_events": [said]}
    body = orjson.dumps(payload)
    headers = {"host": "localhost", "content-length": str(len(body)), **Payload("x", body).headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhooks/x HTTP/1.1\r\n{lines}\r\n".encode() + body


async def _post(
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]], request: bytes
) -> None:
    connection = reader, writer = await free.get()
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    free.put_nowait(connection)
