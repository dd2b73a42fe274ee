"""What every rule of a value raises."""


class Refused(ValueError):
    """One value broke a rule; the text says the value and the rule."""
