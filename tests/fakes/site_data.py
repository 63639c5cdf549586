"""Site data of any size, made from a seed: believable names, four variants, three channels."""

import hashlib
import random
from dataclasses import replace

from cosgen.manifest.platform import Variant
from cosgen.repository.client_config import ChannelAddress, client_files
from cosgen.repository.description import DescribedChannel, Description
from cosgen.site.model import (
    Build,
    BuildGraph,
    Change,
    Channel,
    ComponentChange,
    Diff,
    Difference,
    Foundation,
    GraphNode,
    Move,
    Package,
    Requirement,
    SiteData,
    SiteInfo,
    Snippet,
    Trend,
    TrendPoint,
    VariantState,
)

VARIANTS = tuple(Variant(flavor, arch) for flavor in ("blue", "green") for arch in ("arm64", "x86_64"))
DAY = 86400
NOW = 1_793_000_000

TOLD = Description(
    trees=("foundation/packages", "packages"),
    media={"image": ("live/grub2-efi-image",), "rootfs": ("system/cos",), "uefi": ("live/grub2-efi-image",)},
    channels={
        "nightly": DescribedChannel(description="Built every night from the default branch.", triggers=("schedule 0 2 * * *",)),
        "stable": DescribedChannel(description="What machines in use should follow.", source="testing", triggers=("tag v*",)),
        "testing": DescribedChannel(description="Every change that was merged.", triggers=("branch main",)),
    },
    values={variant.key: {"codename": variant.flavor, "golang_arch": "amd64" if variant.arch == "x86_64" else variant.arch, "image": "debian:bookworm-slim"} for variant in VARIANTS},
    cache="ghcr.io/acme/cache",
    package="system/cos",
    client="C",
)  # fmt: skip
KNOWN = {
    "system/grub2": ("2.06", "Boot loader with support for many file systems", "GPL-3.0-or-later"),
    "system/dracut": ("059", "Event driven initramfs infrastructure", "GPL-2.0-or-later"),
    "system/systemd": ("254.5", "System and service manager", "LGPL-2.1-or-later"),
    "system/kernel": ("6.4.0", "The Linux kernel with its modules and firmware", "GPL-2.0-only"),
    "system/cos": ("0.9.1", "The operating system: everything a node boots", "Apache-2.0"),
    "system/cloud-config": ("0.11", "Default cloud-init stages", "Apache-2.0"),
    "toolchain/yip": ("1.0.0", "Applies cloud-init style configuration in stages", "Apache-2.0"),
    "toolchain/luet": ("0.35.1", "Container based package manager", "Apache-2.0"),
    "toolchain/elemental-cli": ("0.2.5", "Installs, upgrades and resets immutable systems", "Apache-2.0"),
    "toolkit/gtk+": ("3.24.38", "Graphical toolkit", "LGPL-2.1-or-later"),
    "recovery/cos": ("0.9.1", "Recovery image of the operating system", "Apache-2.0"),
    "meta/cos-minimal": ("0.9.1", "Everything a minimal node needs", "Apache-2.0"),
    "meta/cos-core": ("0.9.1", "The core of every flavor", "Apache-2.0"),
    "utils/k9s": ("0.27.4", "Terminal user interface for clusters", "Apache-2.0"),
    "utils/nerdctl": ("1.5.0", "Container client", "Apache-2.0"),
    "selinux/rancher": ("0.2", "SELinux policy for cluster nodes", "Apache-2.0"),
    "live/grub2-efi-image": ("2.06", "Boot image for EFI machines", "GPL-3.0-or-later"),
    "live/systemd-boot": ("254.5", "Boot manager image", "LGPL-2.1-or-later"),
    "cloud-config/default-services": ("0.4", "Services that start on every node", "Apache-2.0"),
    "cloud-config/network": ("0.6", "Network set-up through cloud-init", "Apache-2.0"),
}
README = """# {name}

{about}. It is built in its own container image.

## Configure

Put a file into `/oem`:

```yaml
stages:
  boot:
  - name: "Example"
    commands:
    - echo hello
```

| key | meaning |
| --- | --- |
| `name` | what the logs call the stage |
| `commands` | run in order |

See the [upstream documentation](https://example.org/{name}).
"""


def digest(*parts: object) -> str:
    """Return a made-up digest."""
    return "sha256:" + hashlib.sha256(repr(parts).encode()).hexdigest()


