"""Which upgrade image each channel delivers, as the commit log records it."""

from collections.abc import Mapping
from dataclasses import replace

from cosgen.repository.channel import Move, commit_move, get_channel
from cosgen.repository.codec import Json, mapping, text
from cosgen.repository.commit import Tail
from cosgen.repository.log import Commit, State
from cosgen.repository.publish import PublishOptions
from cosgen.repository.session import Session

_KEY = "images"


def recorded_images(state: State, channel: str) -> Mapping[str, tuple[str, str]]:
    """Return flavor → (image repository, digest of the index) of a channel; {} when none was pushed."""
    recorded = mapping(state.settings.get(_KEY, {})).get(channel, {})
    return {
        flavor: (text(mapping(image), "name"), text(mapping(image), "digest"))
        for flavor, image in sorted(mapping(recorded).items())
    }


def note_images(
    session: Session, channel: str, images: Mapping[str, tuple[str, str]], *, options: PublishOptions
) -> Commit | None:
    """Record where a channel's images are; None when the log says so already.

    Raises:
        PublishError: There is no such channel, or somebody else moved it meanwhile.
    """

    def decide(tail: Tail) -> Move | None:
        get_channel(tail.state, channel)
        if recorded_images(tail.state, channel) == dict(images):
            return None
        entry: dict[str, Json] = {
            flavor: {"name": name, "digest": digest} for flavor, (name, digest) in sorted(images.items())
        }
        known = dict(mapping(tail.state.settings.get(_KEY, {})))
        settings = {**tail.state.settings, _KEY: {**known, channel: entry}}
        details: dict[str, Json] = {"channel": channel, "images": entry}
        return Move(op="image", state=replace(tail.state, settings=settings), details=details)

    return commit_move(session, decide, options)
