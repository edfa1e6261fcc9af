"""What a process has imported before others are forked from it: every room of the package, and nothing of them has run."""

import gc
from importlib import import_module
from pkgutil import walk_packages

import gateway

for module in walk_packages(gateway.__path__, "gateway."):
    if not module.name.endswith(".__main__") and ".migrations" not in module.name:
        import_module(module.name)
gc.collect()
gc.freeze()
