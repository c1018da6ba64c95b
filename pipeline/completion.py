"""Completion of commands, options and their values on Tab, by Click's own mechanism."""

import click

PROGRAM, VARIABLE = "hearth", "_HEARTH_COMPLETE"
"""What is completed, and where its shell functions ask it, as Click names that by the program."""
WHERE = {
    "bash": "hearth completion bash > ~/.local/share/bash-completion/completions/hearth\n"
    "or, without the package bash-completion, put this into ~/.bashrc:\n"
    'eval "$(hearth completion bash)"',
    "zsh": "mkdir -p ~/.zfunc; hearth completion zsh > ~/.zfunc/_hearth\n"
    "and in ~/.zshrc, before compinit: fpath=(~/.zfunc $fpath)",
    "fish": "hearth completion fish > ~/.config/fish/completions/hearth.fish",
}
"""How each shell finds the script."""

TASKS = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
"""`pipeline.tasks.SCORED_TASKS`, without the time that its import takes."""


@click.command()
@click.argument("shell", type=click.Choice(list(WHERE)))
def completion(shell: str) -> None:
    """Print the script by which SHELL completes `hearth` on Tab.

    Its last lines say where to put it.

    It completes commands, options, presets, tasks and all other values of a fixed set, wherever
    `hearth` is on the PATH: in an environment, after `source .venv/bin/activate`. (`python cli.py`
    is completed as any Python script is.)
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"this Click knows no {shell}: run `pip install -U click`")
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, PROGRAM, VARIABLE).source())
    lines = f"To use it, run\n{WHERE[shell]}\nand open another shell.".splitlines()
    click.echo("".join(f"# {line}\n" for line in lines), nl=False)


def complete_tasks(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return what `--tasks` may go on with: one more task behind the last comma."""
    before, comma, last = incomplete.rpartition(",")
    chosen = before.split(",")
    names = [name for name in TASKS if name not in chosen]
    names += [] if comma else ["all"]
    return [before + comma + name for name in names if name.startswith(last)]