def _names(count: int, dice: random.Random) -> list[str]:
    names = list(KNOWN)
    words = [
        "net",
        "disk",
        "boot",
        "log",
        "web",
        "data",
        "cache",
        "proxy",
        "cert",
        "user",
        "time",
        "font",
        "audio",
        "video",
        "crypto",
        "mail",
        "shell",
    ]
    parts = [
        "agent",
        "tools",
        "server",
        "lib",
        "common",
        "extra",
        "data",
        "core",
        "plugins",
        "utils",
        "driver",
        "daemon",
        "client",
    ]
    groups = [
        "apps",
        "libs",
        "system",
        "toolchain",
        "utils",
        "development",
        "cloud-config",
        "drivers",
        "fonts",
        "languages",
    ]
    while len(names) < count:
        names.append(f"{dice.choice(groups)}/{dice.choice(words)}-{dice.choice(parts)}-{len(names)}")
    return names[:count]


def make_package(human: str, others: list[str], dice: random.Random, *, files: int = 12) -> Package:
    category, _, name = human.partition("/")
    version, about, licence = KNOWN.get(
        human,
        (
            f"{dice.randint(0, 9)}.{dice.randint(0, 30)}.{dice.randint(0, 9)}",
            f"Provides {name} for every node",
            "MIT",
        ),
    )
    bundle = category == "meta"
    requires = tuple(sorted(dice.sample(others, min(len(others), 6 if bundle else dice.randint(0, 4)))))
    edges = tuple(Requirement(human=need, selector=">=0") for need in requires)
    builds = []
    for number, variant in enumerate(VARIANTS):
        for level, channels in ((version, ("stable", "testing")), (f"{version}+1", ("nightly",))):
            mark = digest(human, level, variant.key)
            builds.append(
                Build(
                    version=level, variant=variant, channels=channels, digest=mark,
                    size=4096 if bundle else 20_000 + (len(human) * 977 + number) * 1_733 % 40_000_000,
                    installed_size=0 if bundle else 90_000 + len(human) * 1_000_003 % 120_000_000,
                    input_digest=digest("in", human, level, variant.key),
                    key=f"r/{name.replace('+', '_')}-{category}-{mark[7:31]}.package.tar.zst",
                    attestation=f"a/{mark[7:]}.att.tar.zst", sbom_digest=digest("sbom", mark),
                    provenance_digest=digest("prov", mark), requires=edges,
                    files=() if bundle else tuple(f"usr/lib/{name}/part-{i}" for i in range(files)),
                    seconds=0.0 if bundle else 3 + len(human) * 7.3 % 400, revision="6b1f0c7d2e",
                    log_url="https://ci.example.org/runs/42",
                )
            )  # fmt: skip
    builds.sort(key=lambda build: (build.version != f"{version}+1", build.variant))
    return Package(
        category=category,
        name=name,
        description=about,
        license=licence,
        uris=(f"https://example.org/{name}",),
        labels=(("autobump.strategy", "release"),),
        readme=README.format(name=name, about=about) if dice.random() < 0.6 or human in KNOWN else "",
        builds=tuple(builds),
        requires=requires,
        bundle=bundle,
    )


def _with_dependents(packages: list[Package]) -> tuple[Package, ...]:
    users: dict[str, list[str]] = {}
    for package in packages:
        for need in package.requires:
            users.setdefault(need, []).append(package.human)
    return tuple(
        replace(package, dependents=tuple(sorted(users.get(package.human, ()))))
        for package in sorted(packages, key=lambda package: (package.category, package.name))
    )


def _snippets(channel: str) -> tuple[Snippet, ...]:
    return tuple(
        Snippet(
            variant=variant.key,
            generation=str(file.generation),
            transport=str(file.transport),
            mode=str(file.mode),
            place=str(file.place),
            name=file.name,
            text=file.text,
        )
        for variant in VARIANTS
        for file in client_files(
            ChannelAddress(
                project="acme",
                channel=channel,
                variant=variant,
                url="https://repo.example.org/r",
                image=f"ghcr.io/acme/os-{variant.flavor}",
                image_digest=digest("image", channel, variant.flavor),
                package="system/cos",
                seq=14,
            )
        )
    )


