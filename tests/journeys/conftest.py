"""The walks through the manuals use the running gateway of the channels' tests."""

from tests.channels.conftest import gateway

__all__ = ["gateway"]
