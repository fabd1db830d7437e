"""The use cases of requests and the schedule, one per module. A module is imported when it is first used.

A claim needs a quarter of them; importing the others would make cold starts longer.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the modules that the API uses
    from chalicelib.services import (
        audit as audit,
        change_log as change_log,
        claim_admin as claim_admin,
        claim_next as claim_next,
        claims as claims,
        creation as creation,
        customer_lists as customer_lists,
        customer_search as customer_search,
        customers as customers,
        erasure as erasure,
        import_forecasts as import_forecasts,
        import_list as import_list,
        import_preview as import_preview,
        import_undo as import_undo,
        imports as imports,
        leaving as leaving,
        member_list as member_list,
        member_removal as member_removal,
        own_customers as own_customers,
        policies as policies,
        pool_lifecycle as pool_lifecycle,
        pools as pools,
        recipients as recipients,
        statistics as statistics,
        suppression as suppression,
        sweeper as sweeper,
        users as users,
    )
else:

    def __getattr__(name: str) -> ModuleType:
        """Import a module of this package. Python calls this for a name that is not imported yet."""
        if name.startswith("_"):
            raise AttributeError(f"{__name__} has no attribute {name}")
        return import_module(f"{__name__}.{name}")


def import_all() -> None:
    """Import all modules. A process that serves requests in threads has to, before `prepare_structs`."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
