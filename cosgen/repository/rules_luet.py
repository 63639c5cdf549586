"""The problems that index, signatures and client files tell, one rule per id (CG550-CG599)."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Rule

_CLIENT = "A stock client would fail, mostly without a word."
_TRUST = "Whoever may write the store could give machines anything."
_LATER = "Run `cosgen repo fsck --deep`."

_RULES = (
    Rule("CG550", "A file of a luet repository is not YAML", _CLIENT, "Look whether it is an error page."),
    Rule("CG551", "An archive cannot be decompressed", _CLIENT, _LATER),
    Rule("CG552", "A name makes no path", _CLIENT, "Use letters, digits and . _ + ~ : @ ^ = , - in names."),
    Rule("CG553", "Two packages have one fingerprint", _CLIENT, "Rename one of them."),
    Rule("CG554", "A name makes no registry tag", _CLIENT, "Use letters, digits, _, . and - in names."),
    Rule("CG555", "Two packages share a registry tag", _CLIENT, "Change a version: luet turns + into -."),
    Rule("CG556", "Not a repository that luet wrote", "Nothing can be imported.", "Check the URL."),
    Rule("CG557", "A file does not have its checksum", _CLIENT, "Try again after the upload."),
    Rule("CG558", "Tree and index differ", "Clients do not see the package.", "Build it again."),
    Rule("CG559", "An archive to import is missing or wrong", _CLIENT, "Mend the old repository."),
    Rule("CG560", "A private key cannot be read", "Nothing can be signed.", "Give a PEM, and its password."),
    Rule("CG561", "A private key is not there", "Nothing can be signed.", "Check path or variable."),
    Rule(
        "CG562",
        "Words do not name a key",
        "Nothing can be signed.",
        "Write file:PATH, env:NAME, awskms:KEY.",
    ),
    Rule("CG563", "A commit is not signed by a trusted key", _TRUST, "Ask the owner of the repository."),
    Rule("CG564", "TUF metadata is not right", _TRUST, "Rotate the role, or let its holders sign."),
    Rule("CG565", "A TUF role has expired", "Verifying clients refuse it.", "Run `cosgen key refresh`."),
    Rule("CG566", "A TUF role expires soon", "Verifying clients will refuse.", "Run `cosgen key refresh`."),
    Rule("CG567", "Root and targets are not consistent", _TRUST, "Fetch the newest, and rotate that."),
    Rule("CG568", "Signatures could not be written", "They are old.", "Run any command that writes."),
    Rule("CG569", "There is nothing to sign, or no key", "Nothing is signed.", "Set COSGEN_SIGNING_KEY."),
    Rule("CG570", "A client cannot follow in this way", "It would stay behind.", "Choose another way."),
    Rule("CG571", "There is no trusted root", _TRUST, "Give the root with --root."),
    Rule("CG572", "There is no such channel or variant", "Nothing to copy.", "Run `cosgen channel ls`."),
    Rule("CG573", "What was fetched is not to be trusted", _TRUST, "Ask the owner of the repository."),
    Rule("CG574", "A key does not sign", "Nothing was committed.", "Look whether its service answers."),
    Rule("CG575", "A signed repository needs a key", "It would go unsigned.", "Set COSGEN_SIGNING_KEY."),
    Rule("CG576", "The keys are not the pinned ones", _TRUST, "Change `signing` with the rotation."),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _RULES})
