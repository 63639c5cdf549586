"""The one door to GitHub and GitLab: a bot branch with its request, and what is set up in the forge."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cosgen.errors import MissingToolError, Problem
from cosgen.pipeline.needs import Need

_TOKENS = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN"}
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Request:
    """A pull or merge request. `state` is `opened`, `renewed` or `same`."""

    url: str
    state: str


class Forge(Protocol):
    """What cosgen asks of a forge."""

    def propose(self, *, branch: str, base: str, title: str, body: str, files: Mapping[str, str]) -> Request:
        """Put files on the bot branch in one commit; open its request, or renew the open one."""

    def examine(self, needs: Sequence[Need], *, apply: bool) -> dict[Need, bool]:
        """Tell which needs are met, as far as the forge says; with `apply` make what can be made."""


def has_token(provider: str, environment: Mapping[str, str]) -> bool:
    """Tell whether the environment has a token and a repository for a provider."""
    return bool(environment.get(_TOKENS[provider]) and _repository(provider, environment))


def _repository(provider: str, environment: Mapping[str, str]) -> str:
    return environment.get("GITHUB_REPOSITORY" if provider == "github" else "CI_PROJECT_PATH", "")


def open_forge(provider: str, environment: Mapping[str, str]) -> Forge:
    """Return the forge of a provider, by token and repository of the environment.

    Raises:
        MissingToolError: Token or repository is not there.
    """
    if not has_token(provider, environment):
        name = "GITHUB_REPOSITORY" if provider == "github" else "CI_PROJECT_PATH"
        what = f"no {_TOKENS[provider]} or no {name} in the environment"
        fix = "set both; the token must be one that may write workflow files, not the run's own"
        raise MissingToolError(Problem(what=what, fix=fix, id="CG124"))
    token, repository = environment[_TOKENS[provider]], _repository(provider, environment)
    if provider == "github":
        return GitHubForge(token, repository, environment.get("GITHUB_API_URL", "https://api.github.com"))
    return GitLabForge(token, repository, environment.get("CI_SERVER_URL", "https://gitlab.com"))


class GitHubForge:
    """GitHub, through PyGithub."""

    def __init__(self, token: str, repository: str, url: str) -> None:
        import github  # noqa: PLC0415 - half a second that most commands need not wait

        self._github = github
        self._api = github.Github(auth=github.Auth.Token(token), base_url=url, retry=None)
        self._repository = self._api.get_repo(repository)

    def propose(self, *, branch: str, base: str, title: str, body: str, files: Mapping[str, str]) -> Request:
        """See `Forge`. The branch is made anew from `base`, so a renewed request holds one commit."""
        repository = self._repository
        head = repository.get_git_ref(f"heads/{base}").object.sha
        tree = repository.create_git_tree(self._elements(files), repository.get_git_tree(head))
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

    def _elements(self, files: Mapping[str, str]) -> list[Any]:
        make = self._github.InputGitTreeElement
        return [make(path, "100644", "blob", content=text) for path, text in sorted(files.items())]

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
        """See `Forge`. Secrets and reviewers are never made: nobody but their owner knows them."""
        repository = self._repository
        environments = {item.name for item in repository.get_environments()}
        variables = {item.name for item in repository.get_variables()}
        secrets = {item.name for item in repository.get_secrets()}
        found: dict[Need, bool] = {}
        for need in needs:
            match need.kind:
                case "environment":
                    if need.name not in environments and apply:
                        repository.create_environment(need.name)
                        environments.add(need.name)
                    found[need] = need.name in environments
                case "variable":
                    found[need] = need.name in variables
                case "secret":
                    own = need.environment in environments and self._has_secret(need)
                    found[need] = own or (not need.environment and need.name in secrets)
                case _:
                    continue
        return found

    def _has_secret(self, need: Need) -> bool:
        environment = self._repository.get_environment(need.environment)
        return need.name in {item.name for item in environment.get_secrets()}


class GitLabForge:
    """GitLab, through python-gitlab."""

    def __init__(self, token: str, repository: str, url: str) -> None:
        import gitlab  # noqa: PLC0415 - as above

        self._gitlab = gitlab
        self._project = gitlab.Gitlab(url, private_token=token).projects.get(repository)

    def propose(self, *, branch: str, base: str, title: str, body: str, files: Mapping[str, str]) -> Request:
        """See `Forge`. The branch is made anew from `base` in one commit."""
        requests = self._project.mergerequests.list(
            state="opened", source_branch=branch, target_branch=base, get_all=True
        )
        if requests and all(self._read(path, branch) == text for path, text in files.items()):
            return Request(requests[0].web_url, "same")
        actions = [
            {
                "action": "create" if self._read(path, base) is None else "update",
                "file_path": path,
                "content": text,
            }
            for path, text in sorted(files.items())
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
        """See `Forge`. Environments and schedules are made; secrets never."""
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
                case _:
                    continue
        return found

    def _schedule(self, need: Need) -> None:
        name, _, value = need.name.partition("=")
        made = self._project.pipelineschedules.create(
            {"description": need.name, "ref": self._project.default_branch, "cron": need.value}
        )
        made.variables.create({"key": name, "value": value})
