"""The embedded SFTP server: every partner sees `/in` to write to and `/out` to read from, and nothing else there is."""

from gateway.inbound.sftp.server import serving

__all__ = ["serving"]
