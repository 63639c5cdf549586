"""Where our graphs differ from luet's on purpose, each with its reason. One list, nothing else may differ."""

# Problem id -> why luet has none: hashes are luet's all the same.
ERRORS_ONLY_HERE = {
    "CG403": "luet hashes what goes in a circle over `copy` and final images, and never ends when it builds it",
    "CG404": "luet hashes what needs a package that cannot be built; here it is told where it is needed",
    "CG405": "luet hashes a package without an image to start from, and refuses it when it is built",
    "CG413": "luet drops a copy without a version in silence",
}


def is_elsewhere(fingerprint: str, error: str) -> bool:
    """Tell whether luet's error is of another package.

    One unsatisfiable selector breaks every package of luet's tree; here it breaks what needs it.
    """
    _, found, owner = error.rpartition(", required by ")
    category, _, rest = owner.partition("/")
    name, _, version = rest.rpartition("-")
    return bool(found) and fingerprint != f"{name}-{category}-{version}"
