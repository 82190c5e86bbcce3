"""Builds the activities: every stage over the same two transactions and channels."""

from collections.abc import Callable
from typing import Any

from activities.assess import Assess
from activities.attention import Attend
from activities.contact import Contact
from activities.follow_plan import FollowPlan
from activities.go_to_law import GoToLaw
from activities.negotiate import Negotiate
from activities.overdue import Overdue
from activities.place import Place
from activities.remind import Remind
from activities.working import Working
from dunwell.domain.outlook import CASE_QUEUE

Activity = Callable[..., Any]


def activities_of(queue: str, working: Working, overdue: Overdue) -> list[Activity]:
    """What a worker on this task queue can do.

    In-house steps stand on the cases' own queue; every contact may go by any channel's queue.
    """
    if queue == CASE_QUEUE:
        assess, attend = Assess(working), Attend(working)
        return [
            assess.assess,
            assess.absorb,
            FollowPlan(working).follow_plan,
            attend.look_at_attention,
            attend.need_attention,
            overdue.sweep,
            overdue.write_list,
        ]
    return [
        Remind(working).remind,
        Contact(working).make_contact,
        Negotiate(working).make_offer,
        GoToLaw(working).go_to_law,
        Place(working).place_with_agency,
    ]
