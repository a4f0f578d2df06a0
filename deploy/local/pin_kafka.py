"""Writes kafka-jars.txt anew for another Kafka: `python -m deploy.local.pin_kafka 4.3.1`.

For maintainers; needs Maven. It resolves what the broker needs at run time, verifies what it
fetched as Maven does, and writes the hashes down. Review the difference like any other change of a
lock.
"""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.local.kafka_jars import BROKER, LIST

_LOG4J = "org.apache.logging.log4j"
_HEADER = """\
# A single-node Apache Kafka: the broker, what it needs at run time, and its log4j binding.
# group:artifact:version sha256 -- a jar whose hash is another one is refused.
# Written by `python -m deploy.local.pin_kafka VERSION`; see docs/decisions/0010.
"""


def resolve(wanted: Mapping[str, str]) -> dict[str, str]:
    """`group:artifact:version` to sha256 for the wanted `group:artifact` and their dependencies."""
    with tempfile.TemporaryDirectory() as folder:
        dependencies = "".join(
            "<dependency><groupId>{}</groupId><artifactId>{}</artifactId>"
            "<version>{}</version></dependency>".format(*name.split(":"), version)
            for name, version in wanted.items()
        )
        Path(folder, "pom.xml").write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>presence</groupId>"
            "<artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>"
            f"<dependencies>{dependencies}</dependencies></project>"
        )
        command = ["mvn", "-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        options = ["-Dmdep.useRepositoryLayout=true", "-DoutputDirectory=jars"]
        subprocess.run([*command, *options], cwd=folder, check=True)
        found = {}
        for path in Path(folder, "jars").rglob("*.jar"):
            *group, artifact, version, _file = path.relative_to(Path(folder, "jars")).parts
            coordinate = f"{'.'.join(group)}:{artifact}:{version}"
            found[coordinate] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


def main(version: str) -> None:
    broker = resolve({BROKER: version})
    log4j = next(name for name in broker if name.startswith(f"{_LOG4J}:log4j-core:"))
    binding = {f"{_LOG4J}:log4j-slf4j-impl": log4j.split(":")[2]}
    jars = resolve({BROKER: version} | binding)
    lines = [f"{coordinate} {sha256}\n" for coordinate, sha256 in sorted(jars.items())]
    LIST.write_text(_HEADER + "".join(lines))
    sys.stderr.write(f"{LIST}: {len(lines)} jars\n")


if __name__ == "__main__":
    main(sys.argv[1])
