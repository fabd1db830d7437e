"""The use cases of requests and the schedule, one per module. A module is imported when it is first used.

A claim needs a quarter of them; importing the others would make cold starts longer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chalicelib.services import (
        audit as audit,
    )
    from chalicelib.services import (
        change_log as change_log,
    )
    from chalicelib.services import (
        claim_admin as claim_admin,
    )
    from chalicelib.services import (
        claim_next as claim_next,
    )
    from chalicelib.services import (
        claims as claims,
    )
    from chalicelib.services import (
        creation as creation,
    )
    from chalicelib.services import (
        customer_lists as customer_lists,
    )
    from chalicelib.services import (
        customer_search as customer_search,
    )
    from chalicelib.services import (
        customers as customers,
    )
    from chalicelib.services import (
        derived_audit as derived_audit,
    )
    from chalicelib.services import (
        disposal as disposal,
    )
    from chalicelib.services import (
        erasure as erasure,
    )
    from chalicelib.services import (
        expiry as expiry,
    )
    from chalicelib.services import (
        fan_out as fan_out,
    )
    from chalicelib.services import (
        field_forecast as field_forecast,
    )
    from chalicelib.services import (
        field_job as field_job,
    )
    from chalicelib.services import (
        import_forecasts as import_forecasts,
    )
    from chalicelib.services import (
        import_list as import_list,
    )
    from chalicelib.services import (
        import_preview as import_preview,
    )
    from chalicelib.services import (
        import_undo as import_undo,
    )
    from chalicelib.services import (
        imports as imports,
    )
    from chalicelib.services import (
        late_checks as late_checks,
    )
    from chalicelib.services import (
        leaving as leaving,
    )
    from chalicelib.services import (
        member_list as member_list,
    )
    from chalicelib.services import (
        member_removal as member_removal,
    )
    from chalicelib.services import (
        own_customers as own_customers,
    )
    from chalicelib.services import (
        pagination as pagination,
    )
    from chalicelib.services import (
        policies as policies,
    )
    from chalicelib.services import (
        pool_lifecycle as pool_lifecycle,
    )
    from chalicelib.services import (
        pools as pools,
    )
    from chalicelib.services import (
        recipients as recipients,
    )
    from chalicelib.services import (
        recount as recount,
    )
    from chalicelib.services import (
        resharding as resharding,
    )
    from chalicelib.services import (
        row_search as row_search,
    )
    from chalicelib.services import (
        schedule as schedule,
    )
    from chalicelib.services import (
        search_rows as search_rows,
    )
    from chalicelib.services import (
        statistics as statistics,
    )
    from chalicelib.services import (
        statistics_by_value as statistics_by_value,
    )
    from chalicelib.services import (
        statistics_now as statistics_now,
    )
    from chalicelib.services import (
        suppression as suppression,
    )
    from chalicelib.services import (
        suppression_audit as suppression_audit,
    )
    from chalicelib.services import (
        sweeper as sweeper,
    )
    from chalicelib.services import (
        totals as totals,
    )
    from chalicelib.services import (
        unique_keys as unique_keys,
    )
    from chalicelib.services import (
        users as users,
    )


def __getattr__(name: str) -> Any:
    """Import a module of this package. Python calls this for a name that is not imported yet."""
    if name.startswith("_"):
        raise AttributeError(f"{__name__} has no attribute {name}")
    return import_module(f"{__name__}.{name}")
