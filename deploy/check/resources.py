"""Reads resources, and holds each to its schema: Kubernetes' own, or that of crds.yaml.

Both are strict: a field that is in no schema is an error, as it is with `kubectl apply --validate`.
"""

import functools
import importlib.resources
import json
import pathlib

import jsonschema
import kubernetes_validate
import referencing
import yaml

# The oldest Kubernetes that the manifests are for, and the newest that there are schemas of.
VERSIONS = ("1.29", "1.37")

# Where Kubernetes' own definitions are, by the name that they have among themselves.
KUBERNETES = "https://kubernetes.io/api/_definitions.json#/$defs/"

HERE = pathlib.Path(__file__).parent


class Loader(yaml.SafeLoader):
    """YAML in which a key that comes twice is an error, as it is for Kubernetes."""


def mapping(loader, node, deep=False):
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value!r} comes twice", key.start_mark
            )
        seen.add(key.value)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Loader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG,
    lambda loader, node: mapping(loader, node, deep=True),
)


def load(text):
    """The documents of a text; empty ones are left out."""
    return [it for it in yaml.load_all(text, Loader=Loader) if it is not None]


def name(resource):
    return f"{resource.get('kind')}/{resource.get('metadata', {}).get('name')}"


@functools.cache
def definitions(version):
    """Kubernetes' own definitions, without unknown fields."""
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    file = folder / f"v{version}.0-local-strict" / "_definitions.json"
    return json.loads(file.read_text())


def spec_schema(spec):
    """A schema of crds.yaml, with references in the place of `kubernetes: X`."""
    if isinstance(spec, list):
        return [spec_schema(it) for it in spec]
    if not isinstance(spec, dict):
        return spec
    if set(spec) == {"kubernetes"}:
        return {"$ref": KUBERNETES + spec["kubernetes"]}
    return {key: spec_schema(value) for key, value in spec.items()}


@functools.cache
def ours():
    """Validators for the resources of other projects."""
    newest = referencing.Resource.from_contents(definitions(VERSIONS[-1]))
    registry = newest @ referencing.Registry()
    validators = {}
    for kind, spec in yaml.safe_load((HERE / "crds.yaml").read_text()).items():
        schema = {
            "type": "object",
            "additionalProperties": False,
            "required": ["apiVersion", "kind", "metadata", "spec"],
            "properties": {
                "apiVersion": {"const": kind.split()[0]},
                "kind": {"const": kind.split()[1]},
                "metadata": {"$ref": KUBERNETES + "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
                "spec": {
                    "type": "object",
                    "additionalProperties": False,
                    **spec_schema(spec),
                },
            },
        }
        validators[kind] = jsonschema.Draft202012Validator(schema, registry=registry)
    return validators


def problems(resource):
    """What is wrong with one resource by itself."""
    kind = f"{resource.get('apiVersion')} {resource.get('kind')}"
    if kind in ours():
        found = [
            f"{name(resource)}: {error.json_path}: {error.message}"
            for error in ours()[kind].iter_errors(resource)
        ]
    else:
        found = []
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(resource, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                found.append(
                    f"{name(resource)}: Kubernetes {version}: {error.json_path}: {error.message}"
                )
            except kubernetes_validate.SchemaNotFoundError:
                found.append(f"{name(resource)}: no schema for {kind}")
    if not resource.get("metadata", {}).get("name"):
        found.append(f"{name(resource)}: no name")
    return found
