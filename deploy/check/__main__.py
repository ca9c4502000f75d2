#!/usr/bin/env python3
"""Checks everything under deploy/.

    python deploy/check --flags FLAGS --metrics METRICS    what is wrong, one line each; none is well
    python deploy/check --servers                          the servers that manifests start, as JSON

FLAGS is a file with what `tensorgate help serve` prints, METRICS one with a server's page for
Prometheus: names in the manifests are held to them. tests/tests/deploy.rs makes both.
"""

import argparse
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import chart  # noqa: E402
import containerfile  # noqa: E402
import kustomize  # noqa: E402
import resources  # noqa: E402
import rules  # noqa: E402
import spin  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/tensorgate"
KUSTOMIZATIONS = ("base", "gpu", "prometheus-operator")


def bundles():
    """What is applied together, by a name: (resources, what else is in the cluster)."""
    used = set()
    made = {}
    for folder in KUSTOMIZATIONS:
        made[f"kubernetes/{folder}"] = kustomize.build(DEPLOY / "kubernetes" / folder, used), ()
    adapter = DEPLOY / "kubernetes/prometheus-adapter.yaml"
    for file in (DEPLOY / "kubernetes").rglob("*"):
        if file.is_file() and file.resolve() not in used and file != adapter:
            raise kustomize.Wrong(f"{file}: no kustomization has it")
    for folder in ("kserve", "spinkube"):
        files = sorted((DEPLOY / folder).glob("*.yaml"))
        made[folder] = [it for file in files for it in resources.load(file.read_text())], ()
    for trial, given in chart.values(CHART):
        claim = given.get("models", {}).get("claim", {}).get("existing")
        rendered, notes = chart.render(CHART, given)
        assert "/health/ready" in notes, "the chart has no notes"
        made[f"helm/{trial}"] = rendered, (("PersistentVolumeClaim", claim),)
    return made


def known(flags, metrics):
    """Names of flags and metrics, out of what the server printed."""
    return {
        "flags": set(re.findall(r"^\s*--([a-z0-9_]+)", flags, re.MULTILINE)),
        "metrics": set(re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE)),
    }


def adapter(metrics):
    """The rule of prometheus-adapter is for a metric that there is."""
    (told,) = resources.load((DEPLOY / "kubernetes/prometheus-adapter.yaml").read_text())
    series = {it["seriesQuery"].partition("{")[0] for it in told["rules"]["custom"]}
    return [f"prometheus-adapter.yaml: the server has no {it}" for it in series - metrics]


def versions(made):
    """Images are of this version of ours."""
    workspace = (ROOT / "Cargo.toml").read_text()
    version = re.search(r'^version = "([^"]+)"', workspace, re.MULTILINE)[1]
    found = []
    for bundle, (them, _) in made.items():
        for resource, _, container in rules.servers(them):
            repository, _, tag = container["image"].partition(":")
            if repository == "tensorgate" and tag not in (version, f"{version}-gpu"):
                found.append(f"{bundle}: {resources.name(resource)}: {tag} is not {version}")
    return found


def check(said):
    made = bundles()
    found = []
    for bundle, (them, outside) in made.items():
        found += [f"{bundle}: {words}" for it in them for words in resources.problems(it)]
        found += [f"{bundle}: {words}" for words in rules.check(them, said, outside)]
    found += adapter(said["metrics"]) + versions(made)
    found += [f"helm lint: {it}" for it in chart.problems(CHART)]
    found += containerfile.problems(ROOT)
    found += spin.problems(ROOT, made["spinkube"][0])
    return made, found


def servers():
    """What each container is started with, for whoever starts it."""
    return [
        {
            "of": f"{bundle}: {resources.name(resource)}",
            "args": container["args"],
            "live": container["livenessProbe"]["httpGet"]["path"],
            "ready": container["readinessProbe"]["httpGet"]["path"],
            "metrics": rules.METRICS,
        }
        for bundle, (them, _) in bundles().items()
        for resource, _, container in rules.servers(them)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", action="store_true")
    parser.add_argument("--flags", type=pathlib.Path)
    parser.add_argument("--metrics", type=pathlib.Path)
    told = parser.parse_args()
    if told.servers:
        print(json.dumps(servers()))
        return 0
    if not (told.flags and told.metrics):
        parser.error("--flags and --metrics are needed: what manifests name is held to them")
    said = known(told.flags.read_text(), told.metrics.read_text())
    if not said["flags"] or not said["metrics"]:
        parser.error("these files hold no flags, or no metrics")
    made, found = check(said)
    for words in found:
        print(words)
    if not found:
        count = sum(len(them) for them, _ in made.values())
        print(f"{count} resources in {len(made)} bundles are well")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
