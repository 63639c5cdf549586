"""The problem ids of this room, CG001 to CG099; the reference of ids in the docs is made from this table."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Rule

_TABLE = (
    (
        "CG001",
        "a file or folder is missing or cannot be read",
        "What it should hold is not known.",
        "Create it, make it readable, or correct the setting that names it.",
    ),
    (
        "CG002",
        "not valid YAML",
        "Nothing of the file can be read. Nesting and aliases are bounded, too.",
        "Mend the YAML at the place told.",
    ),
    (
        "CG003",
        "a value of the wrong kind in a definition, a collection or a values file",
        "luet refuses the whole tree.",
        "Write the kind asked for; quote versions that look like numbers.",
    ),
    (
        "CG004",
        "a value of the wrong kind in a build spec",
        "luet cannot build the package.",
        "Write the kind asked for; a step with `: ` in it needs quotes.",
    ),
    (
        "CG005",
        "a values file does not exist",
        "The variant has no values.",
        "Create it, or correct values, flavors or arches.",
    ),
    (
        "CG006",
        "a collection without build.yaml",
        "Its packages load, and none can be built.",
        "Add a build.yaml; it may be empty.",
    ),
    (
        "CG007",
        "a definition and a collection in one directory",
        "The definition's build.yaml sees no values of the package.",
        "Give each a directory of its own.",
    ),
    ("CG008", "a file is not UTF-8 text", "Its meaning would depend on the reader.", "Save it as UTF-8."),
    (
        "CG009",
        "a file cannot be part of a build context",
        "Broken links, links to folders or out of the project, devices and odd names cannot be hashed.",
        "Replace it by plain files.",
    ),
    ("CG010", "a template cannot be parsed", "The package cannot be rendered.", "Mend the template."),
    (
        "CG011",
        "a template fails",
        "The package cannot be rendered with these values.",
        "Mend the expression, or guard it with `if`.",
    ),
    (
        "CG012",
        "a template calls an unsafe function",
        "Environment, network and chance make every build different.",
        "Take the value from a values file, or allow the function in templates.allow_functions.",
    ),
    (
        "CG013",
        "a template asks for the time",
        "It differs in every run, and so would every hash.",
        "Set SOURCE_DATE_EPOCH, or take the date from a values file.",
    ),
    (
        "CG014",
        "a template does too much",
        "A loop or a recursion would not end, or would fill the memory.",
        "Look for a loop, or a template that includes itself.",
    ),
    ("CG020", "a setting of the wrong kind", "cosgen.yaml is strict.", "Write the kind asked for."),
    (
        "CG021",
        "an unknown key in cosgen.yaml",
        "A slip of the pen would silently do nothing.",
        "Write the key that is suggested, or remove it.",
    ),
    ("CG022", "a required setting is missing", "The rest cannot be understood without it.", "Add it."),
    (
        "CG023",
        "a setting has a value that is not allowed",
        "Only the words and forms of the reference have a meaning.",
        "Choose one of those told.",
    ),
    (
        "CG024",
        "cosgen.yaml is of another version",
        "Its keys may mean something else.",
        "Use a newer cosgen, or write version 1.",
    ),
    (
        "CG025",
        "a path leads out of the project",
        "It would not be there in CI, and could be anything.",
        "Use a path inside the project.",
    ),
    (
        "CG026",
        "settings do not fit each other",
        "One names a flavor, channel, job or runner that does not exist, or they go in a circle.",
        "Correct the name.",
    ),
    (
        "CG030",
        "the OS manifest has an unexpected form",
        "What is in the system is not known.",
        "Write lists of packages.",
    ),
    (
        "CG031",
        "`extends` of the OS manifest cannot be followed",
        "Its base is missing or extends it.",
        "Correct the path.",
    ),
    (
        "CG032",
        "the OS manifest removes what is not there",
        "The base has changed, or it is a slip.",
        "Remove the line.",
    ),
    (
        "CG040",
        "a package is defined twice",
        "Which one counts depends on the order of reading.",
        "Remove one, or mark the one of the later tree `override: true`.",
    ),
    (
        "CG041",
        "a package has no name, category or version",
        "It cannot be asked for.",
        "Complete the definition.",
    ),
    (
        "CG042",
        "an overlay replaces a manifest file",
        "Overlays add to the build context; packages are replaced by packages.",
        "Use a package with `override: true`.",
    ),
    (
        "CG043",
        "a package has the name of one of a foundation",
        "Whoever asks for the name would get one or the other, by version.",
        "Say `override: true` in the definition, or choose another name.",
    ),
    (
        "CG050",
        "the lock file cannot be used",
        "Pins would be ignored silently.",
        "Take it back from git, or pin anew.",
    ),
    (
        "CG060",
        "a key is nearly one that is known",
        "It is kept for templates and does nothing else.",
        "Write the known key, or rename yours clearly.",
    ),
    ("CG061", "an unknown key in a build spec", "luet ignores it.", "Remove it."),
    ("CG062", "a key without effect in a build spec", "luet reads it and ignores it.", "Remove it."),
    (
        "CG064",
        "a name or version makes no valid image tag",
        "The registry refuses it.",
        "Use letters, digits, dots, dashes and plus, at most 128 in all.",
    ),
    (
        "CG066",
        "a missing value is left in the build spec",
        "`<no value>` is used literally.",
        "Give the value, or use `default`.",
    ),
    (
        "CG067",
        "a pattern is no regular expression",
        "luet skips it silently, and the artifact holds too much or nothing.",
        "Mend the pattern (RE2 syntax).",
    ),
    ("CG070", "package_dir is not absolute", "The artifact would be empty.", "Start it with a slash."),
    (
        "CG071",
        "a version that cannot be ordered",
        "No selector such as >=0 ever finds it.",
        "Start versions with a digit.",
    ),
    (
        "CG072",
        "a selector that selects nothing",
        "Newer luet compares with one version only.",
        "Use one of >= > <= < = != and one version.",
    ),
    (
        "CG073",
        "templates inside the tree",
        "They apply to every package, not to those beside them.",
        "Move them to the templates folder of the tree's root.",
    ),
    (
        "CG074",
        "text outside `define` in a shared template",
        "It is put before every build.yaml.",
        "Move it into a define, or make it a comment.",
    ),
    (
        "CG075",
        "an `env` entry that Docker refuses",
        "It needs the form NAME=value, quoted when it has blanks.",
        "Write NAME=value.",
    ),
    (
        "CG076",
        "requirements depend on values files",
        "luet may see other requirements when it builds another package first.",
        "Require the same packages with and without values.",
    ),
    (
        "CG078",
        "a large number in a collection prints with an exponent",
        "Numbers of collections are floats: 1000000 prints as 1e+06.",
        "Quote it.",
    ),
    ("CG079", "a key is written twice", "The last one counts, silently.", "Remove one."),
    (
        "CG080",
        "finalize.yaml has an unexpected form",
        "The machine would fail when it installs the package.",
        "Give it shell, install and uninstall lists.",
    ),
    (
        "CG081",
        "a setting names a package that does not exist",
        "Nothing is selected, skipped or laid over.",
        "Correct the name.",
    ),
    (
        "CG090",
        "an old CI setting cannot be carried over",
        "cosgen has no such setting, or does it by itself.",
        "Read what is told of it, and set what you still need in cosgen.yaml.",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({row[0]: Rule(*row) for row in _TABLE})
