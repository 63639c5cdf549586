"""A forge on loopback: the REST routes of GitHub and GitLab that cosgen uses, over one small state in memory."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, Any]
REPOSITORY = "owner/project"
TOKEN = "token-of-tests"


def sha_of(value: object) -> str:
    """Return the id of an object of the stand-in."""
    return hashlib.sha1(json.dumps(value, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


@dataclass
class State:
    """What the forge holds; branches are commits, commits have trees, trees are path -> text."""

    trees: dict[str, dict[str, str]] = field(default_factory=dict)
    commits: dict[str, dict[str, Any]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    environment_secrets: dict[str, list[str]] = field(default_factory=dict)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    reviewed: set[str] = field(default_factory=set)  # environments that somebody must approve
    runners: list[list[str]] = field(default_factory=list)  # labels or tags of each
    required_checks: list[str] = field(default_factory=list)
    pages: bool = False
    merges_green_only: bool = False
    writes: list[str] = field(default_factory=list)  # "METHOD path" of everything that was not a GET
    url: str = ""

    def commit(self, files: dict[str, str], parents: list[str], message: str) -> str:
        """Make a commit and return its id."""
        tree = sha_of(files)
        self.trees[tree] = files
        sha = sha_of([tree, parents, message])
        self.commits[sha] = {"sha": sha, "tree": tree, "parents": parents, "message": message}
        return sha

    def files(self, branch: str) -> dict[str, str]:
        """Return path -> text of a branch."""
        return self.trees[self.commits[self.branches[branch]]["tree"]]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def _do(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size) or b"{}")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        state = self.server.state
        given = self.headers.get("Authorization", "") + self.headers.get("PRIVATE-TOKEN", "")
        status, answer = (
            self._route(state, parts.path, query, body)
            if TOKEN in given
            else (401, {"message": "Bad credentials"})
        )
        if self.command != "GET":
            state.writes.append(f"{self.command} {unquote(parts.path)}")
        payload = json.dumps(answer).encode() if answer is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_PATCH = _do  # noqa: N815 - names that the base class looks for

    def _route(self, state: State, path: str, query: dict[str, str], body: Any) -> Answer:
        for method, pattern, route in ROUTES:
            match = re.fullmatch(pattern, path)
            if method == self.command and match:
                return route(state, [unquote(group) for group in match.groups()], query, body)
        return 404, {"message": f"404 {self.command} {path}"}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    state: State


@contextlib.contextmanager
def run_forge() -> Iterator[State]:
    """Run the forge until the block ends; `state.url` is its address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    state = server.state = State(url=f"http://127.0.0.1:{server.server_port}")
    state.branches["main"] = state.commit({"README.md": "hello"}, [], "first")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


Route = Callable[[State, list[str], dict[str, str], Any], Answer]
ROUTES: list[tuple[str, str, Route]] = []
_GITHUB = f"/repos/{REPOSITORY}"
_GITLAB = "/api/v4/projects/1"


def route(method: str, pattern: str) -> Callable[[Route], Route]:
    """Add a route."""

    def add(function: Route) -> Route:
        ROUTES.append((method, pattern, function))
        return function

    return add


def _ref(state: State, name: str) -> dict[str, Any]:
    url = f"{state.url}{_GITHUB}/git/refs/heads/{name}"
    return {
        "ref": f"refs/heads/{name}",
        "url": url,
        "object": {"sha": state.branches[name], "type": "commit"},
    }


def _hub_commit(state: State, sha: str) -> dict[str, Any]:
    commit = state.commits[sha]
    url = f"{state.url}{_GITHUB}/git"
    return {
        "sha": sha,
        "url": f"{url}/commits/{sha}",
        "message": commit["message"],
        "tree": {"sha": commit["tree"], "url": f"{url}/trees/{commit['tree']}"},
        "parents": [{"sha": parent} for parent in commit["parents"]],
    }


