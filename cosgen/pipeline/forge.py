"""The one door to GitHub and GitLab: a bot branch with its request, and what is set up in the forge."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cosgen.errors import MissingToolError, Problem
from cosgen.pipeline.address import HOSTS, find_address
from cosgen.pipeline.needs import Need

_TOKENS = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN"}
_NOT_FOUND = 404


Changes = Mapping[str, str | None]  # path -> text; None: the file is to be removed, if it is there


@dataclass(frozen=True, slots=True)
class Request:
    """A pull or merge request. `state` is `opened`, `renewed` or `same`."""

    url: str
    state: str


class Forge(Protocol):
    """What cosgen asks of a forge."""

    def propose(self, *, branch: str, base: str, title: str, body: str, files: Changes) -> Request:
        """Put files on the bot branch in one commit; open its request, or renew the open one."""

    def examine(self, needs: Sequence[Need], *, apply: bool) -> dict[Need, bool]:
        """Tell which needs are met, as far as the forge says; with `apply` make what can be made."""


def has_token(provider: str, environment: Mapping[str, str], remotes: Sequence[str] = ()) -> bool:
    """Tell whether there is a token for a provider, and a project to use it on."""
    return bool(environment.get(_TOKENS[provider]) and find_address(provider, environment, remotes))


def open_forge(provider: str, environment: Mapping[str, str], remotes: Sequence[str] = ()) -> Forge:
    """Return the forge of a provider.

    Args:
        provider: `github` or `gitlab`.
        environment: Where the token is, and perhaps the project and the forge's address.
        remotes: Addresses that git fetches from, for where the environment does not name the project.

    Raises:
        MissingToolError: There is no token, or nothing names the project.
    """
    address = find_address(provider, environment, remotes)
    token = environment.get(_TOKENS[provider])
    if not token or not address:
        name = "GITHUB_REPOSITORY" if provider == "github" else "CI_PROJECT_PATH"
        what = f"no {_TOKENS[provider]} in the environment" if not token else f"no {name}, and no git remote"
        fix = "set it; the token must be one that may write workflow files, not the run's own"
        raise MissingToolError(Problem(what=what, fix=fix, id="CG124"))
    if provider == "github":
        return GitHubForge(token, address.path, environment.get("GITHUB_API_URL") or _api_of(address.host))
    return GitLabForge(token, address.path, environment.get("CI_SERVER_URL") or f"https://{address.host}")


def _api_of(host: str) -> str:
    return "https://api.github.com" if host == HOSTS["github"] else f"https://{host}/api/v3"


class GitHubForge:
    """GitHub, through PyGithub."""

    def __init__(self, token: str, repository: str, url: str) -> None:
        import github  # noqa: PLC0415 - half a second that most commands need not wait

        self._github = github
        # A run makes a dozen requests at most: no need for the library's pauses between them.
        self._api = github.Github(
            auth=github.Auth.Token(token),
            base_url=url,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )
        self._repository = self._api.get_repo(repository)

    def propose(self, *, branch: str, base: str, title: str, body: str, files: Changes) -> Request:
        """See `Forge`. The branch is made anew from `base`, so a renewed request holds one commit."""
        repository = self._repository
        head = repository.get_git_ref(f"heads/{base}").object.sha
        tree = repository.create_git_tree(self._elements(files, head), repository.get_git_tree(head))
        pulls = list(repository.get_pulls(state="open", head=f"{repository.owner.login}:{branch}", base=base))
        known = self._branch_tree(branch)
        if pulls and known == tree.sha:
            return Request(pulls[0].html_url, "same")
        commit = repository.create_git_commit(title, tree, [repository.get_git_commit(head)])
        self._point(branch, commit.sha, exists=known is not None)
        if pulls:
            pulls[0].edit(title=title, body=body)
            return Request(pulls[0].html_url, "renewed")
        pull = repository.create_pull(base=base, head=branch, title=title, body=body)
        return Request(pull.html_url, "opened")

    def _elements(self, files: Changes, head: str) -> list[Any]:
        make = self._github.InputGitTreeElement
        return [
            make(path, "100644", "blob", sha=None)
            if text is None
            else make(path, "100644", "blob", content=text)
            for path, text in sorted(files.items())
            if text is not None or self._has_file(path, head)
        ]

    def _has_file(self, path: str, revision: str) -> bool:
        try:
            self._repository.get_contents(path, ref=revision)
        except self._github.UnknownObjectException:
            return False
        return True

    def _branch_tree(self, branch: str) -> str | None:
        try:
            head = self._repository.get_git_ref(f"heads/{branch}").object.sha
        except self._github.UnknownObjectException:
            return None
        return str(self._repository.get_git_commit(head).tree.sha)

    def _point(self, branch: str, commit: str, *, exists: bool) -> None:
        if exists:
            self._repository.get_git_ref(f"heads/{branch}").edit(commit, force=True)
        else:
            self._repository.create_git_ref(f"refs/heads/{branch}", commit)

    def examine(self, needs: Sequence[Need], *, apply: bool) -> dict[Need, bool]:
        """See `Forge`. Secrets, variables and reviewers are never made: nobody but their owner knows them."""
        repository = self._repository
        environments = {item.name: item for item in repository.get_environments()}
        variables = {item.name for item in repository.get_variables()}
        secrets = {item.name for item in repository.get_secrets()}
        found: dict[Need, bool] = {}
        for need in needs:
            match need.kind:
                case "environment":
                    if need.name not in environments and apply:
                        environments[need.name] = repository.create_environment(need.name)
                    found[need] = _is_guarded(environments.get(need.name), need)
                case "variable":
                    found[need] = need.name in variables
                case "secret":
                    own = environments.get(need.environment)
                    names = {item.name for item in own.get_secrets()} if own else set()
                    found[need] = need.name in names or (not need.environment and need.name in secrets)
                case "pages":
                    found[need] = self._has_pages(apply=apply)
                case "runner":
                    found[need] = self._has_runner(set(need.name.split()))
                case "check":
                    found[need] = self._is_required(need.name)
                case _:
                    continue
        return found

    def _has_pages(self, *, apply: bool) -> bool:
        repository = self._repository
        if repository.has_pages or not apply:
            return bool(repository.has_pages)
        # https://docs.github.com/en/rest/pages/pages: PyGithub has no name for it
        body = {"build_type": "workflow"}
        repository.requester.requestJsonAndCheck("POST", f"{repository.url}/pages", input=body)
        return True

    def _has_runner(self, labels: set[str]) -> bool:
        runners = self._repository.get_self_hosted_runners()
        return any(labels <= {label["name"] for label in runner.labels} for runner in runners)

    def _is_required(self, check: str) -> bool:
        branch = self._repository.get_branch(self._repository.default_branch)
        try:
            return check in branch.get_required_status_checks().contexts
        except self._github.GithubException as error:
            if error.status == _NOT_FOUND:
                return False
            raise


def _is_guarded(environment: Any, need: Need) -> bool:  # noqa: ANN401 - PyGithub's Environment
    """Tell whether an environment is there, with somebody who must approve where that is asked for."""
    if environment is None or not need.approval:
        return environment is not None
    rules = environment.protection_rules or []
    return any(rule.type == "required_reviewers" for rule in rules)


class GitLabForge:
    """GitLab, through python-gitlab."""

    def __init__(self, token: str, repository: str, url: str) -> None:
        import gitlab  # noqa: PLC0415 - as above

        self._gitlab = gitlab
        self._project = gitlab.Gitlab(url, private_token=token).projects.get(repository)

    def propose(self, *, branch: str, base: str, title: str, body: str, files: Changes) -> Request:
        """See `Forge`. The branch is made anew from `base` in one commit."""
        requests = self._project.mergerequests.list(
            state="opened", source_branch=branch, target_branch=base, get_all=True
        )
        if requests and all(self._read(path, branch) == text for path, text in files.items()):
            return Request(requests[0].web_url, "same")
        actions = [
            action
            for path, text in sorted(files.items())
            if (action := _action(path, text, there=self._read(path, base) is not None))
        ]
        self._project.commits.create(
            {
                "branch": branch,
                "start_branch": base,
                "force": True,
                "commit_message": title,
                "actions": actions,
            }
        )
        if requests:
            requests[0].title, requests[0].description = title, body
            requests[0].save()
            return Request(requests[0].web_url, "renewed")
        made = self._project.mergerequests.create(
            {"source_branch": branch, "target_branch": base, "title": title, "description": body}
        )
        return Request(made.web_url, "opened")

    def _read(self, path: str, branch: str) -> str | None:
        try:
            file = self._project.files.get(file_path=path, ref=branch)
        except self._gitlab.GitlabGetError as error:
            if error.response_code == _NOT_FOUND:
                return None
            raise
        return base64.b64decode(file.content).decode("utf-8")

    def examine(self, needs: Sequence[Need], *, apply: bool) -> dict[Need, bool]:
        """See `Forge`. Environments, schedules and the rule to merge only what is green; never secrets.

        Who approves is not asked for: a person starts the job that moves such a channel.
        """
        project = self._project
        environments = {item.name for item in project.environments.list(get_all=True)}
        variables = {item.key for item in project.variables.list(get_all=True)}
        schedules = {item.description for item in project.pipelineschedules.list(get_all=True)}
        found: dict[Need, bool] = {}
        for need in needs:
            match need.kind:
                case "environment":
                    if need.name not in environments and apply:
                        project.environments.create({"name": need.name})
                        environments.add(need.name)
                    found[need] = need.name in environments
                case "variable" | "secret":
                    found[need] = need.name in variables
                case "schedule":
                    if need.name not in schedules and apply:
                        self._schedule(need)
                        schedules.add(need.name)
                    found[need] = need.name in schedules
                case "runner":
                    tags = need.name.split()
                    found[need] = bool(project.runners.list(tag_list=tags, get_all=False))
                case "check":
                    if not project.only_allow_merge_if_pipeline_succeeds and apply:
                        project.only_allow_merge_if_pipeline_succeeds = True
                        project.save()
                    found[need] = bool(project.only_allow_merge_if_pipeline_succeeds)
                case _:
                    continue
        return found

    def _schedule(self, need: Need) -> None:
        name, _, value = need.name.partition("=")
        made = self._project.pipelineschedules.create(
            {"description": need.name, "ref": self._project.default_branch, "cron": need.value}
        )
        made.variables.create({"key": name, "value": value})


def _action(path: str, text: str | None, *, there: bool) -> dict[str, str] | None:
    """Return what GitLab is to do with one file, or None."""
    if text is None:
        return {"action": "delete", "file_path": path} if there else None
    return {"action": "update" if there else "create", "file_path": path, "content": text}
