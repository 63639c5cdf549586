"""Unit tests of cosgen.build.tools: whether the cache may be read."""

import pytest

from cosgen.build.registry import Registry
from cosgen.build.rules import problem
from cosgen.build.tools import Tools
from cosgen.errors import BuildError


def tools(repository: str, **environment: str) -> Tools:
    return Tools(lambda: pytest.fail("no engine is needed"), environment, repository=repository)


def refuse(patch: pytest.MonkeyPatch, id_: str) -> None:
    def find_digest(*_: object) -> str:
        raise BuildError(problem(id_, "no"))

    patch.setattr(Registry, "find_digest", find_digest)


def test_a_cache_that_asks_for_a_login_is_not_read_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: str
) -> None:
    refuse(monkeypatch, "CG481")
    assert not tools("127.0.0.1:9/cache", DOCKER_CONFIG=str(tmp_path)).can_read_cache()
    assert not tools("").can_read_cache()


def test_a_refused_login_and_a_registry_that_is_away_are_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: str
) -> None:
    refuse(monkeypatch, "CG481")
    login = {"COSGEN_REGISTRY_USER": "me", "COSGEN_REGISTRY_PASSWORD": "wrong"}
    with pytest.raises(BuildError, match="CG481"):
        tools("127.0.0.1:9/cache", **login).can_read_cache()
    refuse(monkeypatch, "CG480")
    with pytest.raises(BuildError, match="CG480"):
        tools("127.0.0.1:9/cache", DOCKER_CONFIG=str(tmp_path)).can_read_cache()
