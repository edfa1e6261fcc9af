"""The rulebooks of the five utilities whose manuals Metergate follows, as documents; installed as version 1, edited by the utility."""

from importlib.resources import files


def shipped() -> dict[str, bytes]:
    """Every shipped profile document (TOML) by its name."""
    documents = (path for path in files(__name__).iterdir() if path.name.endswith(".toml"))
    return {path.name.removesuffix(".toml"): path.read_bytes() for path in sorted(documents, key=lambda path: path.name)}
