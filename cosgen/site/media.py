"""Content types by suffix: what a web server says of each file of a site or a repository. Pure."""

import posixpath

_DEFAULT = "application/octet-stream"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".xml": "application/atom+xml; charset=utf-8",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".tar": "application/x-tar",
    ".gz": "application/gzip",
    ".zst": "application/zstd",
}


def content_type(path: str) -> str:
    """Return the content type of a file, by its last suffix only: tarballs are not marked as encoded.

    >>> content_type("c/stable/index.html"), content_type("a.tar.gz")
    ('text/html; charset=utf-8', 'application/gzip')
    """
    return _TYPES.get(posixpath.splitext(path)[1].lower(), _DEFAULT)
