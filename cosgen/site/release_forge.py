"""The door to the forges' releases: PyGithub and python-gitlab, both idempotent.

A file that is there with the digest that the release's notes tell is left alone; any other is replaced.
"""

import io
from dataclasses import dataclass
from typing import Any, Protocol

from cosgen.errors import Problem, PublishError
from cosgen.site.release import Asset, Release

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What was done."""

    url: str
    state: str  # "created", "renewed" or "same"
    uploaded: tuple[str, ...]  # names of files sent


class ReleaseForge(Protocol):
    """A forge that has releases."""

    def put_release(self, release: Release) -> ReleaseReport:
        """Make the release, or bring the one that is there up to date."""


class GitHubReleases:
    """GitHub, through PyGithub."""

    def __init__(self, token: str, repository: str, url: str = "https://api.github.com") -> None:
        import github  # noqa: PLC0415  # slow to import

        self._errors = github.GithubException
        auth = github.Auth.Token(token)
        self._client = github.Github(auth=auth, base_url=url, retry=None, timeout=60)
        self._repository = repository

    def put_release(self, release: Release) -> ReleaseReport:
        """Make the release, or bring the one that is there up to date.

        Raises:
            PublishError: GitHub refuses (CG606).
        """
        try:
            repository = self._client.get_repo(self._repository)
            return self._put(repository, release)
        except self._errors as error:
            raise _refused("GitHub", release.tag, error) from error

    def _put(self, repository: Any, release: Release) -> ReleaseReport:  # noqa: ANN401  # PyGithub's own class
        found = self._find(repository, release.tag)
        before = found.body or "" if found else ""
        state = "same"
        if found is None:
            found = repository.create_git_release(release.tag, release.name, release.notes)
            state = "created"
        uploaded = self._upload(found, release, before)
        if state != "created" and (before, found.name) != (release.notes, release.name):
            found.update_release(release.name, release.notes)
            state = "renewed"
        return ReleaseReport(found.html_url, "renewed" if uploaded and state == "same" else state, uploaded)

    def _find(self, repository: Any, tag: str) -> Any:  # noqa: ANN401  # PyGithub's own class
        try:
            return repository.get_release(tag)
        except self._errors as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _upload(self, found: Any, release: Release, before: str) -> tuple[str, ...]:  # noqa: ANN401  # as above
        there = {asset.name: asset for asset in found.get_assets()}
        uploaded = []
        for asset in release.assets:
            old = there.get(asset.name)
            if old is not None and _is_same(asset, old.size, getattr(old, "digest", None), before):
                continue
            if old is not None:
                old.delete_asset()
            content = io.BytesIO(asset.content)
            found.upload_asset_from_memory(
                content, len(asset.content), asset.name, content_type="application/octet-stream"
            )
            uploaded.append(asset.name)
        return tuple(uploaded)


def _is_same(asset: Asset, size: int, digest: str | None, notes: str) -> bool:
    if digest:
        return digest == f"sha256:{asset.digest}"
    return size == len(asset.content) and asset.digest in notes


class GitLabReleases:
    """GitLab, through python-gitlab: files go to the project's generic packages, linked from the release."""

    def __init__(self, token: str, repository: str, url: str = "https://gitlab.com") -> None:
        import gitlab  # noqa: PLC0415  # slow to import

        self._errors = gitlab.exceptions.GitlabError
        self._client = gitlab.Gitlab(url, private_token=token, timeout=60)
        self._repository = repository

    def put_release(self, release: Release) -> ReleaseReport:
        """Make the release, or bring the one that is there up to date.

        Raises:
            PublishError: GitLab refuses (CG606).
        """
        try:
            project = self._client.projects.get(self._repository, lazy=True)
            return self._put(project, release)
        except self._errors as error:
            raise _refused("GitLab", release.tag, error) from error

    def _put(self, project: Any, release: Release) -> ReleaseReport:  # noqa: ANN401  # python-gitlab's own class
        found = self._find(project, release.tag)
        before = found.description or "" if found else ""
        state = "same"
        if found is None:
            values = {"tag_name": release.tag, "name": release.name, "description": release.notes}
            found = project.releases.create(values)
            state = "created"
        uploaded = self._upload(project, found, release, before)
        if state != "created" and (before, found.name) != (release.notes, release.name):
            project.releases.update(release.tag, {"name": release.name, "description": release.notes})
            state = "renewed"
        url = str(found.attributes.get("_links", {}).get("self", ""))
        return ReleaseReport(url, "renewed" if uploaded and state == "same" else state, uploaded)

    def _find(self, project: Any, tag: str) -> Any:  # noqa: ANN401  # python-gitlab's own class
        try:
            return project.releases.get(tag)
        except self._errors as error:
            if error.response_code == _NOT_FOUND:
                return None
            raise

    def _upload(self, project: Any, found: Any, release: Release, before: str) -> tuple[str, ...]:  # noqa: ANN401  # as above
        links = {link.name: link for link in found.links.list(get_all=True)}
        uploaded = []
        for asset in release.assets:
            if asset.name in links and asset.digest in before:
                continue
            project.generic_packages.upload(
                package_name="release",
                package_version=release.tag,
                file_name=asset.name,
                data=asset.content,
            )
            if asset.name not in links:
                found.links.create(
                    {"name": asset.name, "url": self._address(release, asset), "link_type": "other"}
                )
            uploaded.append(asset.name)
        return tuple(uploaded)

    def _address(self, release: Release, asset: Asset) -> str:
        project = self._repository.replace("/", "%2F")
        return (
            f"{self._client.api_url}/projects/{project}/packages/generic/release/{release.tag}/{asset.name}"
        )


def _refused(forge: str, tag: str, error: Exception) -> PublishError:
    fix = "check the token's rights (GitHub: contents: write; GitLab: api), then run the command again"
    return PublishError(Problem(what=f"{forge} refuses the release {tag}: {error}", fix=fix, id="CG606"))
