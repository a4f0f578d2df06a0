"""Settings from the environment: `PRESENCE_X`, or `PRESENCE_X_FILE` with the path of a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from services.runtime.errors import WrongConfiguration
from services.runtime.logs import LogFormat

S = TypeVar("S", bound=BaseSettings)


def _read(path: str, variable: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise WrongConfiguration(f"{variable}: cannot read {path}: {error.strerror}") from error


class _FileSource(EnvSettingsSource):
    """For every field, the content of the file that `<VARIABLE>_FILE` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self.env_prefix}{field_name}_FILE".upper()
        path = os.environ.get(variable)
        if path is None:
            return None, field_name, False
        return _read(path, variable), field_name, False


class ServiceSettings(BaseSettings):
    """What every service needs."""

    model_config = SettingsConfigDict(
        env_prefix="PRESENCE_", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    config: Path = Path("presence.yaml")
    """The team's configuration."""
    kafka: str = Field(min_length=1)
    """Bootstrap servers: host:port, several with commas."""
    kafka_security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    """The authority that signed the brokers' certificates; none: the system's."""
    kafka_certificate_file: Path | None = None
    kafka_key_file: Path | None = None
    host: str = "0.0.0.0"  # noqa: S104  (containers publish what they choose)
    """The address that the HTTP server binds."""
    log_format: LogFormat = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then `*_FILE`."""
        return init_settings, env_settings, _FileSource(settings_cls)


def load(settings: type[S], **given: Any) -> S:
    """Read settings; a wrong or missing one is WrongConfiguration with one clear line."""
    try:
        return settings(**given)
    except SettingsError as error:
        if isinstance(error.__cause__, WrongConfiguration):
            raise error.__cause__ from None
        raise WrongConfiguration(str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        prefix = settings.model_config.get("env_prefix", "")
        name = str(first["loc"][0]) if first["loc"] else ""
        variable = f"{prefix}{name}".upper()
        if first["type"] == "missing":
            says = " ".join((settings.model_fields[name].description or "").split())
            raise WrongConfiguration(f"{variable} is not set: {says}".rstrip(": ")) from None
        raise WrongConfiguration(f"{variable}: {first['msg']}") from None


def secret(variable: str) -> SecretStr:
    """The secret in `variable`, or in the file that `<variable>_FILE` names.

    Raises WrongConfiguration where neither is set or it is empty.
    """
    value = os.environ.get(variable)
    if value is None and (path := os.environ.get(f"{variable}_FILE")):
        value = _read(path, f"{variable}_FILE")
    if not value:
        raise WrongConfiguration(f"{variable} is not set (nor {variable}_FILE)")
    return SecretStr(value)


def optional_secret(variable: str) -> SecretStr | None:
    """The same, or None where neither variable is there."""
    if not os.environ.get(variable) and not os.environ.get(f"{variable}_FILE"):
        return None
    return secret(variable)
