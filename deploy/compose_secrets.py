"""Write the secret files that docker-compose.yml mounts. Files that are there stay as they are.

Standard library only: it runs on a machine that has nothing but Python.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "secrets"

PASSWORDS = (
    "postgres_password",
    "postgres_ingest_password",
    "postgres_alert_password",
    "postgres_reports_password",
    "link_secret",
    "grafana_admin_password",
)

ENV_FILES = {
    "ingest.env": """\
# What the platforms gave you, by the names that presence.yaml uses. NAME_FILE works too.
# PRESENCE_X_CONSUMER_SECRET=
# PRESENCE_META_APP_SECRET=
# PRESENCE_META_VERIFY_TOKEN=
# PRESENCE_MASTODON_ACCESS_TOKEN=
# PRESENCE_BLUESKY_APP_PASSWORD=
# PRESENCE_EMAIL_PASSWORD=
# PRESENCE_YOUTUBE_API_KEY=
# PRESENCE_YOUTUBE_CLIENT_ID=
# PRESENCE_YOUTUBE_CLIENT_SECRET=
# PRESENCE_YOUTUBE_REFRESH_TOKEN=
""",
    "classify.env": """\
# Of a language model, where presence.yaml names one (docker compose --file … deploy/compose.llm.yml).
# PRESENCE_LLM_KEY=
""",
    "alert.env": """\
# What your chat gave you, by the names that presence.yaml uses. NAME_FILE works too.
# PRESENCE_SLACK_BOT_TOKEN=
# PRESENCE_SLACK_SIGNING_SECRET=
# PRESENCE_SLACK_APP_TOKEN=
# PRESENCE_TEAMS_WORKFLOW_URL=
# PRESENCE_TEAMS_APP_PASSWORD=
# PRESENCE_MAIL_URL=
""",
}


def _write(file: Path, content: str, mode: int) -> bool:
    if file.exists():
        return False
    file.touch(mode=0o600)
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    return True


def write(folder: Path) -> list[str]:
    """Write what is missing under `folder`; the names of what was written.

    The folder is closed to other users of this machine. The files in it are readable, because each
    container reads the one it is given as a user of its own.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    # 48 hex digits: nothing in them needs quoting in a URL.
    written = [
        name for name in PASSWORDS if _write(folder / name, secrets.token_hex(24) + "\n", 0o644)
    ]
    for service in ("ingest", "alert"):
        password = (folder / f"postgres_{service}_password").read_text(encoding="utf-8").strip()
        url = f"postgresql://presence_{service}:{password}@postgres:5432/presence\n"
        name = f"{service}_database_url"
        written += [name] if _write(folder / name, url, 0o644) else []
    # Read by the compose command itself, not inside a container.
    written += [name for name, text in ENV_FILES.items() if _write(folder / name, text, 0o600)]
    return written


def main() -> int:
    """Write them, say which."""
    for name in write(FOLDER):
        sys.stdout.write(f"wrote secrets/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
