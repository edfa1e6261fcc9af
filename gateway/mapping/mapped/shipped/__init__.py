"""The mapping documents that are shipped: kinds of file that need no code of their own."""

from functools import lru_cache
from importlib.resources import files

from gateway.domain.mappings import Mapping, read_mapping


@lru_cache(maxsize=16)
def shipped(name: str) -> Mapping:
    """The document of this name, for instance `integral_workbook`."""
    return read_mapping((files(__name__) / f"{name}.toml").read_bytes())


def names() -> tuple[str, ...]:
    """The names of all of them."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in files(__name__).iterdir() if path.name.endswith(".toml")))
