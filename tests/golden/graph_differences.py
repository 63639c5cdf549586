"""Where our graphs differ from luet's on purpose, each with its reason. One list, nothing else may differ."""

# Problem id -> why luet has none: hashes are luet's all the same.
ERRORS_ONLY_HERE = {
    "CG405": "luet hashes a package without an image to start from, and refuses it when it is built",
}

# (case, fingerprint) -> why it is no error here
ERRORS_ONLY_IN_LUET = {
    ("rng1", f"a-t-{version}"): (
        "one unsatisfiable selector breaks every package of luet's tree; here it breaks what needs it"
    )
    for version in ("1.0", "2.0", "10.0")
}