def _diff(packages: tuple[Package, ...], dice: random.Random) -> Diff:
    chosen = dice.sample(packages, min(len(packages), 7))
    keys = tuple(variant.key for variant in VARIANTS)
    changed = tuple(
        Change(human=p.human, before=p.builds[-1].version, after=p.builds[0].version, size_before=1000, size_after=52_000 + n, variants=keys)
        for n, p in enumerate(sorted(chosen[:4], key=lambda p: p.human))
    )  # fmt: skip
    added = tuple(
        Change(human=p.human, after=p.builds[0].version, size_after=90_000, variants=keys[:1])
        for p in chosen[4:6]
    )
    removed = (Change(human="utils/retired", before="0.3", size_before=12_345, variants=keys),)
    components = (
        ComponentChange(name="deb/libssl3", before="3.0.11", after="3.0.13", packages=("system/cos",)),
        ComponentChange(name="deb/zstd", after="1.5.4", packages=("recovery/cos", "system/cos")),
        ComponentChange(name="golang/golang.org/x/net", before="0.17.0", packages=("utils/k9s",)),
    )
    return Diff(
        added=added, removed=removed, changed=changed, components=components, variants=keys, uncompared=1
    )


def _channel(name: str, seqs: list[int], packages: tuple[Package, ...], dice: random.Random) -> Channel:
    history = []
    for number, seq in enumerate(seqs):
        operation = "promote" if name == "stable" else "rollback" if number == 2 else "publish"
        history.append(
            Move(
                seq=seq, operation=operation, channel=name, snapshot=digest("snap", seq),
                previous=digest("snap", seqs[number - 1]) if number else "", time=NOW - (100 - seq) * DAY // 2,
                author="acme/os@refs/heads/main", run_url="https://ci.example.org/runs/42",
                revision="6b1f0c7d2e4455aa", note="kernel panics on boot" if operation == "rollback" else "",
                tag="v0.9.1" if name == "stable" and number == len(seqs) - 1 else "",
                packages=len(packages) * 4 - (len(seqs) - number) * 3, size=4_000_000_000 + number * 30_000_000,
                diff=_diff(packages, dice) if number else None,
            )
        )  # fmt: skip
    last = history[-1]
    states = tuple(
        VariantState(
            variant=variant,
            packages=len(packages),
            size=1_000_000_000 + n,
            changed=last.time - (21 * DAY if variant.arch == "arm64" and name == "nightly" else 0),
            pointer=f"{name}-{variant.key}-repository.yaml",
            lag=21 * DAY if variant.arch == "arm64" and name == "nightly" else 0,
        )
        for n, variant in enumerate(VARIANTS)
    )
    return Channel(
        name=name, snapshot=last.snapshot, seq=last.seq, revision=last.revision, published=last.time,
        author=last.author, signature="unsigned" if name == "nightly" else "verified",
        root_digest="" if name == "nightly" else digest("root"), expires=0 if name == "nightly" else last.time + 14 * DAY,
        variants=states, history=tuple(reversed(history)), snippets=_snippets(name), told=TOLD.channels[name],
        differences=tuple(
            Difference(other=other, diff=_diff(packages, dice)) for other in ("nightly", "stable", "testing") if other != name
        ),
    )  # fmt: skip


def make_site(count: int = 60, *, files: int = 12, seed: int = 7) -> SiteData:
    """Return a site with `count` packages; the same arguments give the same value."""
    dice = random.Random(seed)
    names = _names(count, dice)
    made = [
        make_package(human, names[max(0, i - 40) : i], dice, files=files) for i, human in enumerate(names)
    ]
    packages = _with_dependents(made)
    channels = (
        _channel("nightly", [3, 8, 12, 15], packages, dice),
        _channel("stable", [5, 14], packages, dice),
        _channel("testing", [2, 4, 9, 13], packages, dice),
    )
    nodes = tuple(
        GraphNode(human=p.human, version=p.builds[0].version, seconds=p.builds[0].seconds, needs=p.requires)
        for p in packages
    )
    return SiteData(
        project=TOLD,
        info=SiteInfo(
            title="Acme OS",
            url="https://docs.example.org/",
            description="An immutable system for small machines.",
            repository_url="https://repo.example.org/r",
            source_url="https://git.example.org/acme/os",
            generator="cosgen",
        ),
        channels=channels,
        variants=VARIANTS,
        packages=packages,
        graphs=tuple(BuildGraph(variant=variant, channel="stable", nodes=nodes, edges="build") for variant in VARIANTS[:2]),
        trends=tuple(
            Trend(
                channel=channel.name,
                points=tuple(
                    TrendPoint(seq=m.seq, snapshot=m.snapshot, time=m.time, size=m.size, packages=m.packages, seconds=3600.0 + m.seq * 61)
                    for m in reversed(channel.history)
                ),
            )
            for channel in channels
        ),
        foundations=(
            Foundation(name="systemd", packages=("system/systemd",)),
            Foundation(name="dracut", packages=("system/dracut",)),
            Foundation(name="grub", packages=("live/grub2-efi-image", "system/grub2")),
        ),
    )  # fmt: skip
