"""S3 servers on loopback for the tests: SeaweedFS (closest to S3), moto (quickest), rclone (a class C store).

What each does and does not honor decides which test runs on which: SeaweedFS checks signatures and checksums,
honors conditional writes and anonymous reads; moto honors conditional writes only; rclone honors none of them.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines import MissingEngine, answers, find_program, free_port, running, scratch_folder


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 server on loopback."""

    name: str
    endpoint: str
    access_key: str = "AKID"
    secret_key: str = "SECRETKEY"
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """Return the variables by which AWS clients find this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, **config: Any) -> Any:
        """Return a boto3 client; keyword arguments go to botocore's Config."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, **config),
        )

    def new_bucket(self) -> str:
        """Create an empty bucket of a fresh name and return the name."""
        name = f"cosgen-{os.urandom(6).hex()}"
        self.client().create_bucket(Bucket=name)
        return name


SEAWEED_IDENTITIES = (
    '{"identities":[{"name":"anonymous","actions":["Read"]},{"name":"ci","credentials":'
    '[{"accessKey":"AKID","secretKey":"SECRETKEY"}],"actions":["Admin","Read","Write","List","Tagging"]}]}'
)
SEAWEED_PORTS = ("master", "volume", "filer", "s3")  # each has an HTTP and a gRPC port


@contextlib.contextmanager
def start_seaweedfs() -> Iterator[S3Server]:
    """Start SeaweedFS: conditional writes, checksums, signatures, anonymous reads, all as on S3.

    It listens on eight ports; when somebody took one of them meanwhile it gives up, and is started again.
    """
    with contextlib.ExitStack() as stack:
        yield _enter_seaweedfs(stack, tries=3)


def _enter_seaweedfs(stack: contextlib.ExitStack, tries: int) -> S3Server:
    for _ in range(tries - 1):
        with contextlib.suppress(MissingEngine):
            return stack.enter_context(_seaweedfs())
    return stack.enter_context(_seaweedfs())


@contextlib.contextmanager
def _seaweedfs() -> Iterator[S3Server]:
    program = find_program("weed")
    with scratch_folder() as scratch:
        (scratch / "identities.json").write_text(SEAWEED_IDENTITIES)
        ports = {name: (free_port(), free_port()) for name in SEAWEED_PORTS}
        arguments = [
            *(program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={scratch}", "-filer", "-s3"),
            *("-master.volumeSizeLimitMB=64", "-volume.max=0", "-master.telemetry=false"),
            *(f"-s3.config={scratch}/identities.json", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-{name}.port={http}" for name, (http, _) in ports.items()),
            *(f"-{name}.port.grpc={grpc}" for name, (_, grpc) in ports.items()),
        ]
        server = S3Server("seaweedfs", f"http://127.0.0.1:{ports['s3'][0]}")
        with running(
            arguments,
            log=scratch / "log",
            is_ready=lambda: _takes_objects(server),
            environment={"TMPDIR": str(scratch)},
            patience=0,
        ):
            yield server


def _takes_objects(server: S3Server) -> bool:
    """Tell whether an object can be written: the first volume is made some time after the port opens."""
    from botocore.exceptions import BotoCoreError, ClientError

    if not answers(server.endpoint):
        return False
    client = server.client(connect_timeout=2, read_timeout=5, retries={"max_attempts": 0})
    try:
        client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        client.delete_object(Bucket="ready", Key="ready")
        client.delete_bucket(Bucket="ready")
    except (BotoCoreError, ClientError):
        return False
    return True


@contextlib.contextmanager
def start_moto() -> Iterator[S3Server]:
    """Start moto in this process: conditional writes as on S3, but no signatures and no checksums."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        raise MissingEngine("moto[server] is not installed") from error
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server("moto", f"http://{host}:{port}")
    finally:
        server.stop()


@contextlib.contextmanager
def start_rclone(folder: Path | None = None) -> Iterator[S3Server]:
    """Start rclone's S3 server over a folder: it takes conditional headers and does not honor them."""
    program = find_program("rclone")
    with scratch_folder() as scratch:
        served = folder or scratch / "objects"
        served.mkdir(parents=True, exist_ok=True)
        port = free_port()
        server = S3Server("rclone", f"http://127.0.0.1:{port}")
        arguments = [
            *(program, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off"),
            *("--auth-key", f"{server.access_key},{server.secret_key}", str(served)),
        ]
        environment = {"RCLONE_CONFIG": "/dev/null"}
        with running(
            arguments,
            log=scratch / "log",
            is_ready=lambda: answers(server.endpoint),
            environment=environment,
        ):
            yield server
