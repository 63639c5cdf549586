"""What a build reaches the outside with: engine, registry and logins, each made when first needed."""

import threading
from collections.abc import Callable, Mapping

from cosgen.build.credentials import Credentials
from cosgen.build.engine import Engine
from cosgen.build.reference import ImageName, parse_name
from cosgen.build.registry import Registry
from cosgen.errors import BuildError


class Tools:
    """The doors of one build. The engine is not even asked for when nothing has to be built."""

    def __init__(
        self,
        connect: Callable[[], Engine],
        environment: Mapping[str, str],
        *,
        repository: str = "",
        insecure: bool = False,
    ) -> None:
        """Make none of them yet.

        Args:
            connect: Connects to the engine, at most once.
            environment: For logins.
            repository: The cache repository, "" when there is none.
            insecure: Speak plain HTTP also to registries that are not loopback.
        """
        self._connect = connect
        self._insecure = insecure
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._local = threading.local()
        self.cache: ImageName | None = parse_name(repository)[0] if repository else None
        self.credentials = Credentials(environment, self.cache.host if self.cache else "")

    def engine(self) -> Engine:
        """Return the engine; the same one in every thread.

        Raises:
            MissingToolError: None answers.
        """
        with self._lock:
            if self._engine is None:
                self._engine = self._connect()
            return self._engine

    @property
    def connected(self) -> Engine | None:
        """The engine, when it was needed so far."""
        return self._engine

    def registry(self) -> Registry:
        """Return this thread's registry client."""
        found: Registry | None = getattr(self._local, "registry", None)
        if found is None:
            found = Registry(insecure=self._insecure, credentials=self.credentials)
            self._local.registry = found
        return found

    def can_read_cache(self) -> bool:
        """Tell whether the cache registry lets us read; one that wants a login does not, when we have none.

        Raises:
            BuildError: The registry does not answer, or refuses the login we have.
        """
        if self.cache is None:
            return False
        try:
            self.registry().find_digest(self.cache, "none")
        except BuildError as error:
            refused = all(item.id == "CG481" for item in error.problems)
            if not refused or self.credentials.find(self.cache.host):
                raise
            return False
        return True

    def close(self) -> None:
        """End the connections."""
        if self._engine is not None:
            self._engine.close()
