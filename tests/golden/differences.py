"""Where we answer otherwise than luet on purpose, each with its reason. One list, nothing else may differ."""

# (golden file stem, fingerprint, field) -> reason
TREE_DIFFERENCES = {
    (variant, "installer-utils-0.30.0", "spec"): (
        "luet follows `provides` of system/cos-wrapper and shows that package's spec for utils/installer; "
        "a package is built from its own build.yaml here"
    )
    for variant in ("cos-blue-x86_64", "cos-green-x86_64", "cos-orange-arm64", "cos-teal-x86_64")
}

# Whole trees luet cannot load because of one package; we load the rest and tell the problem.
LOAD_ERRORS_ARE_PROBLEMS = "luet gives up the whole tree at the first fault; we read on, and tell all faults"
VALUES_MEND_IT = (
    "luet reads a tree without its values files first, and gives up where only they mend a template"
)

# Problem id -> why luet has none, though every package agrees.
PROBLEMS_ONLY_HERE = {
    "CG007": "a definition and a collection in one directory: the definition's build sees no values",
    "CG040": "one package defined twice in one tree: the first counts as in luet, and we say so",
    "CG041": "a package without a name can never be asked for",
}

# Problem id -> why a package has it in which luet sees no fault: its rendering is not the same in every run.
REFUSED_HERE = {
    "CG012": "a template reads the environment, the network or chance, which no project allows unless it says so",
    "CG013": "a template reads the clock, and no time was given",
}
