"""How many examples a law is given: few in every run of the suite, more where new ones are looked for."""

from hypothesis import settings


def up_to(count: int) -> settings:
    """At most `count` examples, the same in every run; as many new ones as the profile says where it draws those."""
    now = settings()  # the profile's: it is loaded before the tests are read
    return settings(max_examples=count if now.derandomize else now.max_examples)
