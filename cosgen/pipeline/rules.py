"""All rules about emitted files: what is wrong, what it leads to, what to do. The docs are made from this."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Origin, Problem, Rule, Severity

_OURS = "tell the makers of cosgen, or change the hook or job of cosgen.yaml that brought it"
_SMALLER = "choose `ci.shape: workers`, whose size does not grow with the tree"

# ruff: noqa: E501 - a table, one rule a line
_TABLE = (
    Rule("CG101", "A value is pasted into a command", "Whoever names a package or branch could run code.", "Pass values through variables; name packages with plain letters."),
    Rule("CG102", "A dangerous trigger", "pull_request_target, workflow_run and issue_comment run strangers' input with secrets.", "Use pull_request, push, schedule or workflow_dispatch."),
    Rule("CG103", "A called workflow may do more than its caller", "GitHub refuses the run, or the called one fails midway.", "Grant the caller at least what the called one asks."),
    Rule("CG104", "Credentials stay on the disk", "Later steps and kept artifacts can hold the token.", "Check out with persist-credentials: false, and name the paths that are kept."),
    Rule("CG105", "An action is not pinned", "A moved tag runs other code with your token.", "Pin by the 40 hex digits of a commit, with its tag in a comment."),
    Rule("CG106", "An image is not pinned", "A moved tag is another machine for your build.", "Name images by digest (@sha256:…)."),
    Rule("CG107", "A cache crosses levels of trust", "A pull request could plant what a trusted run takes.", "No actions/cache near publishing; requests never push to the registry."),
    Rule("CG108", "Files of another run are taken", "They may come from a stranger's pull request.", "Download CI artifacts of the same run only."),
    Rule("CG109", "A pull request writes", "A stranger could plant a binary under a digest that trusted runs believe.", "Requests build and throw away: no --push, no publish."),
    Rule("CG110", "A secret is open to too many", "Every job, or a pull request, could read it.", "Give secrets to jobs with an environment, by name; never secrets: inherit."),
    Rule("CG111", "A credential stands in the file", "Everybody who reads the repository has it.", "Keep it as a secret of the forge."),
    Rule("CG112", "An identity is open to too many", "Any job of the workflow could take the role.", "Ask id-token: write only in a job with an environment."),
    Rule("CG113", "A pull request runs on our own machine", "A stranger's code stays on it.", "Mark the runner `ephemeral: true`, or let requests use hosted ones."),
    Rule("CG114", "A person is recognized by name", "github.actor can be made to say another's name.", "Use environments with reviewers."),
    Rule("CG115", "A condition does not say what it means", "A wrong condition publishes what failed.", "always() stands alone with the gate; write conditions as one expression."),
    Rule("CG116", "Publishing can be lost or doubled", "Runs side by side overwrite each other; canceled ones leave half.", "One group a channel without the ref, queue: max, no cancel."),
    Rule("CG117", "A job has no time limit", "It can hang for six hours, or for ever on an own machine.", "Set a timeout on every job."),
    Rule("CG118", "An unsafe way to run a command", "Code from the network runs unchecked.", "Install pinned packages; never pipe a download into a shell."),
    Rule("CG119", "The token may do everything", "Every step of every job could write to the repository.", "Begin with `permissions: {}` and grant jobs what they need."),
    Rule("CG120", "A call cosgen does not know", "The job fails when it runs.", "Keep pipelines and cosgen at one version."),
    Rule("CG121", "A generated file is not what it should be", "CI runs something else than the project says.", "Run `cosgen ci` and commit what it writes."),
    Rule("CG122", "A file stands where a generated one belongs", "It was not made by cosgen, which replaces nobody else's work.", "Move it away, or say --force to replace it."),
    Rule("CG123", "A package was not built", "Publishing needs every package of a required variant.", "Look at its log, and build it with `cosgen build`."),
    Rule("CG124", "An outcome cannot be read", "Nobody knows whether all that is needed was built.", "Make it anew with cosgen ci collect."),
    Rule("CG201", "A workflow is too large", "GitHub never starts one of more than 512,000 bytes, and says nothing.", _SMALLER),
    Rule("CG202", "A text with an expression is too long", "GitHub refuses the whole file.", _SMALLER),
    Rule("CG203", "A matrix is too large", "GitHub refuses more than 256 rows.", "Lower ci.workers."),
    Rule("CG204", "Too many jobs", "The page of the run does not load.", _SMALLER),
    Rule("CG205", "A job id GitHub does not take", "GitHub refuses the whole file.", _OURS),
    Rule("CG206", "Needs that cannot be", "The pipeline is refused, or spins.", _OURS),
    Rule("CG207", "Too many inputs by hand", "GitHub refuses the file.", _OURS),
    Rule("CG208", "Nothing to do", "The workflow is refused, or does nothing for months.", _OURS),
    Rule("CG209", "A time limit beyond the runner's", "The runner is taken away first, and the work with it.", "At most 360 minutes on hosted runners."),
    Rule("CG210", "Two artifacts of one name", "The second upload fails.", _OURS),
    Rule("CG221", "Too many needs", "GitLab takes 50 and refuses the pipeline.", _OURS),
    Rule("CG222", "Too many jobs", "GitLab refuses the pipeline on your plan.", "Set ci.budget.gitlab_tier to your plan, or choose another shape."),
    Rule("CG223", "A job runs too many times", "GitLab takes 200.", "Lower ci.workers."),
    Rule("CG224", "A file takes too much memory", "GitLab refuses what takes 2 MB of its memory.", _SMALLER),
    Rule("CG225", "A job name is too long", "GitLab mixes up long names.", _OURS),
    Rule("CG226", "Too many files are included", "GitLab takes 150.", "Have fewer channels, or emit for one provider."),
    Rule("CG227", "A child pipeline is too large", "GitLab reads 5 MB of an artifact.", _SMALLER),
    Rule("CG229", "A job is too large", "GitLab refuses a job of more than 1 MiB.", _SMALLER),
    Rule("CG301", "A merge request writes", "As CG109.", "Requests build and throw away: no --push, no publish."),
    Rule("CG302", "A file from elsewhere is included", "Whoever keeps it runs code in your pipeline.", "Include local files only."),
    Rule("CG303", "A download is piped into a shell", "As CG118.", "Install pinned packages."),
    Rule("CG304", "An image is not pinned", "As CG106.", "Name images by digest (@sha256:…)."),
    Rule("CG305", "Publishing can be lost or doubled", "As CG116.", "Give the job a resource_group of its channel, without the ref."),
    Rule("CG306", "An identity is open to too many", "As CG112.", "Ask id_tokens only in a job with an environment."),
    Rule("CG307", "A merge request sees a secret", "As CG110.", "Protect the variables; name none in jobs of requests."),
    Rule("CG308", "A job has no time limit", "As CG117.", "Set a timeout on every job."),
    Rule("CG309", "A job runs twice for one push", "A branch and a merge request pipeline do the same work.", "Say in workflow: rules which one."),
)  # fmt: skip

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _TABLE})


def report(rule: str, what: str, at: Origin, severity: Severity = Severity.ERROR) -> Problem:
    """Return a problem under a rule of the table."""
    return Problem(what=what, fix=RULES[rule].fix, id=rule, origin=at, severity=severity)
