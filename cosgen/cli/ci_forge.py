"""What `cosgen ci` asks of forges: a request with renewed pipelines, and what is set up there."""
# ruff: noqa: PLC0415 - the forges' libraries take half a second that most calls need not wait

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosgen import __version__
from cosgen.cli.ci_calls import load_sound
from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.emitting import present_files

if TYPE_CHECKING:
    from cosgen.manifest.project import Project
    from cosgen.pipeline.drift import GeneratedFile
    from cosgen.pipeline.needs import Need


def git_remotes(root: Path) -> tuple[str, ...]:
    """Return the addresses that git fetches from, `origin` first; none where git knows nothing."""
    command = ["git", "-C", str(root), "config", "--get-regexp", r"^remote\..*\.url$"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = [line.partition(" ") for line in done.stdout.splitlines()]
    ordered = sorted(found, key=lambda item: (item[0] != "remote.origin.url", item[0]))
    return tuple(address for _, _, address in ordered)


def open_request(project: "Project", root: Path, provider: str, files: Sequence["GeneratedFile"]) -> str:
    """Put the pipelines on the bot branch and remove what is no longer emitted; return the request's URL."""
    from cosgen.pipeline.drift import find_drift
    from cosgen.pipeline.forge import open_forge

    stale = [
        drift.path for drift in find_drift(files, present_files(root, provider)) if drift.kind == "stale"
    ]
    request = open_forge(provider, os.environ, git_remotes(root)).propose(
        branch=project.config.ci.bot_branch,
        base=project.config.ci.default_branch,
        title="Renew the pipelines",
        body="Made by `cosgen ci --open-pr` from cosgen.yaml and the package trees.",
        files={**dict.fromkeys(stale), **{file.path: file.text for file in files}},
    )
    return request.url


@click.command("doctor")
@click.option("--apply", is_flag=True, help="Make what the forge lets be made.")
@project_options
@click.pass_context
def doctor(ctx: click.Context, *, options: ProjectOptions, apply: bool) -> None:
    """Tell what the pipelines need in the forge, and what of it is missing.

    The project on the forge is the one that GITHUB_REPOSITORY or CI_PROJECT_PATH names, else a remote of git.
    With GITHUB_TOKEN or GITLAB_TOKEN the forge is asked. --apply makes environments, Pages, schedules and
    the rule that only green merge requests are merged; secrets, variables and reviewers are yours to set.
    """
    from cosgen.pipeline.address import find_address
    from cosgen.pipeline.needs import forge_needs, trust_policy

    project = load_sound(options)
    remotes = git_remotes(options.project)
    for provider in ctx.meta.get("providers") or project.config.ci.providers:
        needs = forge_needs(project.config, project.variants, provider, version=__version__)
        have = _examine(provider, needs, remotes, apply=apply)
        for need in needs:
            mark = {True: "ok     ", False: "missing", None: "needed "}[have.get(need)]
            print(f"{mark} {need.kind} {need.name}: {need.why}")
        address = find_address(provider, os.environ, remotes)
        if policy := trust_policy(project.config, provider, address):
            print(f"\nTrust policy of the role on AWS ({provider}):\n{policy}", end="")


def _examine(
    provider: str, needs: Sequence["Need"], remotes: Sequence[str], *, apply: bool
) -> Mapping["Need", bool]:
    from cosgen.pipeline.forge import has_token, open_forge

    if not has_token(provider, os.environ, remotes):
        print("no token: the list tells what is needed, not what is there", file=sys.stderr)
        return {}
    return open_forge(provider, os.environ, remotes).examine(needs, apply=apply)
