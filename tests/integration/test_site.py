"""The site of a repository that was really published: what it shows, that it is stable, and that it does no harm."""

import dataclasses
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from cosgen.build.artifact import RECORD_SUFFIX
from cosgen.cli.main import cosgen
from cosgen.errors import CosgenError
from cosgen.repository.images import ImageNote, note_images
from cosgen.repository.publish import PublishOptions
from cosgen.repository.session import Session
from cosgen.storage.local import FolderStore
from cosgen.storage.open import open_store
from tests.fakes.artifacts import make_artifact, write
from tests.s3_engines import S3Server

ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![spy](https://evil.example/p.png)",
    "{{ 7 * 7 }} {% for x in y %} ${7*7}",
    '"><svg onload=alert(1)>',
    "<!-- --></title><base href=https://evil.example/>",
)


def run(*arguments: object) -> None:
    cosgen.main(args=[str(argument) for argument in arguments], standalone_mode=False)


def add(
    folder: Path,
    name: str,
    version: str,
    *,
    arch: str = "x86_64",
    readme: str = "",
    requires: tuple[tuple[str, str, str], ...] = (),
    components: dict[str, str] | None = None,
    needs: tuple[str, ...] = (),
    **fields: object,
) -> None:
    category = str(fields.pop("category", "apps"))
    record = make_artifact(
        folder, name, version, category=category, arch=arch, requires=requires, revision="6b1f0c7d2e44"
    )
    definition = {**record.definition, **fields}
    listed = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:deb/debian/{name}@{version}"}
        for name, version in (components or {}).items()
    ]
    bill = {"bomFormat": "CycloneDX", "components": [*listed, {"type": "file", "name": "etc/motd"}]}
    changed = dataclasses.replace(
        record,
        definition=definition,
        readme=readme or None,
        needs=needs,
        sbom=write(folder, record.sbom.name, json.dumps(bill).encode()),
        build={**record.build, "run": "https://ci.example.org/runs/7"},
    )
    (folder / f"{record.fingerprint}{RECORD_SUFFIX}").write_text(changed.to_json(), encoding="utf-8")


def publish_everything(root: Path) -> Path:
    """Publish two versions to testing, promote the first to stable, with attacks wherever text goes."""
    repository = root / "repository"
    for arch in ("arm64", "x86_64"):
        one = root / "one" / arch
        add(
            one,
            "grub2",
            "2.06",
            arch=arch,
            category="system",
            description="Boot loader",
            license="GPL-3.0",
            uri=["https://gnu.example/grub"],
        )
        add(one, "tool", "1.0", arch=arch, requires=(("system", "grub2", ">=0"), ("hid", "den", ">=0")),
            needs=("grub2-system-2.06", "den-hid-1"), components={"openssl": "3.0.11", "zlib": "1.2", ATTACKS[0]: "1"},
            description=" ".join(ATTACKS), readme="# Read\n\n" + "\n\n".join(ATTACKS), license=ATTACKS[0],
            uri=["javascript:alert(1)", 'https://ok.example/"onmouseover=alert(1)'], labels={ATTACKS[1]: ATTACKS[2]})  # fmt: skip
        add(one, "den", "1", arch=arch, category="hid", hidden=True)
        two = root / "two" / arch
        add(
            two,
            "tool",
            "1.1+2",
            arch=arch,
            needs=("grub2-system-2.06",),
            components={"openssl": "3.0.13", "xz": "5.4"},
            description=" ".join(ATTACKS),
            readme="\n\n".join(ATTACKS),
            license=ATTACKS[0],
            uri=["javascript:alert(1)", 'https://ok.example/"onmouseover=alert(1)'],
            labels={ATTACKS[1]: ATTACKS[2]},
        )
        add(two, "gtk+", "3.24", arch=arch, category="libs", description="Widgets")
    folder = root / "project"
    (folder / "packages").mkdir(parents=True, exist_ok=True)
    (folder / "cosgen.yaml").write_text(
        "version: 1\nname: acme\ntrees: [packages]\narches: [x86_64, arm64]\n"
        "registry: {images: registry.example.org/acme/os}\n"
        f"repository: {{storage: {repository}, url: 'https://repo.example.org/r'}}\n"
        "channels:\n  testing: {on: {branch: main}}\n  stable: {on: {tag: 'v*'}, from: testing}\n"
        "upgrade: {package: system/grub2}\nsite: {title: Acme OS, url: 'https://docs.example.org'}\n",
        encoding="utf-8",
    )
    base = ("--project", folder)
    run("publish", root / "one" / "arm64", root / "one" / "x86_64", "--channel", "testing", *base)
    run("channel", "promote", "testing", "stable", *base)
    run(
        "publish",
        root / "two" / "arm64",
        root / "two" / "x86_64",
        "--channel",
        "testing",
        "--note",
        ATTACKS[0],
        *base,
    )
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    project = publish_everything(root)
    run("site", "build", "--project", project, "--output", root / "site")
    return root / "site"


