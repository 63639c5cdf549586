"""The engines that the other tests stand on do what those tests assume."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.engines import DockerEngine, Registry
from tests.s3_engines import S3Server

NodeTool = Callable[[str], tuple[str, ...]]


@pytest.mark.docker
def test_an_image_goes_to_the_registry_and_comes_back_as_it_was(
    docker_engine: DockerEngine, registry: Registry, busybox_image: str
) -> None:
    reference = f"{registry.address}/busybox:1"
    docker_engine.run("tag", busybox_image, reference)
    docker_engine.run("push", reference)
    digest = docker_engine.run("inspect", "--format", "{{index .RepoDigests 0}}", reference).strip()
    docker_engine.run("rmi", reference)
    docker_engine.run("pull", digest)
    assert docker_engine.run("run", "--rm", "--network", "none", digest, "echo", "hello") == "hello\n"


@pytest.mark.docker
def test_buildkit_builds_through_the_command_line(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {busybox_image}\nRUN echo built > /file\n")
    docker_engine.run("build", "--quiet", "--network", "none", "--tag", "cosgen-test:built", str(tmp_path))
    assert (
        docker_engine.run("run", "--rm", "--network", "none", "cosgen-test:built", "cat", "/file")
        == "built\n"
    )


@pytest.mark.docker
@pytest.mark.slow
def test_apt_works_in_the_debian_image(docker_engine: DockerEngine, debian_image: str) -> None:
    script = "apt-get -qq update && apt-get -qq install --yes --no-install-recommends file >/dev/null && file --version"
    assert "file-5" in docker_engine.run("run", "--rm", "--network", "host", debian_image, "sh", "-c", script)


@pytest.fixture(params=["moto_s3", "seaweedfs"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, S3Server)
    return server


@pytest.mark.s3
def test_conditional_writes_have_one_winner(s3: S3Server) -> None:
    client, bucket = s3.client(), s3.new_bucket()
    first = client.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    client.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=first["ETag"])
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="k", Body=b"4", IfMatch=first["ETag"])
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


@pytest.mark.s3
def test_rclone_does_not_honor_conditions(rclone_s3: S3Server) -> None:
    client, bucket = rclone_s3.client(), rclone_s3.new_bucket()
    client.put_object(Bucket=bucket, Key="k", Body=b"1")
    client.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")


@pytest.mark.s3
def test_a_wrong_secret_is_refused(seaweedfs: S3Server) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint,
        aws_access_key_id="AKID",
        aws_secret_access_key="wrong",
        region_name="us-east-1",
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client.list_buckets()


@pytest.mark.node
@pytest.mark.parametrize(
    ("text", "code"), [("on: push\njobs: {a: {runs-on: x, steps: []}}\n", 0), ("on: [pusch]\n", 1)]
)
def test_githubs_parser_judges_a_workflow(node_tool: NodeTool, tmp_path: Path, text: str, code: int) -> None:
    workflow = tmp_path / "w.yml"
    workflow.write_text(text)
    assert subprocess.run([*node_tool("workflow-parser"), workflow], check=False).returncode == code


@pytest.mark.node
def test_gitlab_ci_local_answers(node_tool: NodeTool) -> None:
    done = subprocess.run(
        [*node_tool("gitlab-ci-local"), "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "4.73.0"


@pytest.mark.browser
def test_chromium_runs_a_page(chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<p id=p>before</p><script>p.textContent = 'after'</script>")
        assert page.text_content("#p") == "after"
        browser.close()
