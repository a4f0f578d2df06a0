"""Many versions of one text, as a campaign sends them or as many people write the same."""

from __future__ import annotations

import random
from typing import NamedTuple

_LATIN, _CYRILLIC = "acehijopsxy", "асеһіјорѕху"
_EMOJI = ("🎉", "🔥", "💰", "‼️", "✅")


class Template(NamedTuple):
    """A text with slots, and the words that may fill each."""

    text: str
    slots: dict[str, tuple[str, ...]]


SCAMS = {
    "en": Template(
        "{hi} {brand} customers! You have been {chosen} to {receive} a ${n} {prize}. {claim} it {now} at "
        "{link} {end}",
        {
            "hi": ("Hello", "Dear", "Hi", "Attention"),
            "chosen": ("selected", "chosen"),
            "receive": ("receive", "get"),
            "prize": ("gift card", "gift voucher"),
            "claim": ("Claim", "Redeem"),
            "now": ("now", "today", "right now"),
            "end": ("", "before midnight", "hurry up", "limited time"),
        },
    ),
    "recovery": Template(
        "I {lost} everything until I met {who}, {who} helped me recover my {coin} in {n} days, {write} "
        "them on {app} {link} {end}",
        {
            "lost": ("lost", "had lost"),
            "who": ("Mr Smith", "Mrs Anna"),
            "coin": ("bitcoin", "crypto"),
            "write": ("write", "message", "contact"),
            "app": ("telegram", "whatsapp", "instagram"),
            "end": ("", "God bless", "thank me later"),
        },
    ),
    "ja": Template(
        "【{brand}】おめでとうございます！{n}名様に{prize}が当たります。"
        "{now}こちらのリンクから{claim} {link} {end}",
        {
            "prize": ("ギフトカード", "商品券"),
            "now": ("今すぐ", "本日中に"),
            "claim": ("お受け取りください", "申し込みください"),
            "end": ("", "お見逃しなく", "先着順です"),
        },
    ),
    "ru": Template(
        "{hi}! Вы {chosen} для получения {prize} на {n} рублей от {brand}. {claim} по ссылке {link} {end}",
        {
            "hi": ("Здравствуйте", "Привет", "Внимание"),
            "chosen": ("выбраны", "отобраны"),
            "prize": ("подарочной карты", "денежного приза"),
            "claim": ("Заберите", "Получите приз"),
            "end": ("", "только сегодня", "успейте"),
        },
    ),
    "ar": Template(
        "مبروك عملاء {brand}! لقد {chosen} للحصول على {prize} بقيمة {n} ريال. "
        "{claim} الآن من الرابط {link} {end}",
        {
            "chosen": ("تم اختياركم", "تم اختيارك"),
            "prize": ("بطاقة هدية", "قسيمة شراء"),
            "claim": ("استلمها", "اطلبها"),
            "end": ("", "العرض محدود", "سارع"),
        },
    ),
}
COMPLAINT = Template(
    "@acme {my} flight {n} to {city} {was} cancelled and nobody {answers} the phone, {what} {end}",
    {
        "my": ("my", "our"),
        "city": ("Munich", "Madrid", "Lisbon"),
        "was": ("was", "got", "is"),
        "answers": ("answers", "picks up"),
        "what": ("what do we do now?", "what now?", "what should I do now?"),
        "end": ("", "I am stuck at the airport", "please help"),
    },
)


def variants(of: Template, count: int, *, seed: int = 1, mutated: bool = True) -> list[str]:
    """`count` versions; `mutated` also disguises them."""
    draw = random.Random(seed)
    return [_variant(of, draw, mutated) for _ in range(count)]


def _variant(of: Template, draw: random.Random, mutated: bool) -> str:
    words = {slot: draw.choice(choices) for slot, choices in of.slots.items()}
    words["brand"] = draw.choice(["Acme", "@acme", "ACME Air"])
    words["n"] = str(draw.choice([100, 500, 750, 1000]))
    words["link"] = draw.choice(
        [
            f"https://bit.ly/{draw.randrange(1 << 30):x}",
            f"http://acme-gift{draw.randrange(99)}.top/x",
            f"tinyurl.com/{draw.randrange(1 << 20):x}",
        ]
    )
    text = of.text.format(**words)
    return _disguised(text, draw) if mutated else text


def _disguised(text: str, draw: random.Random) -> str:
    if draw.random() < 0.15:
        text = "".join(
            _CYRILLIC[_LATIN.index(c)] if c in _LATIN and draw.random() < 0.4 else c for c in text
        )
    if draw.random() < 0.15:
        text = text.upper()
    if draw.random() < 0.1:
        words = text.split(" ")
        chosen = draw.randrange(len(words))
        words[chosen] = " ".join(words[chosen])
        text = " ".join(words)
    if draw.random() < 0.1:
        text = "".join(c + ("\u200b" if draw.random() < 0.2 else "") for c in text)
    if draw.random() < 0.3:
        text = f"@user{draw.randrange(999)} {text}"
    if draw.random() < 0.2:
        text += " #giveaway"
    return text + "".join(f" {draw.choice(_EMOJI)}" for _ in range(draw.randrange(4)))
