"""Who runs PostgreSQL when we are root, which it refuses: an account that may do nothing else."""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.processes import Account

__all__ = ["Account", "account_for", "reachable_programs"]

_LASTING_TEMPORARY_FOLDER = Path("/var/tmp")  # noqa: S108 -- only root's own folder in it is trusted


def account_for(data: Path) -> Account | None:
    """None unless we are root; then the owner of existing data, else `postgres`, else `nobody`."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL refuses to run as root and there is no account `nobody`: run as another user, "
        "or set PRESENCE_DATABASE_URL"
    )


def reachable_programs(programs: Path, account: Account | None) -> Path:
    """`programs`, or a copy where the account can reach it (a virtual environment under /root)."""
    if account is None or _can_run(programs, account):
        return programs
    installation = programs.parent
    stamp = int((programs / "postgres").stat().st_mtime)
    home = _LASTING_TEMPORARY_FOLDER / f"presence-postgresql-{installation.name}-{stamp}"
    if not home.exists():
        _copy_installation(installation, home)
    owner = home.lstat()
    if owner.st_uid != 0 or stat.S_ISLNK(owner.st_mode) or owner.st_mode & 0o022:
        raise StackError(f"{home} is not root's own: remove it")
    copied = home / installation.parent.name / installation.name / programs.name
    if not _can_run(copied, account):
        raise StackError(
            f"PostgreSQL refuses root, and no other account can run {home}: run as another user, "
            "or set PRESENCE_DATABASE_URL"
        )
    return copied


def _copy_installation(installation: Path, home: Path) -> None:
    """In the wheel's own layout: its programs find their libraries by relative paths."""
    package = installation.parent
    draft = Path(tempfile.mkdtemp(prefix="presence-", dir=home.parent))
    shutil.copytree(installation, draft / package.name / installation.name, symlinks=True)
    for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.relative_to(package.parent), symlinks=True)
    for folder in (draft, draft / package.name):
        folder.chmod(0o755)
    try:
        draft.rename(home)
    except OSError:  # another process was faster
        shutil.rmtree(draft)


def _can_run(programs: Path, account: Account) -> bool:
    try:
        told = subprocess.run(
            [programs / "postgres", "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return told.returncode == 0
