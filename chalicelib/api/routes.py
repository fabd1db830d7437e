"""Collect all routes of the API: each of these modules declares its own."""

from chalicelib.api import claims, customers, erasures, pools, users
from chalicelib.api.routing import ROUTES

__all__ = ["ROUTES", "claims", "customers", "erasures", "pools", "users"]
