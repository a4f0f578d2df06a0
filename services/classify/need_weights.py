"""Reads the weights that tell who waits: services/classify/need.json, made by training/need.py."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from services.classify.domain.need import NeedWeights
from services.classify.domain.structure import COLUMNS

FILE: Final = "need.json"
FORMAT: Final = 1


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    rows: int
    columns: tuple[str, ...]
    bias: float
    rule: float
    weights: tuple[float, ...]


@cache
def built_in() -> NeedWeights:
    """The shipped weights. Raises ValueError where they were learned with other columns."""
    content = (files("services.classify") / FILE).read_bytes()
    file = _File.model_validate_json(content)
    known = COLUMNS[: len(file.columns)]  # a column is only ever added at the end
    if file.columns != known or len(file.weights) != len(file.columns):
        raise ValueError(f"{FILE} was learned with other columns: run training/need.py anew")
    return NeedWeights(file.bias, file.rule, file.weights)
