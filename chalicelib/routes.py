"""The whole HTTP surface, as one list: `app.py` serves it, and the tests walk it."""

from chalicelib import claim_routes, customer_routes, pool_routes
from chalicelib.routing import ROUTES

__all__ = ["ROUTES", "claim_routes", "customer_routes", "pool_routes"]
