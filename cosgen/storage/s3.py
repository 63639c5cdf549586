"""A store in an S3 bucket, of Amazon or of anybody who speaks its protocol.

Without credentials it is read as anybody may read it, which is how jobs plan and show that hold no secret.

boto3 does the single requests, each once: its own retries are off, since a repeated conditional write
answers "exists" for what its first attempt wrote. Bulk uploads go through `bulk.py`. Every body is sent
with its SHA-256, which the server checks where it can; ETags are opaque versions, never taken for content.

Source: Amazon S3 API reference (PutObject, CompleteMultipartUpload, ListObjectsV2), "Checking object
integrity".
"""

import base64
import binascii
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cosgen.errors import Problem
from cosgen.storage import bulk
from cosgen.storage.memory import condition_failed, wrong_bytes
from cosgen.storage.port import (
    ALWAYS,
    PLAIN,
    Blob,
    Condition,
    ConditionFailedError,
    Headers,
    Outcome,
    Payload,
    Stat,
    StoreError,
    UncertainError,
    Upload,
    check_key,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client  # type: ignore[import-not-found,unused-ignore]  # only with boto3-stubs[s3]

MULTIPART_FROM = 64 << 20  # bytes; smaller objects go in one request
_PART = 16 << 20  # bytes; 10,000 parts make 156 GiB
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_PARTS = 10_000  # of one upload at most
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_TIMEOUTS = {"connect": 10, "read": 60}  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """Where a bucket is and how it is spoken to; whatever is not given comes from AWS's own configuration."""

    bucket: str
    prefix: str = ""  # no "/" at either end
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    path_style: bool | None = None  # None: path style for endpoints that are not Amazon's
    sse: str | None = None  # "AES256", "aws:kms"
    kms_key: str | None = None


@dataclass(frozen=True, slots=True)
class S3Store:
    """Objects in a bucket. Threads may share it."""

    address: S3Address
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def url(self) -> str:
        """The bucket's address as users write it."""
        return f"s3://{self.address.bucket}/{self.address.prefix}".rstrip("/")

    @property
    def client(self) -> "S3Client":
        """The boto3 client, made when it is first needed: importing boto3 takes a while."""
        if "client" not in self._cache:
            self._cache["client"] = _make_client(self._session, self.address, signed=not self._is_anonymous)
        client: S3Client = self._cache["client"]
        return client

    @property
    def _is_anonymous(self) -> bool:
        if "anonymous" not in self._cache:
            with _refusals(self.url, "session", conditional=False):
                self._cache["anonymous"] = self._session.get_credentials() is None
        return bool(self._cache["anonymous"])

    @property
    def _session(self) -> Any:  # noqa: ANN401  # boto3's session class is made at run time
        if "session" not in self._cache:
            import boto3  # noqa: PLC0415  # slow to import

            with _refusals(self.url, "session", conditional=False):
                self._cache["session"] = boto3.session.Session(
                    profile_name=self.address.profile, region_name=self.address.region
                )
        return self._cache["session"]

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        """Read an object or a span of it."""
        if length == 0:
            stat = self.head(key)
            return Blob(stat, b"") if stat else None
        span: dict[str, Any] = {}
        if start or length is not None:
            end = "" if length is None else start + length - 1
            span = {"Range": f"bytes={start}-{end}"}
        with _refusals(self.url, key, conditional=False):
            answer = self._find(lambda: self.client.get_object(**self._at(key), **span))
            if answer is None:
                return None
            data = answer["Body"].read()
            return Blob(_stat(key, answer), data)

    def head(self, key: str) -> Stat | None:
        """Return what is known of an object, with its checksum when the server kept one."""
        with _refusals(self.url, key, conditional=False):
            answer = self._find(lambda: self.client.head_object(**self._at(key), ChecksumMode="ENABLED"))
            return _stat(key, answer) if answer else None

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        """Write an object; large ones in parts, with the condition on their completion."""
        self._need_credentials()
        if payload.size > MULTIPART_FROM:
            return self._put_parts(key, payload, headers, condition)
        with payload.open() as body, _refusals(self.url, key, conditional=condition != ALWAYS):
            answer = self.client.put_object(
                **self._at(key),
                **self._describe(headers),
                **_conditions(condition),
                Body=body.read(),
                ContentLength=payload.size,
                ChecksumSHA256=_checksum(payload.digest),
            )
        return str(answer["ETag"])

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        """Create many objects, tens at a time."""
        self._need_credentials()
        yield from bulk.put_all(self, list(uploads))

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield objects by key, a thousand a request."""
        root = self._key("")
        query: dict[str, Any] = {"Bucket": self.address.bucket, "Prefix": root + prefix}
        if after:
            query["StartAfter"] = root + after
        while True:
            with _refusals(self.url, prefix, conditional=False):
                page = self.client.list_objects_v2(**query)
            for found in page.get("Contents", ()):
                yield Stat(
                    key=found["Key"].removeprefix(root),
                    size=found["Size"],
                    etag=found["ETag"],
                    modified=found["LastModified"].timestamp(),
                )
            if not page.get("IsTruncated"):
                return
            query["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._need_credentials()
        with _refusals(self.url, key, conditional=False):
            self.client.delete_object(**self._at(key))

    def _find(self, request: Callable[[], Any]) -> Any:  # noqa: ANN401  # botocore answers in mappings
        """Return the answer to a request, or None when there is no such object.

        S3 answers 403 for what is not there to who may not list, so to anybody it means that once something
        could be read; before that it means that nothing may be.
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415  # slow to import

        try:
            answer = request()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            forbidden = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 403
            if code in _ABSENT or (forbidden and self._is_anonymous and "answered" in self._cache):
                return None
            raise
        self._cache["answered"] = True
        return answer

    def _need_credentials(self) -> None:
        if self._is_anonymous:
            raise StoreError(_misconfigured(self.url, "no credentials to write with"))

    def _key(self, key: str) -> str:
        return f"{self.address.prefix}/{key}" if self.address.prefix else key

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.address.bucket, "Key": self._key(check_key(key))}

    def _describe(self, headers: Headers) -> dict[str, Any]:
        described: dict[str, Any] = {"ContentType": headers.content_type}
        if headers.cache_control:
            described["CacheControl"] = headers.cache_control
        if self.address.sse:
            described["ServerSideEncryption"] = self.address.sse
        if self.address.kms_key:
            described["SSEKMSKeyId"] = self.address.kms_key
        return described

    def _put_parts(self, key: str, payload: Payload, headers: Headers, condition: Condition) -> str:
        with _refusals(self.url, key, conditional=condition != ALWAYS):
            begun = self.client.create_multipart_upload(
                **self._at(key), **self._describe(headers), ChecksumAlgorithm="SHA256"
            )
            upload = {**self._at(key), "UploadId": begun["UploadId"]}
            try:
                parts = list(self._send_parts(upload, payload))
                answer = self.client.complete_multipart_upload(
                    **upload, **_conditions(condition), MultipartUpload={"Parts": parts}
                )
            except BaseException:
                # What is left when even this fails, the bucket's lifecycle rule removes (`cosgen repo
                # policy`).
                with contextlib.suppress(Exception):
                    self.client.abort_multipart_upload(**upload)
                raise
        return str(answer["ETag"])

    def _send_parts(self, upload: Mapping[str, Any], payload: Payload) -> Iterator[Any]:
        import hashlib  # noqa: PLC0415  # only here

        size = max(_PART, -(-payload.size // _PARTS))
        whole = hashlib.sha256()
        with payload.open() as body:
            for number, part in enumerate(iter(functools.partial(body.read, size), b""), start=1):
                whole.update(part)
                digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
                sent = self.client.upload_part(**upload, PartNumber=number, Body=part, ChecksumSHA256=digest)
                yield {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": digest}
        if f"sha256:{whole.hexdigest()}" != payload.digest:
            raise StoreError(wrong_bytes(self.url, upload["Key"]))


def _make_client(session: Any, address: S3Address, *, signed: bool) -> Any:  # noqa: ANN401  # as the session
    from botocore import UNSIGNED  # noqa: PLC0415  # slow to import
    from botocore.config import Config  # noqa: PLC0415  # slow to import

    path_style = address.path_style
    if path_style is None:
        path_style = address.endpoint is not None and "amazonaws.com" not in address.endpoint
    config = Config(
        signature_version=None if signed else UNSIGNED,
        s3={"addressing_style": "path" if path_style else "auto"},
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=64,
        connect_timeout=_TIMEOUTS["connect"],
        read_timeout=_TIMEOUTS["read"],
        # Checksums are ours (SHA-256 of the recorded digest); servers other than Amazon's choke on the
        # default ones.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = address.region or session.region_name or "us-east-1"
    return session.client("s3", endpoint_url=address.endpoint, region_name=region, config=config)


def _conditions(condition: Condition) -> dict[str, Any]:
    if condition.create:
        return {"IfNoneMatch": "*"}
    return {} if condition.match is None else {"IfMatch": condition.match}


def _checksum(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode()


def _digest(checksum: str | None) -> str | None:
    if checksum is None:
        return None
    try:
        raw = base64.b64decode(checksum, validate=True)
    except binascii.Error:
        return None  # of an object sent in parts: a checksum of checksums
    return f"sha256:{raw.hex()}" if len(raw) == 32 else None


def _stat(key: str, answer: Mapping[str, Any]) -> Stat:
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    whole = answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "ContentRange" not in answer
    served = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return Stat(
        key=key,
        size=int(total) if total.isdigit() else int(answer["ContentLength"]),
        etag=str(answer.get("ETag", "")),
        modified=answer["LastModified"].timestamp(),
        digest=_digest(answer.get("ChecksumSHA256")) if whole else None,
        headers=Headers(str(answer.get("ContentType", "")), str(answer.get("CacheControl", ""))),
        served_at=_http_seconds(served),
    )


def _http_seconds(text: str | None) -> float | None:
    import email.utils  # noqa: PLC0415  # only here

    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None


@contextlib.contextmanager
def _refusals(url: str, key: str, *, conditional: bool) -> Iterator[None]:
    from botocore import exceptions  # noqa: PLC0415  # slow to import

    try:
        yield
    except exceptions.ClientError as error:
        raise translate(url, key, error.response, conditional=conditional) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise UncertainError(unreachable(url, key, str(error))) from error
    except exceptions.BotoCoreError as error:
        raise StoreError(_misconfigured(url, str(error))) from error


def translate(url: str, key: str, answer: Mapping[str, Any], *, conditional: bool) -> StoreError:
    """Return the error that an S3 error answer means."""
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    error = answer.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    if status == 412 or (conditional and status == 404 and code == "NoSuchKey"):
        return ConditionFailedError(condition_failed(url, key))
    if status in _PASSING or code in {"SlowDown", "RequestTimeout", "InternalError", "OperationAborted"}:
        return UncertainError(unreachable(url, key, f"{status} {code} {message}".strip()))
    if code in {"BadDigest", "XAmzContentChecksumMismatch", "InvalidDigest"}:
        return StoreError(wrong_bytes(url, key))
    return StoreError(_refused(url, key, status, f"{code} {message}".strip()))


def unreachable(url: str, key: str, why: str) -> Problem:
    """Say that a store does not answer, again and again."""
    return Problem(
        what=f"{url}: no answer for {key}: {why}",
        fix="check endpoint and network, then run the command again: it goes on where it was",
        id="CG506",
    )


def _refused(url: str, key: str, status: int, why: str) -> Problem:
    fixes = {
        403: "give the rights that `cosgen repo policy` prints to these credentials, or to anybody",
        404: "create the bucket, or correct its name",
        301: "set the bucket's region: s3://bucket/prefix?region=…",
    }
    fix = fixes.get(status, "see what the server says; `cosgen repo doctor` tries each request it must know")
    return Problem(what=f"{url}: {key or 'the bucket'} is refused: {status} {why}", fix=fix, id="CG507")


def _misconfigured(url: str, why: str) -> Problem:
    return Problem(
        what=f"{url} cannot be opened: {why}",
        fix="set credentials and region as for the AWS command line (AWS_PROFILE, AWS_REGION, …)",
        id="CG508",
    )
