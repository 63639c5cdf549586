"""Claims and heartbeats of workers, as tiny manifests in the cache registry.

A registry has no compare-and-swap, so a claim is a hint: two workers may build the same package, and the
same inputs make the same artifact. Clocks are not compared: a claim is alive while it keeps changing.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cosgen.build.document import EMPTY_TYPE, MANIFEST_TYPE, read_document
from cosgen.build.reference import ImageName
from cosgen.build.registry import Manifest, Registry
from cosgen.errors import VerificationError

CLAIM_TYPE = "application/vnd.cosgen.claim.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who works on an input digest, or that it failed."""

    worker: str
    wave: int
    state: str  # "running" or "failed"
    beat: int = 0  # grows while the worker lives


def claim_tag(input_digest: str) -> str:
    """Return the tag of a claim."""
    return f"claim-{input_digest.removeprefix('sha256:')}"


def write_claim(registry: Registry, name: ImageName, input_digest: str, claim: Claim) -> None:
    """Put a claim in place of the one before."""
    config = registry.put_blob(name, b"{}")
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": CLAIM_TYPE,
        "config": {"mediaType": EMPTY_TYPE, "digest": config, "size": 2},
        "layers": [{"mediaType": EMPTY_TYPE, "digest": config, "size": 2}],
        "annotations": {
            "org.cosgen.worker": claim.worker,
            "org.cosgen.wave": str(claim.wave),
            "org.cosgen.state": claim.state,
            "org.cosgen.beat": str(claim.beat),
        },
    }
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
    registry.put_manifest(name, claim_tag(input_digest), Manifest(data, MANIFEST_TYPE))


def find_claim(registry: Registry, name: ImageName, input_digest: str) -> Claim | None:
    """Return the claim on an input digest, or None when there is none that can be read."""
    manifest = registry.find_manifest(name, claim_tag(input_digest))
    if manifest is None:
        return None
    try:
        notes: Any = read_document(manifest.data, "a claim")["annotations"]
        return Claim(
            worker=notes["org.cosgen.worker"],
            wave=int(notes["org.cosgen.wave"]),
            state=notes["org.cosgen.state"],
            beat=int(notes["org.cosgen.beat"]),
        )
    except (ValueError, KeyError, TypeError, VerificationError):
        return None


@dataclass(slots=True)
class Watch:
    """Remembers when each claim last changed, as seen from here."""

    clock: Callable[[], float] = time.monotonic
    seen: dict[str, tuple[Claim | None, float]] = field(default_factory=dict)

    def quiet_seconds(self, input_digest: str, claim: Claim | None) -> float:
        """Note a claim just read, and return for how long it has not changed."""
        now = self.clock()
        before = self.seen.get(input_digest)
        if before is None or before[0] != claim:
            self.seen[input_digest] = (claim, now)
            return 0.0
        return now - before[1]
