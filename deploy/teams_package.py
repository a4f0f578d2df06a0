"""Write the Teams app package: deploy/teams with your bot's id and address in it, zipped.

python -m deploy.teams_package --app-id GUID --public-url https://presence.example presence-teams.zip
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

FOLDER = Path(__file__).resolve().parent / "teams"
ICONS = ("color.png", "outline.png")


def manifest(app_id: str, public_url: str) -> str:
    """The manifest filled in. Raises ValueError for what Teams would refuse."""
    parts = urlsplit(public_url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{public_url!r} is no https address: Teams takes no other")
    values = {
        "{{APP_ID}}": str(uuid.UUID(app_id)),
        "{{PUBLIC_URL}}": public_url.rstrip("/"),
        "{{PUBLIC_HOST}}": parts.hostname,
    }
    text = (FOLDER / "manifest.json").read_text(encoding="utf-8")
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    json.loads(text)
    return text


def write(app_id: str, public_url: str, to: Path) -> None:
    """The package, with its three files at the top as Teams wants them."""
    filled = manifest(app_id, public_url)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("manifest.json", filled)
        for name in ICONS:
            package.write(FOLDER / name, name)


def main() -> int:
    """Exit code 2 for what Teams would refuse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--app-id", required=True, help="the bot's Microsoft app id")
    parser.add_argument("--public-url", required=True, help="as PRESENCE_PUBLIC_URL")
    parser.add_argument("to", type=Path, help="where to write the .zip")
    given = parser.parse_args()
    try:
        write(given.app_id, given.public_url, given.to)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{given.to}: upload it in Teams under Apps → Manage your apps\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
