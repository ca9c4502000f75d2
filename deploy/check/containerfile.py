"""The Containerfile: hadolint's rules, and whether its versions and numbers are those of others."""

import pathlib
import re
import subprocess
import sys

import rules


def problems(root):
    file = root / "deploy/Containerfile"
    text = file.read_text()
    found = []
    hadolint = pathlib.Path(sys.executable).with_name("hadolint")
    said = subprocess.run(
        [hadolint, "--no-color", "--config", root / "deploy/hadolint.yaml", file],
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode:
        found += (said.stdout + said.stderr).splitlines()
    toolchain = re.search(r'channel = "([^"]+)"', (root / "rust-toolchain.toml").read_text())[1]
    if f"rust:{toolchain}-" not in text:
        found.append(f"its Rust is not {toolchain}, as rust-toolchain.toml has it")
    wanted = (root / "examples/requirements.txt").read_text()
    tensorflow = re.search(r"^tensorflow-cpu==([0-9.]+)", wanted, re.MULTILINE)[1]
    named = set(re.findall(r"^ARG TENSORFLOW=(.*)$", text, re.MULTILINE))
    if named != {tensorflow}:
        found.append(f"its TensorFlow is {named}, and {tensorflow} in examples/requirements.txt")
    # The user at the end of each stage that is run.
    for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        users = re.findall(r"^USER (\S+)$", stage, re.MULTILINE)
        if users and users[-1] != f"{rules.USER}:{rules.USER}":
            found.append(f"a stage ends as the user {users[-1]}")
    for stage in ("server", "cpu", "gpu"):
        if not re.search(rf"^FROM \S+ AS {stage}$", text, re.MULTILINE):
            found.append(f"there is no stage {stage}")
    return [f"Containerfile: {it}" for it in found]
