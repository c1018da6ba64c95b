"""The command that shows a page to try a model on."""

from contextlib import suppress
from pathlib import Path

import click

from pipeline.flags import PATH
from train.config import Device
from train.inference_commands import device_option, load

PORT = 7700


@click.command()
@click.argument("run", type=PATH)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="port of the page; 0 takes any free one",
)
@click.option("--open/--no-open", "opens", default=False, help="open the page in the browser")
@device_option
def play(run: Path, port: int, opens: bool, device: Device) -> None:
    """Show a local page to fill, detect and generate.

    This machine alone can open it, and it loads nothing from elsewhere. Ctrl-C ends it.
    """
    import webbrowser

    from train.play.answers import Answers
    from train.play.server import PlayServer

    answers = Answers(load(run, device))
    with PlayServer(answers, port) as server, suppress(KeyboardInterrupt):
        click.echo(f"the page: {server.address} (Ctrl-C ends it)")
        if opens:
            webbrowser.open(server.address)
        server.serve_forever()
    answers.stop()
