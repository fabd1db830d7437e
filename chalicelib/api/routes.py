"""All routes of the API in one list."""

from chalicelib.api import claims, customers, pools, users
from chalicelib.api.routing import ROUTES

__all__ = ["ROUTES", "claims", "customers", "pools", "users"]
