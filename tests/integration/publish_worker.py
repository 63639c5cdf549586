"""A process that publishes: `python -m tests.integration.publish_worker URL NAME COUNT`; prints what was committed."""

import sys

from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.session import Session
from cosgen.storage.open import open_store
from tests.property.publish_world import package, request


def main(url: str, name: str, count: str) -> None:
    """Publish packages one by one to `testing`, and print name and commit of each when it is acknowledged."""
    session = Session(store=open_store(url))
    for number in range(int(count)):
        item = package(f"{name}-{number}", body="x" * 1000)
        report = publish(session, request("testing", item), PublishOptions())
        seq = report.commit.seq if report.commit else -1
        print(f"{item.record.fingerprint} {seq}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