@route("GET", _GITHUB)
def _hub_repository(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query, body
    url = f"{state.url}{_GITHUB}"
    return 200, {
        "full_name": REPOSITORY,
        "name": "project",
        "owner": {"login": "owner"},
        "url": url,
        "default_branch": "main",
        "has_pages": state.pages,
    }


@route("POST", f"{_GITHUB}/pages")
def _hub_new_pages(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    state.pages = body == {"build_type": "workflow"}
    return (201, {}) if state.pages else (422, {"message": "Invalid build type"})


@route("GET", f"{_GITHUB}/actions/runners")
def _hub_runners(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query, body
    runners = [
        {"id": at, "name": f"r{at}", "labels": [{"name": label} for label in labels]}
        for at, labels in enumerate(state.runners)
    ]
    return 200, {"total_count": len(runners), "runners": runners}


@route("GET", f"{_GITHUB}/branches/main")
def _hub_branch(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query, body
    protection = f"{state.url}{_GITHUB}/branches/main/protection"
    return 200, {"name": "main", "commit": {"sha": state.branches["main"]}, "protection_url": protection}


@route("GET", f"{_GITHUB}/branches/main/protection/required_status_checks")
def _hub_required(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query, body
    if not state.required_checks:
        return 404, {"message": "Branch not protected"}
    return 200, {"strict": False, "contexts": state.required_checks}


@route("GET", f"{_GITHUB}/contents/(.+)")
def _hub_contents(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del body
    files = state.trees[state.commits[query["ref"]]["tree"]]
    if parts[0] not in files:
        return 404, {"message": "Not Found"}
    content = base64.b64encode(files[parts[0]].encode()).decode()
    return 200, {"path": parts[0], "type": "file", "content": content, "encoding": "base64"}


@route("GET", f"{_GITHUB}/git/refs?/heads/(.+)")
def _hub_ref(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query, body
    return (200, _ref(state, parts[0])) if parts[0] in state.branches else (404, {"message": "Not Found"})


@route("POST", f"{_GITHUB}/git/refs")
def _hub_new_ref(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    name = body["ref"].removeprefix("refs/heads/")
    if name in state.branches:
        return 422, {"message": "Reference already exists"}
    state.branches[name] = body["sha"]
    return 201, _ref(state, name)


@route("PATCH", f"{_GITHUB}/git/refs/heads/(.+)")
def _hub_move_ref(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query
    forward = state.branches[parts[0]] in state.commits[body["sha"]]["parents"]
    if not forward and not body.get("force"):
        return 422, {"message": "Update is not a fast forward"}
    state.branches[parts[0]] = body["sha"]
    return 200, _ref(state, parts[0])


@route("GET", f"{_GITHUB}/git/trees/(.+)")
def _hub_tree(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query, body
    sha = state.commits[parts[0]]["tree"] if parts[0] in state.commits else parts[0]
    return 200, {"sha": sha, "url": f"{state.url}{_GITHUB}/git/trees/{sha}", "tree": []}


@route("POST", f"{_GITHUB}/git/trees")
def _hub_new_tree(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    files = dict(state.trees[body["base_tree"]])
    for item in body["tree"]:
        if "content" in item:
            files[item["path"]] = item["content"]
        elif item["sha"] is None and item["path"] in files:
            del files[item["path"]]
        else:
            return 422, {"message": "GitRPC::BadObjectState"}
    sha = sha_of(files)
    state.trees[sha] = files
    return 201, {"sha": sha, "url": "", "tree": []}


@route("GET", f"{_GITHUB}/git/commits/(.+)")
def _hub_get_commit(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query, body
    return 200, _hub_commit(state, parts[0])


@route("POST", f"{_GITHUB}/git/commits")
def _hub_new_commit(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    sha = state.commit(state.trees[body["tree"]], body["parents"], body["message"])
    return 201, _hub_commit(state, sha)


def _pull(state: State, item: dict[str, Any]) -> dict[str, Any]:
    url = f"{state.url}{_GITHUB}/pulls/{item['number']}"
    return {**item, "url": url, "html_url": url}


@route("GET", f"{_GITHUB}/pulls")
def _hub_pulls(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, body
    head = query["head"].removeprefix("owner:")
    found = [item for item in state.requests if item["head_name"] == head and item["state"] == "open"]
    return 200, [_pull(state, item) for item in found]


@route("POST", f"{_GITHUB}/pulls")
def _hub_new_pull(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    item = {"number": len(state.requests) + 1, "title": body["title"], "body": body["body"], "state": "open"}
    state.requests.append(item | {"head_name": body["head"]})
    return 201, _pull(state, state.requests[-1])


@route("PATCH", f"{_GITHUB}/pulls/(\\d+)")
def _hub_edit_pull(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query
    item = state.requests[int(parts[0]) - 1]
    item.update(body)
    return 200, _pull(state, item)


def _named(key: str, names: list[str]) -> Answer:
    return 200, {"total_count": len(names), key: [{"name": name} for name in names]}


@route("GET", f"{_GITHUB}/environments")
def _hub_environments(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query, body
    url = f"{state.url}{_GITHUB}/environments"
    items = [
        {
            "name": name,
            "url": f"{url}/{name}",
            "protection_rules": [{"id": 1, "type": "required_reviewers"}] if name in state.reviewed else [],
        }
        for name in state.environments
    ]
    return 200, {"total_count": len(items), "environments": items}


@route("GET", f"{_GITHUB}/environments/([^/]+)")
def _hub_environment(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query, body
    return 200, {"name": parts[0], "url": f"{state.url}{_GITHUB}/environments/{parts[0]}"}


@route("PUT", f"{_GITHUB}/environments/([^/]+)")
def _hub_new_environment(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query, body
    state.environments.append(parts[0])
    return 200, {"name": parts[0], "url": f"{state.url}{_GITHUB}/environments/{parts[0]}"}


@route("GET", f"{_GITHUB}/environments/([^/]+)/secrets")
def _hub_environment_secrets(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query, body
    return _named("secrets", state.environment_secrets.get(parts[0], []))


@route("GET", f"{_GITHUB}/actions/variables")
def _hub_variables(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query, body
    return _named("variables", state.variables)


@route("GET", f"{_GITHUB}/actions/secrets")
def _hub_secrets(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query, body
    return _named("secrets", state.secrets)


# --- GitLab -----------------------------------------------------------------------------------------


@route("GET", "/api/v4/projects/owner%2Fproject")
def _lab_project(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query, body
    return 200, {
        "id": 1,
        "default_branch": "main",
        "path_with_namespace": REPOSITORY,
        "only_allow_merge_if_pipeline_succeeds": state.merges_green_only,
    }


@route("PUT", _GITLAB)
def _lab_edit_project(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    state.merges_green_only = body["only_allow_merge_if_pipeline_succeeds"]
    return _lab_project(state, parts, query, body)


@route("GET", f"{_GITLAB}/runners")
def _lab_runners(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, body
    wanted = set(query["tag_list"].split(","))
    return 200, [{"id": at} for at, tags in enumerate(state.runners) if wanted <= set(tags)]


@route("GET", f"{_GITLAB}/merge_requests")
def _lab_requests(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, body
    found = [item for item in state.requests if item["source_branch"] == query["source_branch"]]
    return 200, [item for item in found if item["state"] == query["state"]]


@route("POST", f"{_GITLAB}/merge_requests")
def _lab_new_request(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    number = len(state.requests) + 1
    item = {**body, "id": number, "iid": number, "state": "opened", "web_url": f"{state.url}/mr/{number}"}
    state.requests.append(item)
    return 201, item


@route("PUT", f"{_GITLAB}/merge_requests/(\\d+)")
def _lab_edit_request(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query
    state.requests[int(parts[0]) - 1].update(body)
    return 200, state.requests[int(parts[0]) - 1]


@route("GET", f"{_GITLAB}/repository/files/(.+)")
def _lab_file(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del body
    files = state.files(query["ref"]) if query["ref"] in state.branches else {}
    if parts[0] not in files:
        return 404, {"message": "404 File Not Found"}
    content = base64.b64encode(files[parts[0]].encode()).decode()
    return 200, {"file_path": parts[0], "content": content, "encoding": "base64"}


@route("POST", f"{_GITLAB}/repository/commits")
def _lab_commit(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    if body["branch"] in state.branches and not body.get("force"):
        return 400, {"message": "A branch with that name already exists"}
    files = dict(state.files(body["start_branch"]))
    for action in body["actions"]:
        if (action["action"] == "create") == (action["file_path"] in files):
            return 400, {"message": f"cannot {action['action']} {action['file_path']}"}
        if action["action"] == "delete":
            del files[action["file_path"]]
        else:
            files[action["file_path"]] = action["content"]
    parent = state.branches[body["start_branch"]]
    state.branches[body["branch"]] = state.commit(files, [parent], body["commit_message"])
    return 201, {"id": state.branches[body["branch"]]}


@route("GET", f"{_GITLAB}/(environments|variables|pipeline_schedules)")
def _lab_list(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query, body
    if parts[0] == "pipeline_schedules":
        return 200, state.schedules
    if parts[0] == "variables":
        return 200, [{"key": name} for name in state.variables]
    return 200, [{"id": at, "name": name} for at, name in enumerate(state.environments)]


@route("POST", f"{_GITLAB}/environments")
def _lab_environment(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    state.environments.append(body["name"])
    return 201, {"id": len(state.environments), "name": body["name"]}


@route("POST", f"{_GITLAB}/pipeline_schedules")
def _lab_schedule(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del parts, query
    state.schedules.append({**body, "id": len(state.schedules) + 1, "variables": []})
    return 201, state.schedules[-1]


@route("POST", f"{_GITLAB}/pipeline_schedules/(\\d+)/variables")
def _lab_schedule_variable(state: State, parts: list[str], query: dict[str, str], body: Any) -> Answer:
    del query
    state.schedules[int(parts[0]) - 1]["variables"].append(body)
    return 201, body
