"""The REST API `/v1` for portals and billing systems: contracts_schema/openapi.json, problems by RFC 9457."""

from typing import Final

from gateway.inbound.api.acts import list_acts, write_act
from gateway.inbound.api.coverage import get_coverage, get_coverage_workbook
from gateway.inbound.api.history import get_history, get_history_workbook
from gateway.inbound.api.life import decide_reading, list_reviews, submit_draft, withdraw_reading
from gateway.inbound.api.links import ask_for_link, bind_login, confirm_link, end_link, list_links, set_reminders
from gateway.inbound.api.look import get_interval_template, get_submission, get_template, list_submissions
from gateway.inbound.api.marked import get_file, get_marked
from gateway.inbound.api.meters import hide_meter, list_meters, show_meter
from gateway.inbound.api.periods import post_periods
from gateway.inbound.api.registry import feed_registry
from gateway.inbound.api.settle import post_settlements
from gateway.inbound.api.submit import submit_file, submit_readings
from gateway.inbound.api.totals import get_totals
from gateway.inbound.api.windows import get_windows

HANDLERS: Final = [
    submit_readings,
    submit_file,
    submit_draft,
    withdraw_reading,
    list_submissions,
    get_submission,
    get_marked,
    get_file,
    get_template,
    get_interval_template,
    get_windows,
    get_coverage,
    get_coverage_workbook,
    get_totals,
    get_history,
    get_history_workbook,
    feed_registry,
    post_settlements,
    list_meters,
    hide_meter,
    show_meter,
    list_acts,
    write_act,
    ask_for_link,
    confirm_link,
    bind_login,
    list_links,
    end_link,
    set_reminders,
    list_reviews,
    decide_reading,
    post_periods,
]
