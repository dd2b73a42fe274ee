"""Text of strangers, made fit for databases, JSON and terminals."""


def storable(text: str) -> str:
    """`text` without what PostgreSQL or UTF-8 cannot hold: NUL goes, a lone half of a surrogate pair becomes `?`."""
    return text.replace("\0", "").encode(errors="replace").decode()


def is_storable(text: str) -> bool:
    """Text that every database and every JSON answer can hold: no NUL, no lone half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
