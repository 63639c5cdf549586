"""What planning compares a package with, from its published record."""

from cosgen.graph.plan_model import PublishedPackage
from cosgen.repository.record import PackageRecord


def published_package(record: PackageRecord) -> PublishedPackage:
    """Return what planning compares a package with."""
    return PublishedPackage(input_digest=record.input_digest, version=record.version, parts=record.inputs)
