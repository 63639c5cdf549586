"""Many small objects to S3 at once, create-only: through obstore where it is, else threads of boto3.

obstore sends the requests from Rust and holds the interpreter lock for none of it, which is what makes two
thousand small objects take a quarter of the time that Python threads need.
See site/docs/adr/0009-bulk-upload.md.
"""

import asyncio
import concurrent.futures
import contextlib
import datetime as dt
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from cosgen.errors import Problem
from cosgen.storage.port import (
    CREATE,
    ConditionFailedError,
    Headers,
    Outcome,
    Payload,
    StoreError,
    UncertainError,
    Upload,
    check_key,
)

if TYPE_CHECKING:
    from cosgen.storage.s3 import S3Address

AT_ONCE = 32  # requests under way
SMALL = 8 << 20  # bytes; larger objects go through boto3, which streams them in parts
_IN_MEMORY = 64 << 20  # bytes of bodies under way, so that many middling objects do not fill the memory


class Bucket(Protocol):
    """What this module needs of an `S3Store`."""

    @property
    def address(self) -> "S3Address":
        """Where the bucket is."""

    @property
    def url(self) -> str:
        """How messages name it."""

    def put(self, key: str, payload: Payload, *, headers: Headers, condition: Any) -> str:  # noqa: ANN401
        """Write one object."""


def put_all(store: Any, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:  # noqa: ANN401
    """Create objects in parallel; yields each as it ends.

    Raises:
        StoreError: One of them is refused. What is under way then is waited for.
    """
    waiting = list(uploads)
    small = [upload for upload in waiting if upload.payload.size <= SMALL]
    large = [upload for upload in waiting if upload.payload.size > SMALL]
    client = _obstore_client(store) if len(small) > 1 else None
    if client is None:
        yield from _put_by_threads(store, waiting, AT_ONCE // 2)
        return
    yield from _put_by_obstore(store, client, small)
    yield from _put_by_threads(store, large, 4)


def _put_by_threads(store: Bucket, uploads: list[Upload], workers: int) -> Iterator[tuple[Upload, Outcome]]:
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(_put_one, store, upload): upload for upload in uploads}
        try:
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _put_one(store: Bucket, upload: Upload) -> Outcome:
    try:
        store.put(upload.key, upload.payload, headers=upload.headers, condition=CREATE)
    except ConditionFailedError:
        return Outcome.EXISTS
    except UncertainError:
        return Outcome.UNCERTAIN
    return Outcome.CREATED


def _obstore_client(store: Any) -> Any:  # noqa: ANN401  # obstore's store class
    try:
        from obstore.store import S3Store as ObstoreS3  # noqa: PLC0415  # optional, and slow to import
    except ImportError:
        return None
    address = store.address
    endpoint = address.endpoint or store.client.meta.endpoint_url
    path_style = "amazonaws.com" not in endpoint if address.path_style is None else address.path_style
    options: dict[str, Any] = {}
    if address.sse:
        options["aws_server_side_encryption"] = address.sse
    if address.kms_key:
        options["aws_sse_kms_key_id"] = address.kms_key
    if not path_style:
        scheme, _, host = endpoint.partition("://")
        endpoint = f"{scheme}://{address.bucket}.{host}"
    return ObstoreS3(
        address.bucket,
        prefix=address.prefix or None,
        endpoint=endpoint,
        region=store.client.meta.region_name,
        virtual_hosted_style_request=not path_style,
        checksum_algorithm="SHA256",
        credential_provider=_credentials_of(store),
        client_options={"allow_http": endpoint.startswith("http://"), "timeout": dt.timedelta(seconds=60)},
        retry_config={"max_retries": 0},
        **options,
    )


def _credentials_of(store: Any) -> Callable[[], Any]:  # noqa: ANN401  # as above
    def provide() -> Any:  # noqa: ANN401  # as above
        credentials = store.client._request_signer._credentials.get_frozen_credentials()  # noqa: SLF001  # the one way to share boto3's refreshed credentials
        # Ask boto3 again every five minutes.
        expires = dt.datetime.fromtimestamp(time.time() + 300, dt.UTC)
        return {
            "access_key_id": credentials.access_key,
            "secret_access_key": credentials.secret_key,
            "token": credentials.token,
            "expires_at": expires,
        }

    return provide


def _put_by_obstore(store: Bucket, client: Any, uploads: list[Upload]) -> Iterator[tuple[Upload, Outcome]]:  # noqa: ANN401
    ended: queue.SimpleQueue[tuple[Upload, Outcome | BaseException] | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            asyncio.run(_put_async(store, client, uploads, ended.put))
        finally:
            ended.put(None)

    thread = threading.Thread(target=work, name="bulk-upload", daemon=True)
    thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(thread.join)
        failure: BaseException | None = None
        while (item := ended.get()) is not None:
            upload, outcome = item
            if isinstance(outcome, BaseException):
                failure = failure or outcome
            else:
                yield upload, outcome
        if failure is not None:
            raise failure


async def _put_async(
    store: Bucket,
    client: Any,  # noqa: ANN401  # as above
    uploads: list[Upload],
    done: Callable[[Any], None],
) -> None:
    slots = asyncio.Semaphore(AT_ONCE)
    stopped = asyncio.Event()
    ahead = max(1, min(AT_ONCE, _IN_MEMORY // max((item.payload.size for item in uploads), default=1)))
    memory = asyncio.Semaphore(ahead)

    async def send(upload: Upload) -> None:
        async with slots, memory:
            if stopped.is_set():
                return
            try:
                outcome: Outcome | BaseException = await _send(store, client, upload)
            except StoreError as error:
                stopped.set()
                outcome = error
            done((upload, outcome))

    await asyncio.gather(*(send(upload) for upload in uploads))


async def _send(store: Bucket, client: Any, upload: Upload) -> Outcome:  # noqa: ANN401
    from obstore import exceptions, put_async  # noqa: PLC0415  # optional, and slow to import

    from cosgen.storage.memory import wrong_bytes  # noqa: PLC0415  # sibling
    from cosgen.storage.port import digest_of  # noqa: PLC0415  # sibling

    with upload.payload.open() as stream:
        data = stream.read()
    if digest_of(data) != upload.payload.digest:
        raise StoreError(wrong_bytes(store.url, upload.key))
    attributes = {"Content-Type": upload.headers.content_type}
    if upload.headers.cache_control:
        attributes["Cache-Control"] = upload.headers.cache_control
    try:
        await put_async(
            client, check_key(upload.key), data, attributes=attributes, mode="create", use_multipart=False
        )
    except exceptions.AlreadyExistsError:
        return Outcome.EXISTS
    except (
        exceptions.PermissionDeniedError,
        exceptions.UnauthenticatedError,
        exceptions.NotFoundError,
    ) as error:
        problem = Problem(
            what=f"{store.url}: {upload.key} is refused: {str(error).splitlines()[0]}",
            fix="create the bucket, and give these credentials the rights that `cosgen repo policy` prints",
            id="CG507",
        )
        raise StoreError(problem) from error
    except exceptions.BaseError:
        return Outcome.UNCERTAIN
    return Outcome.CREATED
