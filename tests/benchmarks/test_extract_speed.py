"""Extraction of a 100 MB delta from bases of 0.1, 0.5 and 1 GB, against reading both images whole.

luet reads both images with `docker save` and unpacks what is new. `make bench` prints the ratios for all three
bases; a test run takes the smallest only. Sizes in MiB may be given in COSGEN_BENCH_BASES.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.engines import DockerEngine

pytestmark = [pytest.mark.docker, pytest.mark.slow]

DELTA = 100  # MiB
FILE = 4  # MiB

WORKER = """
import json, sys, tarfile, time
from pathlib import Path
from cosgen.build.archive import Compression, write_archive
from cosgen.build.engine import connect
from cosgen.build.index import IndexStore, LowerView, index_layer
from cosgen.build.selection import Content, select
from cosgen.build.sources import LayerReader
import os
way, builder, package, cache = sys.argv[1:]
engine = connect(os.environ)
started = time.monotonic()
if way == "whole":  # as luet: both images saved, their layers unpacked in a stream, the new ones packed again
    import subprocess
    for image in (builder, package):
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as process:
            with tarfile.open(fileobj=process.stdout, mode="r|") as outer:
                for info in outer:
                    if info.name.endswith(".tar"):
                        with tarfile.open(fileobj=outer.extractfile(info), mode="r|") as inner:
                            for member in inner:
                                if member.isreg():
                                    file = inner.extractfile(member)
                                    while file.read(1 << 20):
                                        pass
else:
    reader = LayerReader(lambda: engine, lambda: None, ways=(way,))
    image = engine.find_image(package)
    beneath = len(engine.find_image(builder).diff_ids)
    layout = reader.local(package, image)
    assert layout.way == way, layout.way
    store = IndexStore(Path(cache))
    missing = store.missing(layout.diff_ids)
    above = layout.diff_ids[beneath:]
    with reader.open(layout, {*missing, *above}) as layers:
        for diff_id in missing:
            store.keep(diff_id, index_layer(layers[diff_id]))
        lower = LowerView([store.find(diff_id) for diff_id in layout.diff_ids[:beneath]])
        chosen = select([layers[diff_id] for diff_id in above], lower, Content())
        with open(cache + "/out.tar.zst", "wb") as out:
            write_archive(chosen.picked, out)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
print(json.dumps({"seconds": time.monotonic() - started, "mib": peak / 1024}))
"""


def import_data(engine: DockerEngine, busybox: str, tag: str, mebibytes: int) -> None:
    """Make an image of a shell and so much random data."""
    names = [f"d{number}" for number in range(mebibytes // FILE)]
    with tempfile.TemporaryFile() as context:
        with tarfile.open(fileobj=context, mode="w") as tar:
            text = f"FROM {busybox}\nCOPY data /{tag}\n".encode()
            info = tarfile.TarInfo("Dockerfile")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
            for name in names:
                info = tarfile.TarInfo(f"data/{name}")
                info.size = FILE << 20
                tar.addfile(info, io.BytesIO(os.urandom(info.size)))
        context.seek(0)
        engine.client().images.build(fileobj=context, custom_context=True, tag=f"bench:{tag}", rm=True)


def measure(engine: DockerEngine, way: str, tag: str, cache: Path) -> dict[str, float]:
    """Run one extraction in a process of its own."""
    words = [sys.executable, "-c", WORKER, way, f"bench:{tag}", f"bench:{tag}-delta", str(cache)]
    done = subprocess.run(
        words, env={**os.environ, **engine.environment()}, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_extraction_costs_the_delta_not_the_base(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    sizes = [int(text) for text in os.environ.get("COSGEN_BENCH_BASES", "100").split(",")]
    client = docker_engine.client()
    ratios, seconds = [], []
    for size in sizes:
        tag = f"base{size}"
        import_data(docker_engine, busybox_image, tag, size)
        import_delta(docker_engine, tag)
        cache = tmp_path / tag
        cache.mkdir()
        ours = measure(docker_engine, "overlay2", tag, cache)
        again = measure(docker_engine, "overlay2", tag, cache)
        saved = measure(docker_engine, "save", tag, cache)
        theirs = measure(docker_engine, "whole", tag, cache)
        ratios.append(ours["seconds"] / theirs["seconds"])
        seconds.append(ours["seconds"])
        print(
            f"\nbase {size} MiB, delta {DELTA} MiB: overlay2 {ours['seconds']:.2f} s ({ours['mib']:.0f} MiB), "
            f"indexed {again['seconds']:.2f} s, save {saved['seconds']:.2f} s ({saved['mib']:.0f} MiB), "
            f"both images whole {theirs['seconds']:.2f} s ({theirs['mib']:.0f} MiB); "
            f"ratio {ratios[-1]:.3f}, indexed {again['seconds'] / theirs['seconds']:.3f}"
        )
        for name in (f"bench:{tag}-delta", f"bench:{tag}"):
            client.images.remove(name, force=True)
        assert max(ours["mib"], saved["mib"]) < 150
    assert seconds[-1] < 2 * seconds[0] + 0.5


def import_delta(engine: DockerEngine, tag: str) -> None:
    """Put the delta on top of a base."""
    import_data(engine, f"bench:{tag}", f"{tag}-delta", DELTA)
