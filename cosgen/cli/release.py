"""`cosgen release`: the forge's release for a tag."""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.site import site_options
from cosgen.cli.store import open_session, storage_options
from cosgen.errors import Problem, PublishError
from cosgen.graph.plan_summary import counted
from cosgen.repository.reader import open_repository
from cosgen.site.collect import collect_release
from cosgen.site.release import Release, plan_release
from cosgen.site.release_forge import GitHubReleases, GitLabReleases, ReleaseForge


@click.command()
@click.option("--tag", required=True, help="The tag.")
@click.option("--channel", default="", help="Channel whose snapshot it is.  [default: whichever has the tag]")
@click.option(
    "--provider",
    type=click.Choice(["github", "gitlab"]),
    help="The forge.  [default: the one that CI runs on]",
)
@click.option("--repo", default="", metavar="OWNER/NAME", help="The forge's repository.  [default: CI's]")
@click.option("--url", default="", help="Address of the forge's API.  [default: CI's, else the public one]")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write notes and files to this folder, and ask no forge.",
)
@storage_options
@project_options
def command(  # noqa: PLR0913  # each is an option
    *,
    tag: str,
    channel: str,
    provider: str | None,
    repo: str,
    url: str,
    output: Path | None,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Make the forge's release for a tag, or bring it up to date: notes, client files, checksums.

    The tag's snapshot must be published (`cosgen publish --tag`). Running it again changes nothing that
    is right. The token comes from GITHUB_TOKEN or GITLAB_TOKEN.

    Example: cosgen release --tag v1.2.0 --channel stable
    """
    del single_writer
    opened = open_session(options, storage)
    repository = open_repository(opened.session.store, opened.session)
    release = plan_release(collect_release(repository, site_options(opened, "", ""), tag, channel))
    if output is not None:
        _write(release, output)
        return
    report = _forge(provider, repo, url, os.environ).put_release(release)
    click.echo(report.url)
    click.echo(f"release {tag}: {report.state}, {counted(len(report.uploaded), 'file')} sent", err=True)


def _write(release: Release, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "NOTES.md").write_text(release.notes, encoding="utf-8")
    for asset in release.assets:
        (output / asset.name).write_bytes(asset.content)
        click.echo(output / asset.name)


def _forge(provider: str | None, repo: str, url: str, environment: Mapping[str, str]) -> ReleaseForge:
    kind = provider or _provider(environment)
    if kind == "github":
        repo = repo or environment.get("GITHUB_REPOSITORY", "")
        token = environment.get("GITHUB_TOKEN", "")
        url = url or environment.get("GITHUB_API_URL", "") or "https://api.github.com"
    else:
        repo = repo or environment.get("CI_PROJECT_PATH", "")
        token = environment.get("GITLAB_TOKEN", "")
        url = url or environment.get("CI_SERVER_URL", "") or "https://gitlab.com"
    if not kind or not repo or not token:
        missing = (
            "no forge is known" if not kind else "no repository is named" if not repo else "there is no token"
        )
        fix = "run it in CI, or give --provider, --repo, and GITHUB_TOKEN or GITLAB_TOKEN in the environment"
        raise PublishError(Problem(what=f"cannot make a release: {missing}", fix=fix, id="CG607"))
    return GitHubReleases(token, repo, url) if kind == "github" else GitLabReleases(token, repo, url)


def _provider(environment: Mapping[str, str]) -> str:
    if environment.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if environment.get("GITLAB_CI") == "true" else ""