class Reader(HTMLParser):
    """Collects tags, attributes and visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.ids: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids.update(value for name, value in attrs if name == "id" and value)

    def handle_data(self, data: str) -> None:
        self.text += data


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_channel_and_package_has_its_page(built: Path) -> None:
    for path in ("index.html", "c/stable/index.html", "c/testing/index.html", "packages/system/grub2.html",
                 "packages/libs/gtk_2b.html", "releases/index.html", "derive.html", "feed.xml", "badges/stable.svg"):  # fmt: skip
        assert (built / path).is_file(), path


def test_hidden_packages_are_nowhere(built: Path) -> None:
    assert not (built / "packages/hid").exists()
    assert "den" not in json.loads((built / "search-index.json").read_text())["names"]


def test_hostile_metadata_shows_as_text(built: Path) -> None:
    text = Reader((built / "packages/apps/tool.html").read_text()).text
    for attack in ATTACKS[:2]:
        assert attack in text
    for page in pages(built):
        reader = Reader(page.read_text())
        for tag, attributes in reader.tags:
            assert tag not in {"base", "iframe", "object", "embed", "style"}, page
            assert not any(name.startswith("on") for name in attributes), (page, tag, attributes)
            assert "style" not in attributes, (page, tag)
            if tag == "script":
                assert str(attributes.get("src")).endswith((".js",)), page
            for name in ("href", "src"):
                assert (
                    not str(attributes.get(name) or "").lower().startswith(("javascript:", "data:", "//"))
                ), page


def test_nothing_is_loaded_from_elsewhere(built: Path) -> None:
    for page in pages(built):
        for tag, attributes in Reader(page.read_text()).tags:
            if tag in {"script", "img", "link", "source", "video", "use"}:
                target = str(attributes.get("src") or attributes.get("href") or "")
                assert not urlsplit(target).scheme, (page, target)


def test_every_link_on_the_site_leads_somewhere(built: Path) -> None:
    ids = {page: Reader(page.read_text()).ids for page in pages(built)}
    missing = []
    for page in ids:
        if page.name == "404.html":
            continue
        here = "http://site/" + page.relative_to(built).as_posix()
        for _, attributes in Reader(page.read_text()).tags:
            for name in ("href", "src"):
                parts = urlsplit(urljoin(here, str(attributes.get(name) or "")))
                target = built / unquote(parts.path).lstrip("/")
                if parts.netloc == "site" and not target.is_file():
                    missing.append((here, attributes.get(name)))
                if parts.netloc == "site" and parts.fragment and parts.fragment not in ids.get(target, set()):
                    missing.append((here, attributes.get(name)))
    assert not missing


def test_every_snippet_is_what_the_client_file_code_writes(built: Path, tmp_path: Path) -> None:
    project = built.parent / "project"
    run("repo", "client", "stable", "--output", tmp_path, "--project", project)
    written = {path.read_text() for path in tmp_path.iterdir()}
    html = (built / "c/stable/index.html").read_text()
    shown = set(re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code></pre>", html, re.DOTALL))
    import html as codec

    shown = {codec.unescape(text) for text in shown}
    assert written <= shown
    for text in shown:
        if text.startswith("name:") or "\nrepositories:" in text:
            assert yaml.safe_load(text)


def test_the_api_keeps_its_schemas(built: Path) -> None:
    schemas = {
        path.name.split(".")[0]: json.loads(path.read_text()) for path in (built / "api/v1/schema").iterdir()
    }
    files = {"index": ["api/v1/index.json"], "search": ["search-index.json"]}
    files["channel"] = [p.relative_to(built).as_posix() for p in (built / "api/v1/c").iterdir()]
    files["package"] = [p.relative_to(built).as_posix() for p in (built / "api/v1/p").rglob("*.json")]
    files["diff"] = [p.relative_to(built).as_posix() for p in (built / "api/v1/diff").iterdir()]
    for name, paths in files.items():
        assert paths
        for path in paths:
            jsonschema.validate(json.loads((built / path).read_text()), schemas[name])


def test_the_feed_is_atom(built: Path) -> None:
    root = ET.fromstring((built / "feed.xml").read_text())
    name = "{http://www.w3.org/2005/Atom}"
    assert root.tag == f"{name}feed"
    entries = root.findall(f"{name}entry")
    assert len(entries) == 3
    assert len({entry.findtext(f"{name}id") for entry in entries}) == 3


def test_badges_are_well_formed(built: Path) -> None:
    ET.fromstring((built / "badges/stable.svg").read_text())


def test_a_rebuild_and_a_cold_build_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    project = built.parent / "project"
    copy = tmp_path / "site"
    shutil.copytree(built, copy)
    run("site", "build", "--project", project, "--output", copy)
    run("site", "build", "--project", project, "--output", tmp_path / "cold", "--clean")
    first = {p.relative_to(built).as_posix(): p.read_bytes() for p in built.rglob("*") if p.is_file()}
    for other in (copy, tmp_path / "cold"):
        assert {
            p.relative_to(other).as_posix(): p.read_bytes() for p in other.rglob("*") if p.is_file()
        } == first


def test_a_channel_that_cannot_be_read_fails_the_build_and_leaves_the_site(
    built: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "repository"
    shutil.copytree(built.parent / "repository", broken)
    shutil.rmtree(broken / "x" / "shard")
    before = sorted(p.name for p in built.rglob("*"))
    with pytest.raises(CosgenError, match="CG601"):
        run("site", "build", "--storage", broken, "--project", tmp_path, "--output", built)
    assert sorted(p.name for p in built.rglob("*")) == before


def test_a_folder_of_other_files_is_left_alone(built: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CosgenError, match="CG603"):
        run("site", "build", "--project", built.parent / "project", "--output", tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_own_pages_open_the_site_and_broken_links_in_them_stop_it(built: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("Welcome to **Acme**.\n")
    (docs / "install.md").write_text("# Install\n\nSee [the start](index.md).\n")
    project = built.parent / "project"
    run("site", "build", "--project", project, "--output", tmp_path / "site", "--docs", docs)
    assert "Welcome to <strong>Acme</strong>" in (tmp_path / "site/index.html").read_text()
    assert "<h1" in (tmp_path / "site/install.html").read_text()
    (docs / "install.md").write_text("[gone](nowhere.md)\n")
    with pytest.raises(CosgenError, match="CG604"):
        run("site", "build", "--project", project, "--output", tmp_path / "site", "--docs", docs)


def test_notes_tell_which_components_changed_in_which_packages(built: Path) -> None:
    text = " ".join(Reader((built / "releases/testing-2.html").read_text()).text.split())
    assert "deb/openssl 3.0.11 → 3.0.13 · apps/tool" in text
    assert "deb/xz 5.4 (new) · apps/tool" in text
    assert "deb/zlib 1.2 (gone) · apps/tool" in text
    assert "etc/motd" not in text
    (path,) = (built / "api/v1/diff").iterdir()
    told = json.loads(path.read_text())["components"]
    assert {"name": "deb/openssl", "before": "3.0.11", "after": "3.0.13", "packages": ["apps/tool"]} in told


def test_a_package_page_proves_its_builds(built: Path) -> None:
    html = (built / "packages/apps/tool.html").read_text()
    told = json.loads((built / "api/v1/p/apps/tool.json").read_text())["builds"][0]
    assert told["sbom_digest"] in html
    assert told["provenance_digest"] in html
    assert f'href="https://repo.example.org/{told["attestation"]}"' in html
    assert 'href="https://ci.example.org/runs/7"' in html
    assert "1.5 s" in html


def test_the_graph_is_of_what_was_built_on_what(built: Path) -> None:
    html = (built / "graph.html").read_text()
    assert "An arrow goes from a build to what is built on it." in html
    assert html.count('class="edge hot"') == 2  # grub2 to tool, in both variants; the hidden one is left out
    assert "3.0 s" in html


def test_nothing_of_the_build_machine_is_in_the_pages(built: Path) -> None:
    needle = os.fspath(built.parent).encode()
    assert not [p for p in built.rglob("*") if p.is_file() and needle in p.read_bytes()]


@pytest.mark.s3
def test_the_site_lies_beside_the_repository_in_a_bucket_with_its_types(
    built: Path, tmp_path: Path, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto_s3.environment().items():
        monkeypatch.setenv(name, value)
    url = f"s3://{moto_s3.new_bucket()}?endpoint={moto_s3.endpoint}&style=path"
    add(tmp_path / "one", "tool", "1.0")
    project = ("--project", tmp_path, "--storage", url)
    run("publish", tmp_path / "one", "--channel", "stable", *project)
    run("site", "build", "--output", tmp_path / "site", "--to", "storage", *project)
    store = open_store(url)
    stat = store.head("c/stable/index.html")
    assert stat is not None
    assert stat.headers is not None
    assert stat.headers.content_type == "text/html; charset=utf-8"
    assert "max-age=30" in stat.headers.cache_control
    assert store.head("r/stable-x86_64-repository.yaml") is not None
    run("publish", tmp_path / "one", "--channel", "testing", *project)
    run("repo", "fsck", *project)
    run("site", "build", "--output", tmp_path / "site", "--to", "storage", *project)
    assert store.head("c/testing/index.html") is not None


def test_the_site_goes_to_a_folder_of_its_own(built: Path, tmp_path: Path) -> None:
    project = built.parent / "project"
    run("site", "build", "--project", project, "--output", tmp_path / "site", "--to", tmp_path / "www")
    made = {p.relative_to(tmp_path / "site") for p in (tmp_path / "site").rglob("*") if p.is_file()}
    there = {p.relative_to(tmp_path / "www") for p in (tmp_path / "www").rglob("*") if p.is_file()}
    assert made - there == {Path(".nojekyll")}


def test_a_channel_tells_the_commit_that_its_newest_builds_are_of(tmp_path: Path) -> None:
    storage = ("--storage", tmp_path / "repository", "--project", tmp_path)
    for version, commit in (("1.0", "aaaaaaaaaaaa1111"), ("1.1", "bbbbbbbbbbbb2222")):
        make_artifact(tmp_path / version, "tool", version, revision=commit)
        run("publish", tmp_path / version, "--channel", "stable", *storage)
    run("site", "build", "--output", tmp_path / "site", *storage)
    told = json.loads((tmp_path / "site/api/v1/c/stable.json").read_text())
    assert told["revision"] == "bbbbbbbbbbbb2222"
    assert [move["revision"] for move in told["history"]] == ["bbbbbbbbbbbb2222", "aaaaaaaaaaaa1111"]


def test_a_machine_can_pin_the_image_that_the_channel_delivers(tmp_path: Path) -> None:
    digest = f"sha256:{'ab' * 32}"
    project = publish_everything(tmp_path)
    session = Session(store=FolderStore(tmp_path / "repository"))
    image = ImageNote(name="registry.example.org/acme/os", digest=digest)
    note_images(session, "stable", {"": image}, options=PublishOptions())
    run("site", "build", "--project", project, "--output", tmp_path / "site")
    stable = Reader((tmp_path / "site/c/stable/index.html").read_text()).text
    assert "Image by digest" in stable
    assert f"registry.example.org/acme/os@{digest}" in stable
    testing = Reader((tmp_path / "site/c/testing/index.html").read_text()).text
    assert "Image by digest" not in testing  # nothing was pushed for it
    assert "registry.example.org/acme/os:testing" in testing
