"""`repo policy`: what to configure beside the bucket, so that the server keeps the rules too.

Source: Amazon S3 user guide, "Enforce conditional writes", "Bucket policies"; CloudFront, response headers.
"""

from dataclasses import dataclass

from cosgen.errors import PublishError
from cosgen.repository import pool
from cosgen.repository.codec import Json
from cosgen.repository.rules import problem

_IMMUTABLE = ("r/*.package.tar*", "r/i/*", "r/s*-repository.yaml", "x/*", "a/*", "_log/0*")
_ABORT_DAYS = 2  # an upload in parts that is not complete by then never will be


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """Which bucket, and which part of it."""

    bucket: str
    prefix: str = ""  # no "/" at the end

    @classmethod
    def of(cls, url: str, bucket: str) -> "PolicyRequest":
        """Take bucket and prefix from a store's address, or the bucket as given.

        Raises:
            PublishError: Neither names a bucket.
        """
        if bucket:
            return cls(bucket)
        if not url.startswith("s3://"):
            raise PublishError(problem("CG542", f"{url} is no bucket"))
        name, _, prefix = url.removeprefix("s3://").partition("/")
        return cls(name, prefix.rstrip("/"))

    def arn(self, pattern: str) -> str:
        """Return the resource name of some keys."""
        path = f"{self.prefix}/{pattern}" if self.prefix else pattern
        return f"arn:aws:s3:::{self.bucket}/{path}"


def policy_documents(request: PolicyRequest) -> dict[str, Json]:
    """Return every document by kind: bucket, publisher, collector, cors, lifecycle, headers."""
    return {
        "bucket": _policy(_public_read(request), _public_list(request), _immutable(request)),
        "publisher": _policy(
            _allow("Publish", ["s3:GetObject", "s3:PutObject"], request.arn("*")),
            _may_list(request),  # else S3 answers 403 where a publish asks what is not there yet
        ),
        "collector": _policy(
            _allow("Collect", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], request.arn("*")),
            _may_list(request),
        ),
        "cors": {
            "CORSRules": [{"AllowedMethods": ["GET", "HEAD"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 3600}]
        },
        "lifecycle": {
            "Rules": [
                {
                    "ID": "abort-incomplete-uploads",
                    "Status": "Enabled",
                    "Filter": {"Prefix": f"{request.prefix}/" if request.prefix else ""},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABORT_DAYS},
                }
            ]
        },
        "headers": _headers(),
    }


def _policy(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(sid: str, actions: list[str], resource: str) -> Json:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def _may_list(request: PolicyRequest) -> Json:
    return _allow("List", ["s3:ListBucket"], f"arn:aws:s3:::{request.bucket}")


def _public_read(request: PolicyRequest) -> Json:
    return {
        "Sid": "PublicRead",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": request.arn("*"),
    }


def _public_list(request: PolicyRequest) -> Json:
    # Who may not list gets 403 for what is not there: an empty repository would look like a closed one.
    return {
        "Sid": "PublicList",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{request.bucket}",
    }


def _immutable(request: PolicyRequest) -> Json:
    # A part of an upload carries no condition: S3 asks for it on completion, so parts are exempt.
    return {
        "Sid": "ImmutableObjectsAreCreateOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": [request.arn(pattern) for pattern in _IMMUTABLE],
        "Condition": {
            "Null": {"s3:if-none-match": "true"},
            "Bool": {"s3:ObjectCreationOperation": "true"},
        },
    }


def _headers() -> Json:
    rules = [{"path": f"/{pattern}", "Cache-Control": pool.IMMUTABLE} for pattern in _IMMUTABLE]
    rules.append({"path": "/r/*repository.yaml", "Cache-Control": pool.VIEW})
    rules += [{"path": f"/{key}", "Cache-Control": pool.FRESH} for key in (pool.HEAD, "tuf/timestamp.json")]
    return {
        "order": "the first rule that fits counts",
        "rules": rules,
        "never": "Content-Encoding on *.tar.*: clients check the bytes as they are stored",
        "error_caching_seconds": 5,
    }
