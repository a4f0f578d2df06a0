"""Dovecot, an IMAP server that we did not write, as a process of the test's own on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

import imapclient
import pytest

from deploy.local import ports

DOVECOT = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PASSWORD = "of-the-tests"

CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
log_path = {folder}/dovecot.log
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login {more_mechanisms}
mail_location = maildir:{folder}/mail/%u
mail_uid = {owner}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
mailbox_list_index = no
{more_passdb}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={group} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Complaints {{
    auto = subscribe
  }}
}}
"""


OAUTH2 = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
"""
INTROSPECTION = """
introspection_mode = auth
introspection_url = {url}
username_attribute = username
active_attribute = active
active_value = true
"""


class MailServer:
    """Started again it has the same mails and address.

    `introspection`: where it asks whom an OAuth 2 access token is of (RFC 7662).
    """

    def __init__(self, *, tls: bool = False, introspection: str | None = None) -> None:
        # Not below pytest's own folder, which only its owner may enter: mail is nobody's.
        self.folder = Path(tempfile.mkdtemp(prefix="presence-mail-"))
        self.folder.chmod(0o755)
        self.port = ports.pick(None)
        self.tls_port = ports.pick(None) if tls else 0
        self.certificate = self.folder / "certificate.pem"
        mail = self.folder / "mail"
        mail.mkdir()
        mail.chmod(0o777)
        if tls:
            self._certify()
        self._process: subprocess.Popen[bytes] | None = None
        self._introspection = introspection
        if introspection:
            asked = INTROSPECTION.format(url=introspection)
            (self.folder / "oauth2.conf").write_text(asked, encoding="utf-8")
        self._config = self.folder / "dovecot.conf"
        self._config.write_text(CONFIG.format(**self._values(tls)))

    def _values(self, tls: bool) -> dict[str, object]:
        root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid())
        key = f"ssl_cert = <{self.certificate}\nssl_key = <{self.folder}/key.pem"
        return {
            "folder": self.folder,
            "more_mechanisms": "xoauth2" if self._introspection else "",
            "more_passdb": OAUTH2.format(folder=self.folder) if self._introspection else "",
            "ssl": "yes" if tls else "no",
            "certificate": key if tls else "",
            "owner": pwd.getpwnam("nobody").pw_uid if root else me.pw_uid,
            "group": pwd.getpwnam("nobody").pw_gid if root else me.pw_gid,
            "internal": "dovecot" if root else me.pw_name,
            "internal_group": "dovecot" if root else me.pw_gid,
            "login": "dovenull" if root else me.pw_name,
            "password": PASSWORD,
            "port": self.port,
            "tls_port": self.tls_port,
        }

    def _certify(self) -> None:
        """A certificate of its own, for 127.0.0.1."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
             "-keyout", str(self.folder / "key.pem"), "-out", str(self.certificate)],
            check=True, capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        assert DOVECOT is not None
        self._process = subprocess.Popen(
            [DOVECOT, "-F", "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        for _ in range(200):
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                pytest.fail(f"dovecot ended: {self._process.stderr.read().decode()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        pytest.fail("dovecot did not start")

    def kill(self) -> None:
        """As a crash would: every connection is cut."""
        if self._process is None:
            return
        # Its children are of its session: they go with it.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def client(self, user: str) -> Iterator[imapclient.IMAPClient]:
        """A mail program's own connection."""
        with imapclient.IMAPClient("127.0.0.1", self.port, ssl=False, timeout=10) as found:
            found.login(user, PASSWORD)
            yield found

    def put(
        self,
        user: str,
        mail: EmailMessage | bytes,
        folder: str = "INBOX",
        at: datetime | None = None,
    ) -> None:
        """A mail arrives."""
        raw = mail if isinstance(mail, bytes) else mail.as_bytes()
        with self.client(user) as client:
            client.append(folder, raw, (), at)

    def unseen(self, user: str, folder: str = "INBOX") -> int:
        """How many mails nobody has read."""
        with self.client(user) as client:
            client.select_folder(folder, readonly=True)
            return len(client.search(["UNSEEN"]))

    def number_anew(self, user: str) -> None:
        """As after a restore: the same mails under another UIDVALIDITY. Stops and starts."""
        self.kill()
        for path in (self.folder / "mail" / user).rglob("dovecot*"):
            if path.name != "dovecot-uidlist":
                path.unlink()
                continue
            # Its first line is `3 V<UIDVALIDITY> N<next UID> …`.
            head, _, rest = path.read_text().partition("\n")
            version, validity, *others = head.split(" ")
            anew = f"V{int(validity.removeprefix('V')) + 1_000}"
            path.write_text("\n".join([" ".join([version, anew, *others]), rest]))
        self.start()


def missing() -> str | None:
    """What to install where there is no Dovecot."""
    return None if DOVECOT else "Dovecot is not installed: apt-get install dovecot-imapd"


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    """One server for the tests of a file; each uses a user of its own."""
    if says := missing():
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(says, pytrace=False)
        pytest.skip(says)
    server = MailServer(tls=shutil.which("openssl") is not None)
    server.start()
    yield server
    server.remove()
