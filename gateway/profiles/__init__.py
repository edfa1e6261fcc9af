"""The rulebooks of the five utilities whose manuals Metergate follows, as documents; installed as version 1, edited by the utility."""

from importlib.resources import files
from importlib.resources.abc import Traversable


def shipped() -> dict[str, bytes]:
    """Every shipped profile document (TOML) by its name."""
    return _documents(files(__name__))


def calendars() -> dict[str, bytes]:
    """Every shipped calendar document (TOML) by its name."""
    return _documents(files(__name__) / "calendars")


def _documents(folder: Traversable) -> dict[str, bytes]:
    documents = (path for path in folder.iterdir() if path.name.endswith(".toml"))
    return {path.name.removesuffix(".toml"): path.read_bytes() for path in sorted(documents, key=lambda path: path.name)}
