"""Values as people read them, and paths as static hosts serve them. Pure."""

import datetime as dt
import re
from html import escape
from urllib.parse import urlsplit

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
_LONGEST, _CUT = 110, 100  # characters of a path segment; two of them stand in one file's name
_SAFE_SCHEMES = frozenset({"http", "https", "mailto", "ftp", "git"})
_HIDDEN = r"\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff"
_CONTROL = re.compile(rf"[\x00-\x1f{_HIDDEN}]")
_INVISIBLE = re.compile(rf"[\x00-\x08\x0b-\x1f{_HIDDEN}]")


def slug(text: str) -> str:
    """Return `text` as one path segment that every static host and object store serves, one to one.

    Letters, digits, `.` and `-` stay; `_` is doubled, all else becomes `_` and hex per UTF-8 byte (`+` too:
    S3 reads it as a space), and so does a leading `.` or `-`, which makes `.` and `..` harmless. What is too
    long for a file's name is cut, and ends in `_-` and a hash.

    >>> slug("gtk+"), slug("x86_64"), slug(".."), slug("a/b")
    ('gtk_2b', 'x86__64', '_2e.', 'a_2fb')
    """
    out = "".join(map(_escaped, text)) or "_"
    if out.startswith((".", "-")):
        out = f"_{ord(out[0]):02x}{out[1:]}"
    return out if len(out) <= _LONGEST else f"{out[:_CUT]}_-{_hash(out):08x}"


def _hash(text: str) -> int:
    """Return FNV-1a over ASCII, 32 bits: the search page's script does the same."""
    value = 0x811C9DC5
    for byte in text.encode("ascii"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def _escaped(char: str) -> str:
    if char in _PLAIN:
        return char
    return "__" if char == "_" else "".join(f"_{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))


def package_path(category: str, name: str) -> str:
    """Path of a package's page from the site's root; `index.html` beside it is the category's own.

    >>> package_path("libs", "gtk+"), package_path("web", "index")
    ('packages/libs/gtk_2b.html', 'packages/web/_69ndex.html')
    """
    return f"packages/{slug(category)}/{'_69ndex' if name == 'index' else slug(name)}.html"


def category_path(category: str, page: int = 1) -> str:
    """Path of a category's listing; the first page has no number. No package's page is called so."""
    return f"packages/{slug(category)}/index{'' if page == 1 else f'_-{page}'}.html"


def channel_path(name: str) -> str:
    """Path of a channel's page."""
    return f"c/{slug(name)}/index.html"


def badge_path(channel: str) -> str:
    """Path of a channel's badge."""
    return f"badges/{slug(channel)}.svg"


def release_path(channel: str, seq: int) -> str:
    """Path of the notes of one move."""
    return f"releases/{slug(channel)}-{seq}.html"


def diff_path(before: str, after: str) -> str:
    """Path of the difference of two snapshots in the JSON API."""
    names = [slug(digest.removeprefix("sha256:")) for digest in (before, after)]
    return f"api/v1/diff/{'..'.join(names)}.json"


def size(count: int) -> str:
    """Return a size in bytes with a binary unit.

    >>> size(999), size(1536), size(5 * 1024**3)
    ('999 B', '1.5 KiB', '5.0 GiB')
    """
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def signed_size(count: int) -> str:
    """Return a difference of sizes with its sign; a true minus, so that it reads well.

    >>> signed_size(-1536), signed_size(0)
    ('−1.5 KiB', '±0 B')
    """
    sign = "+" if count > 0 else "−" if count < 0 else "±"
    return f"{sign}{size(abs(count))}"


def duration(seconds: float) -> str:
    """Return a duration with two units at most.

    >>> duration(7.26), duration(75), duration(7500), duration(200000)
    ('7.3 s', '1 min 15 s', '2 h 5 min', '2 d 7 h')
    >>> duration(120), duration(21 * 86400)
    ('2 min', '21 d')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        parts = (whole // 60, "min"), (whole % 60, "s")
    elif whole < 86400:
        parts = (whole // 3600, "h"), (whole % 3600 // 60, "min")
    else:
        parts = (whole // 86400, "d"), (whole % 86400 // 3600, "h")
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def iso_time(seconds: int) -> str:
    """Return RFC 3339 in UTC.

    >>> iso_time(0)
    '1970-01-01T00:00:00Z'
    """
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_time(seconds: int) -> str:
    """Return the time as people read it, to the minute.

    >>> day_time(0)
    '1970-01-01 00:00 UTC'
    """
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def short(identifier: str) -> str:
    """Return the first 12 characters of a digest or commit, without its `sha256:`."""
    return identifier.removeprefix("sha256:")[:12]


def printable(text: str) -> str:
    """Return `text` on one line without control and direction characters, which could disguise it."""
    return _CONTROL.sub(" ", text).strip()


def visible(text: str) -> str:
    """Return `text` with its lines and tabs, and a mark for each character that nobody would see."""
    return text if text.isprintable() else _INVISIBLE.sub("\ufffd", text)


def escape_line(text: str) -> str:
    """Return `text` on one line as it stands in markup, for pictures and feeds."""
    return escape(printable(text))


def safe_url(text: str) -> str:
    """Return `text` when a page may link to it, else "" (it is then shown as text).

    >>> safe_url("https://example.org/a"), safe_url("javascript:alert(1)"), safe_url("//evil.example")
    ('https://example.org/a', '', '')
    """
    if _CONTROL.search(text) or " " in text or "\\" in text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    if parts.scheme.lower() not in _SAFE_SCHEMES:
        return ""
    return text if parts.netloc or parts.scheme.lower() == "mailto" else ""


def plural(count: int, one: str, many: str = "") -> str:
    """Return the count with its noun.

    >>> plural(1, "package"), plural(2, "package"), plural(0, "entry", "entries")
    ('1 package', '2 packages', '0 entries')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", "\u202f")
