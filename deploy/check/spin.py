"""The edge app's manifest for registries, held to the one that developers use, and to the SpinApp."""

import tomllib

# What both must say alike of the edge; the one file has no dependencies, and is built elsewhere.
ALIKE = ("allowed_outbound_hosts", "variables", "key_value_stores", "files")


def problems(root, bundle):
    one = tomllib.loads((root / "deploy/spinkube/spin.toml").read_text())
    many = tomllib.loads((root / "spin.toml").read_text())
    found = []
    if one["spin_manifest_version"] != 2:
        found.append("it is of another version than 2")
    edge, original = one["component"]["edge"], many["component"]["edge"]
    if "dependencies" in edge or set(one["component"]) != {"edge"}:
        found.append("it has more than the one file")
    for field in ALIKE:
        if edge.get(field) != original.get(field):
            found.append(f"{field} is {edge.get(field)}, and {original.get(field)} in spin.toml")
    if one["variables"] != many["variables"]:
        found.append("its variables are not those of spin.toml")
    if one["trigger"] != many["trigger"]:
        found.append("its triggers are not those of spin.toml")
    for app in bundle:
        if app["kind"] != "SpinApp":
            continue
        told = {it["name"] for it in app["spec"].get("variables", [])}
        if unknown := told - set(one["variables"]):
            found.append(f"the SpinApp sets {unknown}, which it has not")
        if "tensorgate_url" not in told:
            found.append("the SpinApp does not say where the models are")
        image = app["spec"]["image"].rpartition("/")[2]
        if image != f"{one['application']['name']}:{one['application']['version']}":
            found.append(f"the SpinApp's image is {image}")
    executors = {it["metadata"]["name"]: it for it in bundle if it["kind"] == "SpinAppExecutor"}
    classes = {it["metadata"]["name"] for it in bundle if it["kind"] == "RuntimeClass"}
    for app in (it for it in bundle if it["kind"] == "SpinApp"):
        executor = executors.get(app["spec"]["executor"], {}).get("spec", {})
        if executor.get("deploymentConfig", {}).get("runtimeClassName") not in classes:
            found.append(f"nothing is the executor {app['spec']['executor']}")
    return [f"spin.toml: {it}" for it in found]
