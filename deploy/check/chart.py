"""The Helm chart, rendered by Helm's own engine.

helm-python-sdk has Helm's Go packages as a library; `helm template` does the same with a cluster in
reach. Every file of values in ci/ is tried, and none at all.
"""

import pathlib

import helm_python
import resources
import yaml
from helm_python.chart import lint


def values(chart):
    """Name and content of each trial."""
    yield "defaults", {}
    for file in sorted(pathlib.Path(chart, "ci").glob("*-values.yaml")):
        yield file.name, yaml.safe_load(file.read_text())


def render(chart, given):
    """The resources of a release, and its notes."""
    with helm_python.Chart.load(chart) as loaded:
        loaded.validate_schema(given)
        files = loaded.render(given, name="demo", namespace="models", is_install=True)
    notes = [text for file, text in files.items() if file.endswith("NOTES.txt")]
    rendered = [
        it
        for file, text in files.items()
        if not file.endswith("NOTES.txt")
        for it in resources.load(text)
    ]
    return rendered, "".join(notes)


def problems(chart):
    """What `helm lint --strict` finds, for each file of values."""
    found = []
    for trial, given in values(chart):
        report = lint(chart, given, strict=True)
        # 1 is information: that an icon is recommended.
        found += [f"{trial}: {it}" for it in report["messages"] if it["severity"] > 1]
        found += [f"{trial}: {it}" for it in report["errors"]]
    return found
