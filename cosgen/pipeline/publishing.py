"""The jobs that move channels, publish and promote, and what they may do for it."""

from collections.abc import Mapping, Sequence

from cosgen.manifest.config import ChannelConfig
from cosgen.pipeline.commands import Variable
from cosgen.pipeline.model import (
    Access,
    AssumeRole,
    Call,
    Concurrency,
    Condition,
    Context,
    Download,
    Job,
    Login,
    Setting,
    Step,
    Value,
    When,
    frozen,
)
from cosgen.pipeline.scene import Provider, Scene
from cosgen.pipeline.stages import LONG_MINUTES, PLAN_FILE, READ, hooks, prepare


def environment_of(channel: ChannelConfig) -> str:
    """Return the environment of the forge that a channel's secrets and approvals are in."""
    return channel.environment or channel.name


def identity_steps(scene: Scene, channel: ChannelConfig | None) -> tuple[Step, ...]:
    """Return the steps by which a job may write to the repository: OIDC on AWS, else nothing."""
    if not uses_role(scene):
        return ()
    oidc = scene.config.ci.oidc
    role = (oidc.roles.get(channel.name, "") if channel else "") or oidc.role
    region = oidc.region or scene.config.repository.region
    return (
        AssumeRole(
            role=role or Setting("COSGEN_AWS_ROLE"),
            region=region or Setting("COSGEN_AWS_REGION"),
            audience=oidc.audience,
        ),
    )


def uses_role(scene: Scene) -> bool:
    """Whether writing goes by a role of AWS: storage on S3 at AWS itself, or a role is configured."""
    at_aws = scene.on_s3 and not scene.config.repository.endpoint
    return at_aws or bool(scene.config.ci.oidc.role)


def writer_env(scene: Scene) -> Mapping[str, Value]:
    """Return the secrets a job sees that writes to the repository."""
    env: dict[str, Value] = {}
    if scene.on_s3 and not uses_role(scene):
        env["AWS_ACCESS_KEY_ID"] = scene.secret("AWS_ACCESS_KEY_ID")
        env["AWS_SECRET_ACCESS_KEY"] = scene.secret("AWS_SECRET_ACCESS_KEY")
    if scene.config.signing.channels.keys or scene.config.signing.required:
        env["COSGEN_SIGNING_KEY"] = scene.secret("COSGEN_SIGNING_KEY")
    return frozen(env)


def writer_permissions(scene: Scene, *, registry: Access | None = None) -> Mapping[str, tuple[Access, str]]:
    """Return the permissions of a job that writes to the repository."""
    extra: dict[str, tuple[Access, str]] = {}
    if uses_role(scene):
        extra["id-token"] = (Access.WRITE, "prove to AWS who asks for the role")
    if registry is not None:
        extra.update(scene.registry_permissions(registry))
    return frozen({**READ, **extra})


def logins(scene: Scene, *, images: bool = False) -> tuple[Login, ...]:
    """Return the logins to the registries in use, each host once."""
    registry = scene.config.registry
    names = [registry.cache, *([registry.images, registry.packages] if images else [])]
    hosts = dict.fromkeys(name.partition("/")[0] for name in names if name)
    return tuple(scene.login(host) for host in hosts)


def publish_lock(channel: ChannelConfig) -> Concurrency:
    """Return the group in which a channel is written: one at a time, in order, none dropped."""
    return Concurrency(group=f"cosgen-publish-{channel.name}", queue=True)


def publish_job(scene: Scene, channel: ChannelConfig, needs: Sequence[str]) -> Job:
    """Return the job that publishes what was built to a channel."""
    hook = scene.config.ci.hooks
    env = writer_env(scene)
    source: tuple[Step, ...] = (Download(name="plan", path="."),)
    if scene.has_cache:
        arguments: tuple[str, ...] = ()
        options: tuple[tuple[str, str], ...] = (("--plan", PLAN_FILE), ("--from-registry", ""))
    else:
        source = (*source, Download(name="artifacts-", path="artifacts", many=True, merge=True))
        arguments, options = ("artifacts",), (("--plan", PLAN_FILE),)
    publish = Call(
        title=f"Publish to {channel.name}",
        words="publish",
        arguments=arguments,
        options=(("--channel", channel.name), *options),
        env=env,
    )
    return Job(
        id="publish",
        title=f"publish {channel.name}",
        stage="publish",
        steps=(
            *prepare(scene),
            *source,
            *logins(scene, images=True),
            *identity_steps(scene, channel),
            *hooks("before publish", hook.before_publish, env),
            publish,
            *image_calls(scene, channel, env),
            *hooks("after publish", hook.after_publish, env),
        ),
        needs=tuple(needs),
        condition=Condition(when=When.ENDED, good=("gate",)),
        runner=scene.runner("control"),
        timeout=LONG_MINUTES,
        permissions=writer_permissions(scene, registry=Access.WRITE),
        environment=environment_of(channel),
        deploys=True,
        concurrency=publish_lock(channel),
        trusted=True,
        by_hand=waits_for_hand(scene, channel),
    )


def waits_for_hand(scene: Scene, channel: ChannelConfig) -> bool:
    """Tell whether a person must start what moves a channel; on GitHub its environment asks for one."""
    return scene.provider is Provider.GITLAB and channel.approve


def image_calls(scene: Scene, channel: ChannelConfig, env: Mapping[str, Value]) -> tuple[Step, ...]:
    """Return the calls that put a channel into registries: upgrade images, luet's docker type."""
    config = scene.config
    wanted = (
        ("Push the upgrade images", "image push", config.upgrade.package and config.registry.images),
        (
            "Push the packages as a docker-type repository",
            "repo push",
            config.upgrade.docker_type and config.registry.packages,
        ),
    )
    options = (("--channel", channel.name),)
    return tuple(
        Call(title=title, words=words, options=options, env=env) for title, words, use in wanted if use
    )


def promote_job(scene: Scene, channel: ChannelConfig, gates: Sequence[str], *, tagged: bool) -> Job:
    """Return the job that moves a channel to a snapshot of the one it comes from.

    Args:
        scene: The settings.
        channel: The channel to move; `from_` is where its snapshot comes from.
        gates: Ids of the jobs that must pass before.
        tagged: A tag starts it: then the snapshot must be of the tagged commit.
    """
    env = writer_env(scene)
    revision = {"COSGEN_REVISION": Context.REVISION} if tagged else {}
    call = Call(
        title=f"Promote {channel.from_} to {channel.name}",
        words="channel promote",
        arguments=(channel.from_, channel.name),
        options=((("--revision", Variable("COSGEN_REVISION")),) if tagged else ()),
        env=frozen({**revision, **env}),
    )
    return Job(
        id="promote",
        title=f"promote {channel.from_} to {channel.name}",
        stage="publish",
        steps=(
            *prepare(scene),
            *(logins(scene, images=True) if image_calls(scene, channel, env) else ()),
            *identity_steps(scene, channel),
            call,
            *image_calls(scene, channel, env),
        ),
        needs=tuple(gates),
        condition=Condition(when=When.ENDED, good=tuple(gates)) if gates else Condition(),
        runner=scene.runner("control"),
        timeout=LONG_MINUTES,
        permissions=writer_permissions(scene, registry=Access.WRITE),
        environment=environment_of(channel),
        deploys=True,
        concurrency=publish_lock(channel),
        trusted=True,
        by_hand=waits_for_hand(scene, channel),
    )
