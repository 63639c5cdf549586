"""`cosgen serve`: a folder on loopback, to look at."""

from pathlib import Path

import click

from cosgen.errors import Problem, PublishError
from cosgen.site.preview import address, make_server


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), default=Path())
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port.  [default: any that is free]")
def command(folder: Path, *, port: int) -> None:
    """Serve a repository or a site on 127.0.0.1 until Ctrl-C.

    Types are as on a static host; tarballs are never marked as encoded, which would break clients.

    Example: cosgen serve build/site --port 8000
    """
    if not folder.is_dir():
        raise PublishError(
            Problem(what=f"there is no folder {folder}", fix="build it first, or name another", id="CG605")
        )
    server = make_server(folder, port)
    click.echo(address(server))
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        server.server_close()
