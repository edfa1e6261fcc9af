"""The sandbox billing: a process of its own that takes readings, keeps a journal, calculates, bills, and misbehaves when told to."""

from gateway.sandbox.config import Account, SandboxConfig, SandboxFailed
from gateway.sandbox.server import main, serve

__all__ = ("Account", "SandboxConfig", "SandboxFailed", "main", "serve")
