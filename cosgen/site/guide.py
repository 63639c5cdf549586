"""The derivative guide: how to build on what is published, with names that exist. Pure."""

from cosgen.site.model import SiteData
from cosgen.site.page import Page
from cosgen.site.text import package_path, printable


def guide_page(data: SiteData) -> Page:
    """Return the guide; files in it are as `cosgen` reads them."""
    known = {package.human for package in data.packages}
    foundations = [
        {
            "name": foundation.name,
            "packages": [
                {"human": printable(human), "path": package_path(*human.split("/", 1))}
                for human in foundation.packages
                if human in known
            ],
        }
        for foundation in data.foundations
    ]
    return Page(
        path="derive.html",
        template="guide.html",
        title="Build a derivative",
        section="guide",
        about=f"How to build your own system on {data.info.title}",
        view={
            "foundations": foundations,
            "foundation_text": (_foundation_text(data),),
            "variants": data.variants,
            "project": _project(data),
            "definition": 'name: "hello"\ncategory: "apps"\nversion: "1.0.0"\ndescription: "Says hello"\n',
            "build": _build(data),
            "values": 'greeting: "hello"\n',
            "values_name": f"values/{data.variants[0].key}.yaml" if data.variants else "values/x86_64.yaml",
            "commands": (
                "cosgen lock --update\ncosgen check\ncosgen plan\n"
                "cosgen build --all --output build/artifacts\n"
                "cosgen publish --channel testing build/artifacts\n"
            ),
        },
    )


def _foundation_text(data: SiteData) -> str:
    if not data.foundations:
        return "None of systemd, dracut and grub is published here; build on the packages you need."
    return "What a system stands on is published ready-made; build on it whole or in part."


def _signed_channel(data: SiteData) -> str:
    names = [channel.name for channel in data.channels]
    return "stable" if "stable" in names else names[0] if names else "stable"


def _project(data: SiteData) -> str:
    flavors = sorted({variant.flavor for variant in data.variants if variant.flavor})
    arches = sorted({variant.arch for variant in data.variants})
    channel = next((one for one in data.channels if one.name == _signed_channel(data)), None)
    pointer = channel.variants[0].pointer if channel and channel.variants else "stable-x86_64-repository.yaml"
    lines = [
        "version: 1",
        "name: my-os",
        "trees: [packages]",
        "foundations:",
        "- name: foundation",
        f"  url: {_yaml(data.info.repository_url or 'https://repo.example.org')}",
        f"  reference: {_yaml(pointer)}",
        'values: ["values/{flavor}-{arch}.yaml"]' if flavors else 'values: ["values/{arch}.yaml"]',
        *([f"flavors: [{', '.join(map(_yaml, flavors))}]"] if flavors else []),
        f"arches: [{', '.join(map(_yaml, arches))}]",
        "repository:",
        "  storage: build/repository",
        "channels:",
        "  testing: {on: {branch: main}, keep: {last: 10}}",
    ]
    return "\n".join(lines) + "\n"


def _build(data: SiteData) -> str:
    base = next((human for foundation in data.foundations for human in foundation.packages), "system/base")
    category, _, name = base.partition("/")
    return (
        "requires:\n"
        f"- category: {_yaml(category)}\n"
        f"  name: {_yaml(name)}\n"
        '  version: ">=0"\n'
        "steps:\n"
        '- printf "%s\\n" "{{ .Values.greeting }}" > /etc/motd\n'
    )


def _yaml(text: str) -> str:
    """Return `text` as one YAML scalar."""
    plain = text.replace("-", "").replace("_", "").replace(".", "").replace("/", "").isalnum()
    if (
        plain
        and text[0].isalpha()
        and text.lower() not in {"true", "false", "null", "yes", "no", "on", "off"}
    ):
        return text
    escaped = printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
