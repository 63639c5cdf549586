"""What lines of emitted files are looked through for, the same for every provider."""

import re

# A line that writes to a registry, a repository or a forge.
WRITES = re.compile(
    r"(?:^|[;&|(]\s*)cosgen "
    r"(?:publish|image push|key|release|channel promote|channel rollback|repo gc|lock)\b"
    r"|\bcosgen site build\b.*\s--to\b"
    r"|\s--push\b"
)
# A line that moves what others may move at the same time.
MOVES = re.compile(
    r"(?:^|[;&|(]\s*)cosgen (?:publish|channel promote|channel rollback|key refresh|repo gc)\b"
)
# A download that is run unseen.
PIPED = re.compile(r"\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b|bash\s+<\(|eval\s+\"?\$\(curl")
CREDENTIAL = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|glpat-[\w-]{20}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
