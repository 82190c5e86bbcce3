"""How many segments a text message takes."""

# GSM 03.38, default alphabet and its extension, whose characters take two places. Source: 3GPP TS 23.038.
_ALPHABET = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("^{}\\[~]|€\f")
MOST_SEGMENTS = 3


def segments(text: str) -> int:
    """Segments of one message: 160 or 153 places each in GSM's own alphabet, else 70 or 67 of UTF-16."""
    if all(c in _ALPHABET or c in _EXTENSION for c in text):
        places, alone, joined = sum(2 if c in _EXTENSION else 1 for c in text), 160, 153
    else:
        places, alone, joined = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if places <= alone else -(-places // joined)
