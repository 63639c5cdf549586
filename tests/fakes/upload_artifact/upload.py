"""Stands in for actions/upload-artifact: copies files to $COSGEN_TEST_ARTIFACTS/<name>."""

import os
import shutil
from pathlib import Path

target = Path(os.environ["COSGEN_TEST_ARTIFACTS"]) / os.environ["NAME"]
shutil.rmtree(target, ignore_errors=True)
target.mkdir(parents=True)
for line in os.environ["FILES"].split():
    source = Path(line)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_file():
        shutil.copy2(source, target)
