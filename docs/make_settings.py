"""Write docs/settings.md from what is declared of each setting: ``python docs/make_settings.py``."""

from pathlib import Path

from bptt.training.presets import JOB_SETTINGS, PRESETS, TASK_SETTINGS
from bptt.training.setting import shown
from bptt.training.settings import SETTINGS

PARTS = {
    "data": "Data",
    "model": "Model",
    "loop": "Training",
    "optimizer": "Optimiser",
    "schedule": "Learning rate",
}

BEGINNING = """\
# Settings

All that decides a run. Each is an option of `bptt train` and, by the same name with `_` for `-`, an
argument of `bptt.Settings` and a key of `settings` in a run's [`config.json`](format.md). What is not said
is taken from the preset, or from what a generated task is known to need, or else is the default; for text,
where no preset is named, the preset is `default`. `bptt train --resume DIR` takes only
{free}.

A row that says "For ..." has an effect for these jobs only: stream is one long text, lines are sequences of
text, labels are labelled sequences, series are to be forecast, generated is a task of `bptt.tasks`.

This page is written by `python docs/make_settings.py` from
[`settings.py`](../src/bptt/training/settings.py).
"""


def page() -> str:
    """Return the page."""
    free = [f"`{setting.option}`" for setting in SETTINGS.values() if setting.may_change]
    lines = [BEGINNING.format(free=f"{', '.join(free[:-1])} and {free[-1]}")]
    for part, title in PARTS.items():
        lines += [f"## {title}\n", "| option | default | takes | |", "|---|---|---|---|"]
        for name, setting in SETTINGS.items():
            if setting.part == part:
                default = shown(setting.default).replace("|", r"\|")
                if name in PRESETS["default"].settings:
                    default += f"; for text {shown(PRESETS['default'].settings[name])}"
                own = ((job, sets[name]) for job, sets in JOB_SETTINGS.items() if name in sets)
                default += "".join(f"; for {job} {shown(value)}" for job, value in own)
                jobs = f" For {', '.join(setting.jobs)}." if setting.jobs else ""
                lines.append(f"| `{setting.option}` | {default} | {setting.wanted} | {setting.says}{jobs} |")
        lines.append("")
    overlays = {name: preset.settings for name, preset in PRESETS.items()} | JOB_SETTINGS | TASK_SETTINGS
    lines += ["## What presets, jobs and generated tasks set\n", "| | |", "|---|---|"]
    for name, sets in overlays.items():
        lines.append(f"| `{name}` | {', '.join(f'{key} {shown(value)}' for key, value in sets.items())} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(page(), encoding="utf-8")
