"""`rap-state status`: what is safe to show of a store and its clusters.

Under `-o json`: for one cluster (the one named with -c, or the only one) an object of format `rap-state-status`, as
`rap_tools.status_report` describes, with `store_info`, which describes the store; for several an object of format
`rap-state-report` with `store_info` and `clusters`, the statuses by id. `store_info`: `root`, `store_id`, `key_provider`, `writer` (what the
live writer says of itself, or null), `agent` and `missing_clusters` (joined, and not on disk).

Rules this file keeps: no secret, no peer's name, no address; the worst of all clusters is the exit code.

Example::

    rap-state status -D /var/lib/rap-node-agent -o json
"""

from typing import Any

from rap_journal.errors import StateStoreError
from rap_tools.complaint import Scene, complain
from rap_tools.exit_codes import ExitCode, worst
from rap_tools.json_output import head
from rap_tools.opening import AGENT_NAME, SEALED, StoreReading
from rap_tools.session import Session
from rap_tools.status_lines import print_cluster, print_store
from rap_tools.status_report import ClusterReport, report_agent, report_cluster


def run(session: Session) -> int:
    """Show the status."""
    with session.open_store() as store:
        names = [store.choose(session.cluster)] if session.cluster else list(store.clusters())
        info, info_code = _store_info(store)
        reports = {name: report_cluster(store, name, session.clock) for name in names}
    code = worst([info_code, *(report.exit_code for report in reports.values())])
    if session.is_text:
        text = session.text()
        print_store(text, info)
        for report in reports.values():
            print_cluster(text, report.document)
        if not reports:
            text.line("")
            text.line("no cluster yet: the agent joins clusters")
        return code
    session.json().document(_object(info, reports, code), code)
    return code


def _object(info: dict[str, Any], reports: dict[str, ClusterReport], code: ExitCode) -> dict[str, Any]:
    if len(reports) == 1:
        (report,) = reports.values()
        return report.document | {"store_info": info, "exit_code": int(code)}
    clusters = {name: report.document for name, report in reports.items()}
    return head("rap-state-report", None, None, store_info=info, clusters=clusters, exit_code=int(code))


def _store_info(store: StoreReading) -> tuple[dict[str, Any], ExitCode]:
    info: dict[str, Any] = {
        "root": store.path,
        "store_id": store.marker.store_id.hex(),
        "key_provider": store.marker.provider.name.lower(),
        "writer": store.holder,
        "agent": None,
        "missing_clusters": [],
    }
    try:
        info["agent"] = agent = report_agent(store)
    except (StateStoreError, OSError) as error:
        complaint = complain(error, Scene(store.path, None, "status", ("status",), store.key_file))
        info["agent"] = {"error": complaint.as_object(AGENT_NAME)}
        return info, complaint.exit_code
    joined = agent["joined"]
    info["missing_clusters"] = SEALED if joined == SEALED else sorted(set(joined) - set(store.clusters()))
    return info, ExitCode.FAIL_CLOSED if store.has_keys and info["missing_clusters"] else ExitCode.DONE
