"""Secrets of one demo, and the signatures that the platforms put on their requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from deploy.local.demo.delivery import Delivery, Envelope, Signing

OLD = timedelta(hours=1)


def _random() -> SecretStr:
    return SecretStr(secrets.token_hex(24))


def _random_whsec() -> SecretStr:
    return SecretStr("whsec_" + base64.b64encode(secrets.token_bytes(24)).decode())


@dataclass(frozen=True)
class DemoSecrets:
    """What the services read from their environment, made anew for every demo."""

    x_consumer_secret: SecretStr
    meta_app_secret: SecretStr
    meta_verify_token: SecretStr
    shop: SecretStr
    helpdesk: SecretStr
    newswire: SecretStr
    mastodon_token: SecretStr
    slack_bot_token: SecretStr
    slack_signing_secret: SecretStr

    @classmethod
    def made(cls) -> DemoSecrets:
        """Random ones."""
        return cls(
            x_consumer_secret=_random(),
            meta_app_secret=_random(),
            meta_verify_token=_random(),
            shop=_random_whsec(),
            helpdesk=_random_whsec(),
            newswire=_random_whsec(),
            mastodon_token=_random(),
            slack_bot_token=SecretStr("xoxb-" + secrets.token_hex(16)),
            slack_signing_secret=_random(),
        )

    def environment(self) -> dict[str, str]:
        """The variables that presence.demo.yaml names."""
        named = {
            "PRESENCE_X_CONSUMER_SECRET": self.x_consumer_secret,
            "PRESENCE_META_APP_SECRET": self.meta_app_secret,
            "PRESENCE_META_VERIFY_TOKEN": self.meta_verify_token,
            "PRESENCE_SHOP_SECRET": self.shop,
            "PRESENCE_HELPDESK_SECRET": self.helpdesk,
            "PRESENCE_NEWSWIRE_SECRET": self.newswire,
            "PRESENCE_MASTODON_ACCESS_TOKEN": self.mastodon_token,
            "PRESENCE_SLACK_BOT_TOKEN": self.slack_bot_token,
            "PRESENCE_SLACK_SIGNING_SECRET": self.slack_signing_secret,
        }
        return {name: secret.get_secret_value() for name, secret in named.items()}

    def webhook(self, source: str) -> SecretStr:
        """The signing secret of a generic webhook."""
        return {"shop": self.shop, "helpdesk": self.helpdesk, "newswire": self.newswire}[source]


def _key(secret: SecretStr, signing: Signing) -> bytes:
    key = secret.get_secret_value().encode()
    return key[::-1] if signing is Signing.wrong else key


def _hmac(secret: SecretStr, signing: Signing, content: bytes) -> bytes:
    return hmac.new(_key(secret, signing), content, hashlib.sha256).digest()


def _cloudevent_headers(delivery: Delivery, now: datetime) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": delivery.delivery_id,
        "ce-source": f"//{delivery.source}.auroraair.example",
        "ce-type": f"item.{delivery.body['action']}",
        "ce-time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _webhook_headers(
    delivery: Delivery, content: bytes, secret: SecretStr, now: datetime
) -> dict[str, str]:
    moment = now - OLD if delivery.signing is Signing.old else now
    signer = Webhook(secret.get_secret_value())
    signature = signer.sign(delivery.delivery_id, moment, content.decode())
    signed = {
        "webhook-id": delivery.delivery_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
    }
    if delivery.envelope is Envelope.binary:
        return _cloudevent_headers(delivery, now) | signed
    structured = delivery.envelope is Envelope.structured
    content_type = "application/cloudevents+json" if structured else "application/json"
    return {"content-type": content_type} | signed


def headers(delivery: Delivery, demo: DemoSecrets, now: datetime) -> dict[str, str]:
    """The request's headers as the platform would send them, its signature included."""
    content = delivery.content()
    if delivery.source == "x":
        digest = _hmac(demo.x_consumer_secret, delivery.signing, content)
        signature = "sha256=" + base64.b64encode(digest).decode()
        return {"content-type": "application/json", "x-twitter-webhooks-signature": signature}
    if delivery.source == "meta":
        digest = _hmac(demo.meta_app_secret, delivery.signing, content)
        signature = "sha256=" + digest.hex()
        return {"content-type": "application/json", "x-hub-signature-256": signature}
    return _webhook_headers(delivery, content, demo.webhook(delivery.source), now)
