"""`python -m gateway` is `metergate`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
