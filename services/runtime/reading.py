"""Reading whole topics beside every group: for what is kept there, not for what is to be done."""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import Consumer

from services.runtime import kafka_settings
from services.runtime.logs import KAFKA_LOGGER
from services.runtime.settings import ServiceSettings


def open_reader(settings: ServiceSettings, purpose: str, **more: Any) -> Consumer:
    """A consumer that commits nothing and tells the ends of partitions. Assign it, and close it.

    librdkafka asks for a group even where none is used: `purpose` names it, for whoever looks at Kafka.
    """
    return Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": f"presence-{purpose}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
            "auto.offset.reset": "earliest",
            **kafka_settings.security(settings),
            **more,
        },
        logger=logging.getLogger(KAFKA_LOGGER),
    )
