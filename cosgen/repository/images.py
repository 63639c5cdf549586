"""Which upgrade image each channel delivers, as the commit log records it.

The log is written before the tag moves. A tag that still points where it did before was not moved yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cosgen.errors import Problem, PublishError
from cosgen.repository.channel import Move, commit_move, get_channel
from cosgen.repository.codec import Json, mapping, text, texts
from cosgen.repository.commit import Tail
from cosgen.repository.log import Commit, State
from cosgen.repository.publish import PublishOptions
from cosgen.repository.session import Session

_KEY = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNote:
    """The image of one flavor of a channel."""

    name: str  # image repository
    digest: str  # of the index; what the channel's tag shall point at
    before: tuple[str, ...] = ()  # digests that the tag may point at until it is moved, sorted
    container: bool = False  # made of a container, not of the channel's snapshot

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form, empty fields left out."""
        optional: dict[str, Json] = {"before": self.before, "container": self.container}
        return {"name": self.name, "digest": self.digest} | {key: v for key, v in optional.items() if v}

    @classmethod
    def from_json(cls, value: Json) -> "ImageNote":
        """Read the JSON form; raises `DecodeError`."""
        data = mapping(value)
        return cls(
            name=text(data, "name"),
            digest=text(data, "digest"),
            before=texts(data, "before"),
            container=data.get("container") is True,
        )

    @property
    def expected(self) -> frozenset[str]:
        """The digests that the tag may point at: this image, or one from before it was moved."""
        return frozenset((self.digest, *self.before))

    def following(self, other: "ImageNote | None") -> "ImageNote":
        """Return the note as it is recorded after another one of the same tag."""
        earlier = {other.digest} if other else set()
        return replace(self, before=tuple(sorted({*self.before, *earlier} - {self.digest, ""})))

    def same_image(self, other: "ImageNote | None") -> bool:
        """Tell whether both are the same image at the same place."""
        return other is not None and (self.name, self.digest) == (other.name, other.digest)


def image_notes(state: State, channel: str) -> Mapping[str, ImageNote]:
    """Return flavor → image of a channel; {} when none was pushed."""
    recorded = mapping(mapping(state.settings.get(_KEY, {})).get(channel, {}))
    return {flavor: ImageNote.from_json(image) for flavor, image in sorted(recorded.items())}


def recorded_images(state: State, channel: str) -> Mapping[str, tuple[str, str]]:
    """Return flavor → (image repository, digest of the index) of a channel; {} when none was pushed."""
    return {flavor: (note.name, note.digest) for flavor, note in image_notes(state, channel).items()}


def note_images(
    session: Session,
    channel: str,
    images: Mapping[str, ImageNote],
    *,
    seen: int | None = None,
    options: PublishOptions,
) -> Commit | None:
    """Record which images a channel delivers; None when the log says so already.

    Other flavors of the channel stay as they are. A channel of containers need not have packages.

    Args:
        session: The repository.
        channel: The channel.
        images: Flavor → image.
        seen: The commit that had moved the channel when its images were made; None for images of containers.
        options: How to go about it.

    Raises:
        PublishError: The channel was moved meanwhile, so these are the images of a snapshot it had (CG522).
    """

    def decide(tail: Tail) -> Move | None:
        if seen is not None and get_channel(tail.state, channel).seq != seen:
            raise PublishError(_moved(channel))
        recorded = image_notes(tail.state, channel)
        changed = {
            flavor: note.following(recorded.get(flavor))
            for flavor, note in images.items()
            if not note.same_image(recorded.get(flavor))
        }
        if not changed:
            return None
        merged = sorted({**recorded, **changed}.items())
        entry: dict[str, Json] = {flavor: note.to_json() for flavor, note in merged}
        known = dict(mapping(tail.state.settings.get(_KEY, {})))
        settings = {**tail.state.settings, _KEY: {**known, channel: entry}}
        told: dict[str, Json] = {flavor: note.to_json() for flavor, note in sorted(changed.items())}
        return Move(
            op="image",
            state=replace(tail.state, settings=settings),
            details={"channel": channel, "images": told},
        )

    return commit_move(session, decide, options)


def _moved(channel: str) -> Problem:
    return Problem(
        what=f"channel {channel} was moved by somebody else while its images were made",
        fix="run the command again: it delivers what the channel points at now",
        id="CG522",
    )
