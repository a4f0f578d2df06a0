"""The engines by themselves: `python -m benchmarks.classify.engines [--texts 2000] [--json]`.

One thread of BLAS, the set that we wrote as text (so many languages), each text once. An engine's first
score and its resident memory stand beside its rate; `reading` is what every engine needs before.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import time

import click
import orjson
import psutil

from services.classify.engines.sentence import SentenceEncoder
from services.classify.model import create_reader, load_engine
from services.classify.training.written import written

BATCH = 500


def resident() -> float:
    """This process's resident memory, MB."""
    return float(psutil.Process(os.getpid()).memory_info().rss) / 1e6


@click.command()
@click.option("--texts", default=2_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(texts: int, as_json: bool) -> None:
    """Print what each engine costs."""
    rows = [row.text for row in written(6, seed=7)][:texts]
    found: dict[str, dict[str, float]] = {}
    before = resident()
    reader = create_reader()
    begun = time.process_time()
    readings = [reader.read(text) for text in rows]
    spent = time.process_time() - begun
    found["reading"] = {"us": spent / len(rows) * 1e6, "per_second": len(rows) / spent}
    for name in ("linear", "cascade", "embedding"):
        started = time.perf_counter()
        engine = load_engine(None, name=name)
        engine.score(readings[:1])
        ready = time.perf_counter() - started
        begun = time.process_time()
        for start in range(1, len(readings), BATCH):
            engine.score(readings[start : start + BATCH])
        spent = time.process_time() - begun
        found[name] = {
            "us": spent / len(rows) * 1e6,
            "per_second": len(rows) / spent,
            "ready_s": ready,
        }
    encoder = SentenceEncoder.load()
    begun = time.process_time()
    for start in range(0, len(rows), BATCH):
        encoder.encode(rows[start : start + BATCH])
    spent = time.process_time() - begun
    found["encoder alone"] = {"us": spent / len(rows) * 1e6, "per_second": len(rows) / spent}
    begun = time.process_time()
    for text in rows[:200]:
        encoder.encode([text])
    spent = time.process_time() - begun
    found["encoder, one by one"] = {"us": spent / 200 * 1e6, "per_second": 200 / spent}
    found["process"] = {"resident_before_mb": before, "resident_mb": resident()}
    if as_json:
        click.echo(orjson.dumps(found))
        return
    for name, one in found.items():
        click.echo(name.ljust(22) + "  ".join(f"{key} {value:,.1f}" for key, value in one.items()))


if __name__ == "__main__":
    main()
