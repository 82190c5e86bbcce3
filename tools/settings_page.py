"""Writes docs/settings.md out of the settings themselves: `.venv/bin/python -m tools.settings_page`."""

from pydantic_core import PydanticUndefined

from dunwell.settings import CHECKOUT, PREFIX, Settings

PAGE = CHECKOUT / "docs" / "settings.md"

_HEAD = """\
# Settings

Every process reads its settings from the environment. A variable that is empty counts as not set; one that is wrong, or
missing and needed, ends the process with a message that names it. A secret is never printed. A variable with our prefix
that is no setting is told in a warning at the start of a worker.

Made by `python -m tools.settings_page` from `dunwell/settings.py`.

| variable | if not set | what it is |
| --- | --- | --- |
"""

_TEMPORAL = """
## Temporal

Address, namespace and credentials are read as the Temporal SDK documents them, from these variables or from a file:

| variable | what it is |
| --- | --- |
| `TEMPORAL_ADDRESS` | host:port of the server; `127.0.0.1:7233` if not set |
| `TEMPORAL_NAMESPACE` | the namespace; `default` if not set |
| `TEMPORAL_API_KEY` | an API key; switches TLS on |
| `TEMPORAL_TLS` | `true` for TLS without a certificate of our own |
| `TEMPORAL_TLS_CLIENT_CERT_PATH`, `TEMPORAL_TLS_CLIENT_KEY_PATH` | our certificate and its key, for mutual TLS |
| `TEMPORAL_TLS_SERVER_CA_CERT_PATH` | the authority that signed the server's certificate, if it is not a public one |
| `TEMPORAL_TLS_SERVER_NAME` | the name in the server's certificate, if it is not the address |
| `TEMPORAL_CONFIG_FILE`, `TEMPORAL_PROFILE` | a `temporal.toml` with all of these, and the profile in it |

## PostgreSQL

`DUNWELL_DATABASE_URL` may carry `?sslmode=verify-full&sslrootcert=...`. `PGPASSWORD` and `PGPASSFILE` are read when the address
holds no password; a password may then hold any character.
"""


def page() -> str:
    """The whole page in Markdown."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(name)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return _HEAD + "\n".join(rows) + "\n" + _TEMPORAL


def _default(name: str) -> str:
    default = Settings.model_fields[name].default
    match default:
        case _ if default is PydanticUndefined:
            return "**needed**"
        case None:
            return "none"
        case True | False:
            return f"`{str(default).lower()}`"
        case tuple() | frozenset():
            return "none" if not default else f"`{','.join(default)}`"
        case _ if name in {"catalogue", "lists"}:
            return f"`{default.relative_to(CHECKOUT)}` in the checkout" if default != CHECKOUT else "the checkout"
    return f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
