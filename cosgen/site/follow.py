"""How a machine follows a channel: client files sorted into sets of tabs, with words for people. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from cosgen.site.model import Snippet

View = Mapping[str, object]
_Words = Mapping[str, tuple[str, str]]  # value of an axis -> name on its tab, sentence below it

_GENERATIONS: _Words = MappingProxyType(
    {
        "D": ("elemental ≥ 0.3", "Elemental 0.3 and later follows container images only."),
        "C": ("elemental ≤ 0.2", "Elemental 0.0.16 to 0.2.5."),
        "B": (
            "elemental ≤ 0.0.15",
            "Elemental 0.0.1 to 0.0.15; of images it heeds only the command's option.",
        ),
        "A": ("cos-upgrade", "The shell clients cos-upgrade and cos, until January 2022."),
    }
)
_MODES: _Words = MappingProxyType(
    {
        "rolling": ("Rolling", "Each upgrade takes what the channel points at then."),
        "pinned": ("Pinned snapshot", "Stays at this snapshot until you change the file."),
        "image-tag": ("Image by tag", "The system as a container image; the tag moves with the channel."),
        "image-digest": ("Image by digest", "Exactly this container image, whatever happens to the tag."),
    }
)
_TRANSPORTS: _Words = MappingProxyType(
    {
        "http": ("HTTP", "From the repository, over HTTP."),
        "docker": ("Registry", "From a container registry."),
        "disk": ("Disk", "From a verified copy on the machine: see below how it is made."),
    }
)
_PLACES: _Words = MappingProxyType(
    {
        "oem": ("Cloud-init", "Put it into the folder of cloud-init files; it is applied at every boot."),
        "node": ("On the node", "Run it as root on the machine."),
        "dockerfile": ("Dockerfile", "Add it to the Dockerfile of an image of yours."),
        "repos-conf": ("luet", "Save it in /etc/luet/repos.conf.d/."),
        "elemental": (
            "elemental config",
            "Save it in /etc/elemental/config.d/, or as /etc/elemental/config.yaml.",
        ),
        "suc": ("Kubernetes", "A Plan for the system upgrade controller: kubectl apply --filename."),
    }
)
# Attribute of a snippet, label of its tabs, words for its values in the order to show them.
_AXES: Sequence[tuple[str, str, _Words]] = (
    ("variant", "Variant", {}),
    ("generation", "Client", _GENERATIONS),
    ("mode", "Follow", _MODES),
    ("transport", "Transport", _TRANSPORTS),
    ("place", "Where", _PLACES),
)


def snippet_tabs(snippets: Sequence[Snippet], client: str = "", depth: int = 0) -> tuple[View, ...]:
    """Sort snippets into sets of tabs, one inside the other; an axis with one value makes no set.

    Args:
        snippets: Any; those of one tab keep their order.
        client: Generation that the project's machines have; its tab comes first.
        depth: Axes that are done.
    """
    while depth < len(_AXES) and len({_axis(snippet, depth) for snippet in snippets}) == 1:
        depth += 1
    if not snippets or depth == len(_AXES):
        return ()
    attribute, label, _ = _AXES[depth]
    tabs = [_tab(name, group, client, depth) for name, group in _grouped(snippets, client, depth)]
    return ({"kind": f"follow-{attribute}", "label": label, "tabs": tabs},)


def _axis(snippet: Snippet, depth: int) -> str:
    return str(getattr(snippet, _AXES[depth][0]))


def _grouped(snippets: Iterable[Snippet], client: str, depth: int) -> Iterable[tuple[str, Sequence[Snippet]]]:
    groups: dict[str, list[Snippet]] = {}
    for snippet in snippets:
        groups.setdefault(_axis(snippet, depth), []).append(snippet)
    attribute, _, words = _AXES[depth]
    order = [client, *words] if attribute == "generation" else [*words]
    named = [name for name in dict.fromkeys(order) if name in groups]
    return [(name, groups[name]) for name in (*named, *(name for name in groups if name not in named))]


def _tab(name: str, group: Sequence[Snippet], client: str, depth: int) -> View:
    inner = snippet_tabs(group, client, depth + 1)
    title, note = _AXES[depth][2].get(name, (name or "any", ""))
    return {
        "name": title,
        "title": title,
        "notes": (note,) if note else (),
        "inner": inner,
        "snippets": () if inner else [snippet_view(snippet) for snippet in group],
    }


def snippet_view(snippet: Snippet) -> View:
    """Return a snippet with the line above it."""
    return {"text": snippet.text, "caption": snippet.name or snippet.place, "note": snippet.note}
