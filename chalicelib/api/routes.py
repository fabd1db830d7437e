"""The whole HTTP surface, as one list: `app.py` serves it, and the tests walk it."""

from chalicelib.api import claims, customers, pools
from chalicelib.api.routing import ROUTES

__all__ = ["ROUTES", "claims", "customers", "pools"]
