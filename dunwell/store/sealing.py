"""Personal content under a key of each person's own: destroy the key, and it is gone."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dunwell.store.database import Connection

_NONCE_BYTES = 12


class Erased(LookupError):
    """The person's key was destroyed: what it sealed cannot be read any more."""


@dataclass(frozen=True, slots=True)
class Personal:
    """What names and reaches a person."""

    name: str
    phone: str
    email: str


def new_key() -> bytes:
    """A fresh AES-256 key."""
    return AESGCM.generate_key(bit_length=256)


def seal(key: bytes, person_id: str, plain: bytes) -> bytes:
    """AES-GCM, bound to the person; a fresh nonce in front."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, person_id.encode())


def unseal(key: bytes, person_id: str, sealed: bytes) -> bytes:
    """The plain bytes; raises cryptography's InvalidTag when they are not this person's."""
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], person_id.encode())


def seal_personal(key: bytes, person_id: str, personal: Personal) -> bytes:
    """Name and points, sealed."""
    return seal(key, person_id, json.dumps(asdict(personal)).encode())


async def _key(connection: Connection, person_id: str) -> bytes:
    key = await connection.fetchval("select key from person_key where person_id = $1", person_id)
    if key is None:
        raise Erased(f"person {person_id} was erased")
    return bytes(key)


async def read_personal(connection: Connection, person_id: str) -> tuple[Personal, bytes]:
    """What names and reaches the person, and the key under which more may be kept. Raises: Erased."""
    row = await connection.fetchrow(
        """select key, sealed from personal left join person_key using (person_id)
           where person_id = $1""",
        person_id,
    )
    if row is None or row["key"] is None:
        raise Erased(f"person {person_id} was erased")
    return Personal(**json.loads(unseal(row["key"], person_id, row["sealed"]))), bytes(row["key"])


async def keep_content(connection: Connection, person_id: str, text: str, at: datetime, id: UUID | None = None) -> UUID:
    """Keep a text exactly, sealed; its id may travel, the text may not."""
    id = id or uuid4()
    sealed = seal(await _key(connection, person_id), person_id, text.encode())
    await connection.execute(
        "insert into content (id, person_id, at, sealed) values ($1, $2, $3, $4)",
        id,
        person_id,
        at,
        sealed,
    )
    return id


async def read_content(connection: Connection, id: UUID) -> str:
    """Raises: Erased; LookupError when nothing is kept under that id."""
    row = await connection.fetchrow("select person_id, sealed from content where id = $1", id)
    if row is None:
        raise LookupError(f"no content {id}")
    key = await _key(connection, row["person_id"])
    return unseal(key, row["person_id"], row["sealed"]).decode()


async def erase(connection: Connection, person_id: str) -> None:
    """Destroy the key. Balances and journals stay, and their chains still verify."""
    await connection.execute("delete from person_key where person_id = $1", person_id)


async def seal_words(connection: Connection, person_id: str, said: Sequence[bytes]) -> list[bytes]:
    """What a person or a system said, sealed; nothing is kept of what is said about somebody erased."""
    key = await connection.fetchval("select key from person_key where person_id = $1", person_id)
    return [seal(key, person_id, words) if key else b"" for words in said]


async def unseal_words(connection: Connection, person_id: str, kept: Sequence[bytes]) -> list[bytes]:
    """What `seal_words` kept; empty where the person was erased since."""
    key = await connection.fetchval("select key from person_key where person_id = $1", person_id)
    return [unseal(key, person_id, words) if key and words else b"" for words in kept]
