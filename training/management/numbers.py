"""Numbers on the command line, for services that check them by their own rules."""


def number_in(text: str) -> int | float | str:
    """The number in `text`; anything else stays as it is, for the service to refuse by its rule."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
