"""Channels: where readings come in and statuses go back, one file or folder per channel; the core behind them is synchronous."""
