"""The service: deployed with `app.py`."""

__version__ = "1.0.0"  # equal to the version in pyproject.toml, which is not deployed
