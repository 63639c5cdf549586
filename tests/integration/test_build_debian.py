"""A package on a real Debian: capabilities and attributes, a distribution's package, every way to the layers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines import DockerEngine
from tests.integration.building import cosgen, environment, members, record_of, write_tree

pytestmark = pytest.mark.docker

# A capability (cap_net_raw, effective) and an attribute, set as setcap and setfattr do, which the base lacks.
ATTRIBUTES = r"""
use Config; my $set = $Config{archname} =~ /x86_64/ ? 188 : 5;
sub put { my ($path, $name, $value) = @_;
  syscall($set, $path, $name, $value, length $value, 0) == 0 or die "$name: $!\n"; }
put("/usr/bin/capable", "security.capability", pack("V5", 0x02000001, 1 << 13, 0, 0, 0));
put("/usr/bin/capable", "user.note", "by us\xff");
"""
CONTROL = """Package: mini
Version: 1.0-1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: a small package
"""
STEPS = """image: {base}
steps:
- cp /bin/true /usr/bin/capable && chmod 2755 /usr/bin/capable && perl attributes.pl
- mkdir -p /tmp/mini/DEBIAN /tmp/mini/usr/share/mini && cp control /tmp/mini/DEBIAN/
- echo data > /tmp/mini/usr/share/mini/data && chown -R 5:6 /tmp/mini/usr/share/mini
- dpkg-deb --build /tmp/mini /tmp/mini.deb && dpkg --install /tmp/mini.deb && rm -r /tmp/mini /tmp/mini.deb
excludes:
- ^/var/(cache|log)/
"""
BY_SAVE = """
import sys
import cosgen.build.request as request
request.BuildRequest.__init__.__kwdefaults__["layer_ways"] = ("save",)
from cosgen.cli.main import main
main(sys.argv[1:])
"""


def test_capabilities_owners_and_a_debian_package_reach_the_artifact(
    docker_engine: DockerEngine, debian_image: str, tmp_path: Path
) -> None:
    files = {"packages/mini/attributes.pl": ATTRIBUTES.encode(), "packages/mini/control": CONTROL.encode()}
    tree = {"c/mini@1.0": STEPS.format(base=debian_image)}
    root = write_tree(tmp_path / "p", tree, files=files)
    env = environment(docker_engine, tmp_path / "cache")
    run = cosgen(root, env, "build", "--all", "--output", str(tmp_path / "o"))
    assert run.code == 0, run.err
    assert "UserWarning" not in run.err

    found = members(tmp_path / "o", "mini-c-1.0")
    capable, data = found["usr/bin/capable"], found["usr/share/mini/data"]
    assert capable.mode == 0o2755
    assert capable.pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape") == (
        b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)
    )
    assert not any("user.note" in key for key in capable.pax_headers)  # no engine puts it into layers
    assert (data.uid, data.gid) == (5, 6)
    record = record_of(tmp_path / "o", "mini-c-1.0")
    assert record.build["setuid"] == ["usr/bin/capable"]
    assert "var/lib/dpkg/status" in str(record.build["left_out_changed"])
    components = json.loads((tmp_path / "o" / record.sbom.name).read_text())["components"]
    purls = [item["purl"] for item in components if item["type"] == "library"]
    assert purls == ["pkg:deb/debian/mini@1.0-1?arch=all"]

    words = ["build", "--all", "--output", str(tmp_path / "save")]
    subprocess.run([sys.executable, "-c", BY_SAVE, *words], cwd=root, env={**os.environ, **env}, check=True)
    saved = record_of(tmp_path / "save", "mini-c-1.0")
    assert saved.build["layers_read_from"] == "save"
    assert saved.archive == record.archive
