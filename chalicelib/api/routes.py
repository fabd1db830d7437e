"""All routes of the API in one list."""

from chalicelib.api import claims, customers, erasures, pools, users
from chalicelib.api.routing import ROUTES

__all__ = ["ROUTES", "claims", "customers", "erasures", "pools", "users"]
