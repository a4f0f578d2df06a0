"""librdkafka settings that every client of ours shares, in one place.

Each pinned value guards against a default that loses or scatters data; docs/architecture.md says
which. kafka-python's admin client takes the same security from `admin_settings`.
"""

from __future__ import annotations

from typing import Any

from services.runtime.settings import ServiceSettings

PRODUCER: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    # As Java and kafka-python do: one key, one partition, whoever writes it.
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 2,
    # A record that can't be delivered is told to the caller in seconds, not in librdkafka's five minutes.
    "message.timeout.ms": 5_000,
    "queue.buffering.max.messages": 20_000,
    "queue.buffering.max.kbytes": 65_536,
    "message.max.bytes": 1_000_000,
}

CONSUMER: dict[str, Any] = {
    # Offsets are stored by us after the effect, never by the client on reading.
    "enable.auto.offset.store": False,
    "statistics.interval.ms": 5_000,
}


def security(settings: ServiceSettings) -> dict[str, Any]:
    """TLS and SASL for librdkafka; empty for plaintext."""
    found: dict[str, Any] = {"security.protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("sasl"):
        found["sasl.mechanism"] = settings.kafka_sasl_mechanism
        found["sasl.username"] = settings.kafka_sasl_username or ""
        password = settings.kafka_sasl_password
        found["sasl.password"] = password.get_secret_value() if password else ""
    for key, path in (
        ("ssl.ca.location", settings.kafka_ca_file),
        ("ssl.certificate.location", settings.kafka_certificate_file),
        ("ssl.key.location", settings.kafka_key_file),
    ):
        if path is not None:
            found[key] = str(path)
    return found


def admin_settings(settings: ServiceSettings) -> dict[str, Any]:
    """Arguments for kafka-python's clients."""
    found: dict[str, Any] = {
        "bootstrap_servers": settings.kafka.split(","),
        "security_protocol": settings.kafka_security_protocol.upper(),
        "bootstrap_timeout_ms": 10_000,
    }
    if settings.kafka_security_protocol.startswith("sasl"):
        password = settings.kafka_sasl_password
        found |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    if "ssl" in settings.kafka_security_protocol:
        found |= {
            "ssl_cafile": _text(settings.kafka_ca_file),
            "ssl_certfile": _text(settings.kafka_certificate_file),
            "ssl_keyfile": _text(settings.kafka_key_file),
        }
    return found


def _text(path: Any) -> str | None:
    return str(path) if path is not None else None
