"""Stands in for actions/download-artifact: copies files from $COSGEN_TEST_ARTIFACTS."""

import fnmatch
import os
import shutil
from pathlib import Path

store = Path(os.environ["COSGEN_TEST_ARTIFACTS"])
name, pattern, target = os.environ["NAME"], os.environ["PATTERN"], Path(os.environ["TARGET"])
found = sorted(
    path for path in store.iterdir() if path.name == name or (pattern and fnmatch.fnmatch(path.name, pattern))
)
if name and not found:
    raise SystemExit(f"no artifact {name!r}")
target.mkdir(parents=True, exist_ok=True)
for path in found:
    flat = name or os.environ["MERGE"] == "true"
    shutil.copytree(path, target if flat else target / path.name, dirs_exist_ok=True)
