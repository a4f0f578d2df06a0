"""HMAC-SHA256 in a header, as forums and help desks sign what they post: presence.yaml says how."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.contracts.configuration import HmacForm
from services.ingest.domain.native import instant
from services.ingest.sources.source import Delivery, RefusalReason, Refused, same


@dataclass(frozen=True)
class HmacSignature:
    """Over the body, or over a timestamp and the body where the system signs one.

    Without a timestamp an old request is told from a new one by its event id only.
    """

    key: bytes
    form: HmacForm
    tolerance: timedelta

    def verify(self, delivery: Delivery, now: datetime) -> None:
        """Raises Refused."""
        given = delivery.headers.get(self.form.header)
        if not given:
            raise Refused(RefusalReason.signature_missing)
        signed, at = delivery.body, now
        if self.form.timestamp_header is not None:
            written = delivery.headers.get(self.form.timestamp_header)
            if not written:
                raise Refused(RefusalReason.signature_missing)
            found = instant(written)
            if found is None:
                raise Refused(RefusalReason.timestamp_invalid)
            signed, at = written.encode("latin-1", "replace") + signed, found
        if not same(self._written(signed), given.strip().encode("utf-8", "replace")):
            raise Refused(RefusalReason.signature_wrong)
        if abs(now - at) > self.tolerance:
            raise Refused(RefusalReason.timestamp_old)

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The headers, as the system would send them."""
        headers = {}
        signed = body
        if self.form.timestamp_header is not None:
            at = now.isoformat()
            headers[self.form.timestamp_header] = at
            signed = at.encode() + body
        return {**headers, self.form.header: self._written(signed).decode()}

    def _written(self, signed: bytes) -> bytes:
        digest = hmac.new(self.key, signed, hashlib.sha256).digest()
        hexadecimal = self.form.encoding == "hex"
        encoded = digest.hex().encode() if hexadecimal else base64.b64encode(digest)
        return self.form.prefix.encode() + encoded
