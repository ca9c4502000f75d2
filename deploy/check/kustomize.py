"""What a kustomization gives, for the part of kustomize that the ones here use.

Another field than these is an error; `kubectl kustomize` has the last word, where it is at hand.
"""

import copy
import fnmatch
import pathlib

import resources

FIELDS = {
    "apiVersion",
    "kind",
    "resources",
    "configMapGenerator",
    "generatorOptions",
    "images",
    "patches",
}


class Wrong(Exception):
    """A kustomization that is none."""


def build(folder, used=None):
    """The resources of a kustomization. Files that it read are added to `used`."""
    folder = pathlib.Path(folder)
    file = folder / "kustomization.yaml"
    used = set() if used is None else used
    used.add(file.resolve())
    (told,) = resources.load(file.read_text())
    unknown = set(told) - FIELDS
    if unknown:
        raise Wrong(f"{file}: unknown fields {sorted(unknown)}")
    if told.get("kind") != "Kustomization":
        raise Wrong(f"{file}: kind is {told.get('kind')!r}")
    made = []
    for entry in told.get("resources", []):
        path = folder / entry
        if path.is_dir():
            made += build(path, used)
        elif path.is_file():
            used.add(path.resolve())
            made += resources.load(path.read_text())
        else:
            raise Wrong(f"{file}: {entry} is not there")
    made += [config_map(folder, it, told, used) for it in told.get("configMapGenerator", [])]
    for patch in told.get("patches", []):
        apply(folder, patch, made, used)
    for image in told.get("images", []):
        set_image(file, image, made)
    return made


def config_map(folder, generator, told, used):
    options = told.get("generatorOptions", {})
    if not options.get("disableNameSuffixHash"):
        raise Wrong(f"{folder}: a ConfigMap with a suffix would be another one after each change")
    data = {}
    for entry in generator["files"]:
        path = folder / entry
        used.add(path.resolve())
        data[path.name] = path.read_text()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": generator["name"], "labels": options.get("labels", {})},
        "data": data,
    }


def apply(folder, patch, made, used):
    """A list of operations (RFC 6902) on each resource that the target names."""
    path = folder / patch["path"]
    used.add(path.resolve())
    (operations,) = resources.load(path.read_text())
    target = patch["target"]
    hit = [
        it
        for it in made
        if it["kind"] == target["kind"] and fnmatch.fnmatch(it["metadata"]["name"], target["name"])
    ]
    if not hit:
        raise Wrong(f"{path}: nothing here is the {target['kind']} {target['name']}")
    for resource in hit:
        for operation in operations:
            change(path, resource, copy.deepcopy(operation))


def change(path, resource, operation):
    if set(operation) != {"op", "path", "value"} or operation["op"] not in ("add", "replace"):
        raise Wrong(f"{path}: {operation} is no add or replace")
    steps = [it.replace("~1", "/").replace("~0", "~") for it in operation["path"].split("/")[1:]]
    place = resource
    for step in steps[:-1]:
        try:
            place = place[int(step)] if isinstance(place, list) else place[step]
        except (KeyError, IndexError, ValueError):
            raise Wrong(f"{path}: there is no {operation['path']}") from None
    last = steps[-1]
    if operation["op"] == "replace" and last not in place:
        raise Wrong(f"{path}: {operation['path']} is not there to be replaced")
    if operation["op"] == "add" and last in place:
        raise Wrong(f"{path}: {operation['path']} is there already")
    place[last] = operation["value"]


def set_image(file, image, made):
    hit = False
    for resource in made:
        pod = resource.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("initContainers", []) + pod.get("containers", []):
            if container["image"].split(":")[0] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
                hit = True
    if not hit:
        raise Wrong(f"{file}: no container has the image {image['name']}")
