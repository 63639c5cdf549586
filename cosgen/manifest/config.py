# ruff: noqa: RUF009 - `setting` is dataclasses.field with help; it returns a field, not a shared value
"""What `cosgen.yaml` may say, as frozen values. This is the one table of settings.

The decoder (`config_decode.py`), the JSON Schema (`config_schema.py`) and the reference of settings in the
docs are all made from these classes: a field's name is the key (a trailing `_` is dropped), its annotation
the kind of value, its `setting` the help, the default and the accepted words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cosgen.errors import Origin
from cosgen.manifest.version import Compat

WORD = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
REFERENCE = r"[A-Za-z0-9._+-]+/[A-Za-z0-9._+@=<>~:*?\[\]-]+"


def setting(  # a dataclass field must be typed Any for its default to fit every annotation
    help_: str,
    default: object = ...,
    *,
    choices: tuple[str, ...] = (),
    pattern: str = "",
    minimum: int | None = None,
    path: bool = False,
    shorthand: bool = False,
) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Return a dataclass field that is a setting.

    Args:
        help_: One sentence for the schema and the docs.
        default: Value when the key is absent; without it the key is required.
        choices: Words the value must be one of.
        pattern: Regular expression the whole text must match.
        minimum: Smallest number.
        path: The text names a file or folder inside the project.
        shorthand: The value of this field may stand in place of the whole map.
    """
    metadata = {
        "help": help_,
        "choices": choices,
        "pattern": pattern,
        "minimum": minimum,
        "path": path,
        "shorthand": shorthand,
    }
    if default is ...:
        return field(metadata=metadata)
    if isinstance(default, dict):
        return field(default_factory=lambda: MappingProxyType(default), metadata=metadata)
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationConfig:
    """A published repository to build on."""

    name: str = setting("Short name, used in cosgen.lock and in messages.", pattern=WORD)
    url: str = setting("Address of the repository: https://, s3:// or a folder.")
    reference: str = setting("Name of its repository file, which picks the channel.", "repository.yaml")
    trust: str = setting("TUF root metadata to trust it by.", "", path=True)
    images: str = setting(
        "Registry repository that holds its images, to build on; what it tells of itself when empty.", ""
    )
    packages: tuple[str, ...] = setting(
        "Packages to take from it, as category/name (`*` and `?` match), with what they require; "
        "all when empty.",
        (),
    )
    flavor: str = setting(
        "Flavor of it to build on; the one of the same name, or its only one, when empty.", ""
    )
    publish: bool = setting(
        "Put what ours need of it into our repository too; else clients read it from its own.",
        False,  # noqa: FBT003 - the default
    )
    priority: int = setting("Priority of its repository on clients; ours has 10, lower wins.", 50, minimum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipConfig:
    """Packages that some variants leave out."""

    packages: tuple[str, ...] = setting("Packages as category/name; `*` and `?` match.", pattern=REFERENCE)
    flavors: tuple[str, ...] = setting("Flavors to leave them out of; all when empty.", ())
    arches: tuple[str, ...] = setting("Architectures to leave them out of; all when empty.", ())
    reason: str = setting("Why, for plans and pages.", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayConfig:
    """Files laid over the directories of packages before they are built."""

    packages: tuple[str, ...] = setting("Packages as category/name; `*` and `?` match.", pattern=REFERENCE)
    files: str = setting("Folder whose content is laid over the package's.", path=True)
    flavors: tuple[str, ...] = setting("Only for these flavors; all when empty.", ())
    arches: tuple[str, ...] = setting("Only for these architectures; all when empty.", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatesConfig:
    """What package templates may do."""

    allow_functions: tuple[str, ...] = setting("Template functions with varying results to allow.", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """Container registries."""

    cache: str = setting("Repository for build images and artifacts, the hand-off between jobs.", "")
    images: str = setting("Repository for operating system images.", "")
    packages: str = setting("Repository for package images, luet's docker repository type.", "")
    luet_tags: bool = setting("Also tag build images as luet does.", False)  # noqa: FBT003 - the default
    insecure: bool = setting("Speak plain HTTP (test registries).", False)  # noqa: FBT003 - the default


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionConfig:
    """How package archives are compressed."""

    format: str = setting("Format.", "zstd", choices=("zstd", "gzip", "none"), shorthand=True)
    level: int = setting("Level, in the format's own scale.", 3, minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryConfig:
    """Where the repository is kept and read."""

    name: str = setting("Name clients see; the project's when empty.", "")
    description: str = setting("One line clients see.", "")
    storage: str = setting("Where to write: s3://bucket/prefix or a folder.", "")
    url: str = setting("Address clients read it from.", "")
    sources: bool = setting("Also publish the source trees, luet's compiler tree.", False)  # noqa: FBT003 - the default
    endpoint: str = setting("S3 endpoint, when it is not AWS.", "")
    region: str = setting("S3 region.", "")
    compression: CompressionConfig = setting("Archive compression.", CompressionConfig)
    policy: str = setting(
        "What a publish does: `merge` adds to the channel, `replace` makes it exactly what is given, "
        "`fail` adds, and stops when somebody else moved the channel meanwhile.",
        "merge",
        choices=("merge", "replace", "fail"),
    )
    single_writer: bool = setting("Only one job ever writes: take any store.", False)  # noqa: FBT003 - the default


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerConfig:
    """What starts a channel's pipeline. Without any key it is started by hand."""

    branch: str = setting("Push to this branch (or branches, by pattern).", "")
    tag: str = setting("Push of a tag that matches, such as v*.", "")
    schedule: str = setting("Cron line in UTC, five fields.", "", pattern=r"|(\S+\s+){4}\S+")
    manual: bool = setting("May also be started by hand.", True)  # noqa: FBT003 - the default
    paths: tuple[str, ...] = setting("Only pushes that touch these paths.", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepConfig:
    """How long snapshots of a channel are kept; the current one always is."""

    last: int = setting("Keep this many newest snapshots; 0 = no such rule.", 0, minimum=0)
    days: int = setting("Keep snapshots younger than this many days; 0 = no such rule.", 0, minimum=0)
    tags: str = setting("Keep snapshots of tagged revisions.", "", choices=("", "all"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfig:
    """One release channel: what starts it, where it comes from, who must agree."""

    name: str = setting("Name, the key in the map of channels.", "", pattern=WORD)
    on: TriggerConfig = setting("What starts it.", TriggerConfig)
    from_: str = setting("Channel it is promoted from; empty = built.", "")
    keep: KeepConfig = setting("How long its snapshots are kept.", KeepConfig)
    approve: bool = setting("A person must approve before it moves.", False)  # noqa: FBT003 - the default
    gates: tuple[str, ...] = setting("Names of ci.jobs that must pass before it moves.", ())
    environment: str = setting(
        "Environment of the forge with its secrets; the channel's name when empty.", ""
    )
    flavors: tuple[str, ...] = setting("Only these flavors; all when empty.", ())
    arches: tuple[str, ...] = setting("Only these architectures; all when empty.", ())
    description: str = setting("One line for the site.", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeConfig:
    """What machines upgrade to."""

    package: str = setting(
        "Package that is the operating system, category/name.", "", pattern=f"|{REFERENCE}"
    )
    recovery: str = setting("Package that is the recovery system.", "", pattern=f"|{REFERENCE}")
    client: str = setting("Generation of the upgrade client.", "C", choices=("A", "B", "C", "D"))
    follow: str = setting(
        "What the images of a channel tell machines to upgrade to: the `channel`'s package, its `image`, "
        "`none` for what the packages say themselves; `auto` takes the channel where the client can and the "
        "repository has an address, else the image.",
        "auto",
        choices=("auto", "channel", "image", "none"),
    )
    docker_type: bool = setting("Also publish luet's docker repository type.", False)  # noqa: FBT003 - the default


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleConfig:
    """Keys of one TUF role."""

    keys: tuple[str, ...] = setting("Public keys that are trusted: PEM files, relative to the project.", ())
    threshold: int = setting("How many must sign.", 1, minimum=1)
    expires_days: int = setting("Days until its metadata expires; 0 = the role's default.", 0, minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningConfig:
    """Who signs what."""

    root: RoleConfig = setting("The root of trust, kept offline.", RoleConfig)
    targets: RoleConfig = setting("Delegates the channels, kept offline.", RoleConfig)
    channels: RoleConfig = setting("Signs channels, snapshot and commit log, online.", RoleConfig)
    timestamp_days: int = setting("Days until the timestamp expires; 0 = 3.", 0, minimum=0)
    required: bool = setting("Refuse to publish, and to read, what is not signed.", False)  # noqa: FBT003 - the default


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerConfig:
    """Which machine takes the jobs of one architecture (PIPELINE: `runs-on`, `tags`)."""

    labels: tuple[str, ...] = setting("GitHub runner labels.", (), shorthand=True)
    group: str = setting("GitHub runner group.", "")
    tags: tuple[str, ...] = setting("GitLab runner tags.", ())
    self_hosted: bool = setting("It is our own machine.", False)  # noqa: FBT003 - the default
    ephemeral: bool = setting("Each job gets a fresh machine, so pull requests may use it.", False)  # noqa: FBT003 - the default
    purge_disk: bool = setting("Free disk space before building (hosted runners).", False)  # noqa: FBT003 - the default
    image: str = setting("Container image of the job, pinned by digest (GitLab).", "")
    emulate: bool = setting("Build by emulation on another architecture.", False)  # noqa: FBT003 - the default


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """What the forge's plan allows."""

    concurrent_jobs: int = setting("Jobs that run at once.", 20, minimum=1)
    jobs_per_pipeline: int = setting("Most jobs in one pipeline; 0 = the provider's limit.", 0, minimum=0)
    gitlab_tier: str = setting(
        "Plan on GitLab.com.", "free", choices=("free", "premium", "ultimate", "self-managed")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksConfig:
    """Commands around the stages, each a line for the shell in the job of that stage."""

    before_plan: tuple[str, ...] = setting("Before the plan is made.", ())
    after_plan: tuple[str, ...] = setting("After it.", ())
    before_build: tuple[str, ...] = setting("In every build job, before it builds.", ())
    after_build: tuple[str, ...] = setting("In every build job, after it.", ())
    before_publish: tuple[str, ...] = setting("Before publishing.", ())
    after_publish: tuple[str, ...] = setting("After it.", ())
    before_site: tuple[str, ...] = setting("Before the site is built.", ())
    after_site: tuple[str, ...] = setting("After it.", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobConfig:
    """A job of the user's own: an ISO, a VM test, a cloud image. A channel may name it as a gate."""

    name: str = setting("Name, the key in the map of jobs.", "", pattern=WORD)
    after: str = setting("Stage it follows.", "build", choices=("plan", "build", "gate", "publish", "site"))
    run: tuple[str, ...] = setting("Commands.", ())
    needs: tuple[str, ...] = setting("Other jobs of this map it waits for.", ())
    packages: tuple[str, ...] = setting(
        "Packages whose artifacts it gets, as category/name; none in requests, which keep nothing.", ()
    )
    channels: tuple[str, ...] = setting("Only in these channels' pipelines; all when empty.", ())
    pull_requests: bool = setting("Also in pull requests.", False)  # noqa: FBT003 - the default
    per_variant: bool = setting("Once per flavor and architecture.", True)  # noqa: FBT003 - the default
    runner: str = setting("Key of ci.runners; the variant's architecture when empty.", "")
    environment: str = setting("Environment of the forge, for its secrets.", "")
    secrets: tuple[str, ...] = setting("Names of secrets it sees, as environment variables.", ())
    artifacts: tuple[str, ...] = setting("Paths to keep.", ())
    timeout_minutes: int = setting("Time limit.", 120, minimum=1)
    required: bool = setting("Its failure fails the pipeline.", True)  # noqa: FBT003 - the default


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcConfig:
    """Short-lived credentials from the forge's identity, in place of stored keys."""

    role: str = setting("AWS role ARN for publishing.", "")
    roles: Mapping[str, str] = setting("AWS role ARN by channel, where it differs.", {})
    region: str = setting("AWS region; repository.region when empty.", "")
    audience: str = setting("Audience of the token.", "sts.amazonaws.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestConfig:
    """Pull and merge request pipelines. They write nothing and see no secret."""

    enabled: bool = setting("Emit them.", True)  # noqa: FBT003 - the default
    paths: tuple[str, ...] = setting("Only when these paths change; the project's own files when empty.", ())
    labels: tuple[str, ...] = setting("Only with one of these labels.", ())
    merge_queue: bool = setting("Also in merge queues and merge trains.", True)  # noqa: FBT003 - the default
    variants: tuple[str, ...] = setting(
        "Only these variants, by key such as green-x86_64; all when empty.", ()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CiConfig:
    """The pipelines (PIPELINE)."""

    providers: tuple[str, ...] = setting("For whom to emit.", ("github",), choices=("github", "gitlab"))
    shape: str = setting(
        "Form of the pipelines; `child` is GitLab's, and as `auto` on GitHub.",
        "auto",
        choices=("auto", "static", "chunks", "workers", "child"),
    )
    runners: Mapping[str, RunnerConfig] = setting(
        "Machines by architecture, or by any name jobs refer to.", {}
    )
    budget: BudgetConfig = setting("What the forge's plan allows.", BudgetConfig)
    timeout_minutes: int = setting("Time limit of a build job.", 120, minimum=1)
    install: str = setting("How a job installs cosgen.", "pip install cosgen=={version}")
    python: str = setting("Python version of the jobs.", "3.12", pattern=r"3\.[0-9]+")
    hooks: HooksConfig = setting("Commands around the stages.", HooksConfig)
    jobs: Mapping[str, JobConfig] = setting("Jobs of your own, by name.", {})
    pull_requests: PullRequestConfig = setting("Pull and merge request pipelines.", PullRequestConfig)
    optional_variants: tuple[str, ...] = setting("Variants that may fail, by key such as green-arm64.", ())
    oidc: OidcConfig = setting("Credentials from the forge's identity.", OidcConfig)
    secrets: Mapping[str, str] = setting("Names of the secrets in the forge, by our name for them.", {})
    variables: Mapping[str, str] = setting("Plain environment variables of every job.", {})
    retries: int = setting("Tries again after infrastructure errors.", 2, minimum=0)
    default_branch: str = setting("The branch pull requests aim at.", "main")
    bot_branch: str = setting("Branch of the pull request that updates the pipelines.", "cosgen/pipelines")
    site: str = setting("Where the site goes.", "pages", choices=("pages", "storage", "none"))
    self_repository: bool = setting("Refer to own workflows as $/path (new runners only).", False)  # noqa: FBT003 - the default
    chunks: int = setting("Jobs of the `chunks` shape; 0 = as many as is wise.", 0, minimum=0)
    workers: int = setting("Workers of the `workers` shape; 0 = as many as pay.", 0, minimum=0)
    artifact_days: int = setting("Days CI artifacts are kept.", 7, minimum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """The release documentation."""

    title: str = setting("Title; the project's name when empty.", "")
    url: str = setting("Address it is served at.", "")
    description: str = setting("One sentence.", "")
    source: str = setting("Address of the source repository.", "")
    pages: str = setting("Folder of pages of your own.", "", path=True)
    hidden: bool = setting("Also list hidden packages.", False)  # noqa: FBT003 - the default
    stale_days: int = setting(
        "Warn when a channel is older than this and its siblings are not.", 7, minimum=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectConfig:
    """All of `cosgen.yaml`."""

    version: int = setting("Version of this format: 1.", 1, minimum=1)
    name: str = setting("Name of the project.", "", pattern=f"|{WORD}")
    manifest: str = setting("The OS manifest; `manifest.yaml` when it is there.", "", path=True)
    trees: tuple[str, ...] = setting("Package trees in order; `packages` by default.", (), path=True)
    allow_override: bool = setting(
        "A later tree may replace packages of an earlier one without saying `override: true`.",
        False,  # noqa: FBT003 - the default
    )
    foundations: tuple[FoundationConfig, ...] = setting("Published repositories to build on.", ())
    values: tuple[str, ...] = setting(
        "Values files, with {flavor} and {arch}; the rightmost wins.", (), path=True
    )
    flavors: tuple[str, ...] = setting("Flavors of the system.", (), pattern=WORD)
    arches: tuple[str, ...] = setting("Architectures, in any common spelling.", (), pattern=WORD)
    select: str | tuple[str, ...] = setting(
        "What to build: `tree`, `manifest`, or a list of packages.", "tree"
    )
    skip: tuple[SkipConfig, ...] = setting("Packages some variants leave out.", ())
    overlays: tuple[OverlayConfig, ...] = setting("Files laid over packages' directories.", ())
    templates: TemplatesConfig = setting("What package templates may do.", TemplatesConfig)
    compat: Compat = setting("Which luet generation to agree with.", "head", choices=("head", "0.36"))
    delta: str = setting(
        "Which changes an artifact holds: `add` as luet, `full` also changed files.",
        "add",
        choices=("add", "full"),
    )
    registry: RegistryConfig = setting("Container registries.", RegistryConfig)
    repository: RepositoryConfig = setting("The package repository.", RepositoryConfig)
    channels: Mapping[str, ChannelConfig] = setting("Release channels, by name.", {})
    upgrade: UpgradeConfig = setting("What machines upgrade to.", UpgradeConfig)
    signing: SigningConfig = setting("Who signs what.", SigningConfig)
    ci: CiConfig = setting("The pipelines.", CiConfig)
    site: SiteConfig = setting("The release documentation.", SiteConfig)
    places: Mapping[str, Origin] = field(default_factory=lambda: MappingProxyType({}))
    """Where each key that is present was written, by dotted path; not a setting."""
