"""What people call a snapshot: a channel, pin, release or commit that points at it, or the start of an id."""

from cosgen.errors import Problem, PublishError
from cosgen.repository.log import ChannelState, State, Step

Place = ChannelState | Step
_SHORTEST = 6  # hex digits of an id


def is_called(place: Place, text: str) -> bool:
    """Tell whether a release, a commit number (`42`, `s42`) or the start of a snapshot's id names a place.

    >>> from cosgen.repository.record import ObjectRef
    >>> ref = ObjectRef(key="", digest="sha256:abcdef12", size=0)
    >>> place = Step(snapshot=ref, seq=4, time=0, origin=4, tag="v1")
    >>> [is_called(place, text) for text in ("v1", "4", "s4", "abcdef", "abc", "5")]
    [True, True, True, True, False, False]
    """
    wanted = text.removeprefix("sha256:")
    digest = place.snapshot.digest.removeprefix("sha256:")
    named = text in {place.tag, str(place.seq), f"s{place.seq}"} and bool(text)
    return named or (len(wanted) >= _SHORTEST and digest.startswith(wanted))


def find_place(state: State, text: str) -> Place:
    """Return the place that some text names: a channel, a pin, or any place a channel remembers.

    Raises:
        PublishError: Nothing has that name.
    """
    if text in state.channels:
        return state.channels[text]
    if text in state.pins:
        return state.pins[text]
    for channel in state.channels.values():
        for place in channel.places:
            if is_called(place, text):
                return place
    have = ", ".join((*state.channels, *state.pins)) or "none"
    problem = Problem(
        what=f"the repository has no channel, pin or snapshot {text!r}",
        fix=f"choose one of: {have}; or a commit number, tag or id from `cosgen channel show`",
        id="CG524",
    )
    raise PublishError(problem)
