"""Which model is served: the one that presence.yaml names, else the built-in one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from services.classify import beside
from services.classify.classifier import NOTHING_LEARNED, Classifier
from services.classify.domain.impersonation import Identity
from services.classify.domain.lessons import Lessons
from services.classify.engines.cascade import Asked, CascadeEngine, Head, nobody
from services.classify.engines.model_file import UnusableModel
from services.classify.engines.port import TextEngine
from services.classify.engines.rules import RulesEngine
from services.classify.languages import LanguageDetector
from services.classify.reader import Reader
from services.classify.sign_lists import spam_signs
from services.classify.stages import Spent, Stage, unmeasured
from services.classify.word_lists import built_in
from services.contracts.configuration import Configuration
from services.runtime.errors import WrongConfiguration

BUILT_IN: Final = "presence-3"
ENGINES: Final = ("cascade", "embedding", "linear", "rules")
"""`cascade` is what is served; `embedding` asks the sentence head of every text, `linear` of none."""


def load_engine(
    model: str | None, *, name: str = "cascade", asked: Asked = nobody
) -> CascadeEngine:
    """The model in a directory, or the built-in one. Raises WrongConfiguration with one clear line."""

    def load(directory: Path) -> CascadeEngine:
        return CascadeEngine.load(
            directory,
            sentence=name != "linear",
            always=name == "embedding",
            asked=asked,
            beside=beside.shipped(),
        )

    try:
        if model is not None:
            return load(Path(model))
        with as_file(files("services.classify.engines") / "models" / BUILT_IN) as directory:
            return load(directory)
    except UnusableModel as error:
        raise WrongConfiguration(f"classify.model: {error}") from error


def engine_named(name: str, model: str | None) -> TextEngine:
    """One of `ENGINES`."""
    return RulesEngine() if name == "rules" else load_engine(model, name=name)


def create_reader() -> Reader:
    """Word lists and language detection, as served."""
    return Reader(built_in(), LanguageDetector())


def create_classifier(
    configuration: Configuration,
    *,
    lessons: Callable[[], Lessons] = lambda: NOTHING_LEARNED,
    spent: Spent = unmeasured,
) -> Classifier:
    """What the service runs."""

    def asked(head: Head, texts: int, settled: int, seconds: float) -> None:
        spent(Stage(head.value), texts, seconds)

    engine = load_engine(configuration.classify.model, asked=asked)
    return _serving(configuration, engine, lessons=lessons, spent=spent)


def create_challenger(configuration: Configuration) -> Classifier | None:
    """What runs in its shadow, where presence.yaml names one. Raises WrongConfiguration."""
    model = configuration.classify.shadow.model
    if model is None:
        return None
    try:
        engine = load_engine(model)
    except WrongConfiguration as error:
        says = str(error).replace("classify.model", "classify.shadow.model")
        raise WrongConfiguration(says) from error
    return _serving(configuration, engine)


def _serving(
    configuration: Configuration,
    engine: TextEngine,
    *,
    lessons: Callable[[], Lessons] = lambda: NOTHING_LEARNED,
    spent: Spent = unmeasured,
) -> Classifier:
    names = {brand.id: brand.name for brand in configuration.brands}
    identities = [
        Identity(one.platform, one.id, one.handle, names[one.brand])
        for one in configuration.accounts
    ]
    return Classifier(
        create_reader(),
        engine,
        configuration.classify.costs,
        identities,
        signs=spam_signs(configuration),
        lessons=lessons,
        spent=spent,
    )
