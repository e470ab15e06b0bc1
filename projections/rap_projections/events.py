"""Every event kind of the store, registered: importing this file imports all class modules.

Rules this file keeps:

- A tool or test that needs the whole registry imports this file; nothing else needs it.
- EVENTS.md describes what is registered here, and a test compares the two.

Example::

    from rap_projections.events import EVENT_MODULES
    from rap_projections.event_kinds import all_kinds
"""

from rap_projections import (
    agent,
    anchor_events,
    health_events,
    hints,
    identity_events,
    lifecycle,
    peers,
    routes,
    service_events,
    snapshot_events,
    telemetry,
    trust_events,
    update_events,
    upkeep_events,
)

EVENT_MODULES = (
    lifecycle,
    identity_events,
    trust_events,
    snapshot_events,
    update_events,
    service_events,
    health_events,
    peers,
    routes,
    telemetry,
    hints,
    agent,
    anchor_events,
    upkeep_events,
)
"""The modules that register kinds, by number."""
