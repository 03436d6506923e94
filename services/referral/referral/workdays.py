"""Working days of Finland: Monday to Friday without the holidays (domain.md, Referral: timers)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

HELSINKI = ZoneInfo("Europe/Helsinki")
SATURDAY = 5


def working_days_later(at: datetime, days: int) -> datetime:
    """The same time of day in Helsinki, so many working days later.

    Saturdays, Sundays and Finnish holidays count as days off, and so do the two eves on which offices are closed.
    """
    local = at.astimezone(HELSINKI)
    while days:
        local += timedelta(days=1)
        if _is_working_day(local.date()):
            days -= 1
    return local


def _is_working_day(day: date) -> bool:
    return day.weekday() < SATURDAY and day not in _holidays(day.year)


@cache
def _holidays(year: int) -> frozenset[date]:
    # The eves of Midsummer and of Christmas are among them.
    return frozenset(holidays.country_holidays("FI", years=year))
