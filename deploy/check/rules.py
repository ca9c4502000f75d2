"""What no schema knows: whether resources fit each other, and the server that they start."""

import re

from resources import name

# After the drain: the last answers (1 s), request logs and models (5 s each).
AFTER_DRAIN = 11
USER = 10001
METRICS = "/monitoring/prometheus/metrics"
LIVE, READY = "/health/live", "/health/ready"
# What each of KServe's protocols is answered by.
PROTOCOL_FLAG = {"v1": "rest_api_port", "v2": "rest_api_port", "grpc-v1": "port", "grpc-v2": "port"}


def flags(container):
    """Flags of the server by their names; those without a value have an empty one."""
    found = {}
    for argument in container.get("args", []):
        if argument.startswith("--"):
            flag, _, value = argument[2:].partition("=")
            found[flag] = value
    return found


def servers(bundle):
    """Every container that runs the server: (resource, its pod's spec, container)."""
    for resource in bundle:
        spec = resource.get("spec", {})
        pod = spec if resource["kind"] == "ServingRuntime" else spec.get("template", {}).get("spec")
        for container in (pod or {}).get("containers", []):
            if container["name"] in ("tensorgate", "kserve-container"):
                yield resource, pod, container


def of_kind(bundle, *kinds):
    return [it for it in bundle if it["kind"] in kinds]


def within(wanted, labels):
    return bool(wanted) and wanted.items() <= (labels or {}).items()


def check(bundle, known, outside=()):
    """Everything that is wrong. `known` has what the server says of itself: its flags, its metrics."""
    found = []
    seen = set()
    for it in bundle:
        key = (it["kind"], it["metadata"]["name"])
        if key in seen:
            found.append(f"{name(it)} comes twice")
        seen.add(key)
    for resource, pod, container in servers(bundle):
        say = lambda words, it=resource: found.append(f"{name(it)}: {words}")
        server(pod, container, known, say)
        volumes(bundle, pod, container, outside, say)
        secured(resource, pod, container, say)
        if resource["kind"] == "Deployment":
            drained(pod.get("terminationGracePeriodSeconds"), flags(container), say)
            scraped(resource, flags(container), say)
    found += selected(bundle)
    found += scaled(bundle, known)
    found += inference(bundle)
    return found


def server(pod, container, known, say):
    told = flags(container)
    if container["args"][:1] != ["serve"]:
        say("the image's entry point wants `serve` first")
    for flag in told:
        if flag not in known["flags"]:
            say(f"the server knows no flag --{flag}")
    ports = {it.get("name"): it["containerPort"] for it in container.get("ports", [])}
    for port_name, flag in (("http", "rest_api_port"), ("grpc", "port")):
        if port_name in ports and str(ports[port_name]) != told.get(flag):
            say(f"the port {port_name} is {ports[port_name]}, and --{flag} says {told.get(flag)}")
    for probe, path in (("livenessProbe", LIVE), ("readinessProbe", READY)):
        asked = container.get(probe, {}).get("httpGet", {})
        port = asked.get("port")
        if asked.get("path") != path or str(ports.get(port, port)) != told.get("rest_api_port"):
            say(f"{probe} asks {asked}, not {path} of the HTTP port")


def volumes(bundle, pod, container, outside, say):
    there = {it["name"]: it for it in pod.get("volumes", [])}
    mounts = {it["mountPath"]: it for it in container.get("volumeMounts", [])}
    for mount in mounts.values():
        if mount["name"] not in there:
            say(f"nothing is the volume {mount['name']}")
    for unused in set(there) - {it["name"] for it in mounts.values()}:
        say(f"nobody mounts the volume {unused}")
    told = flags(container)
    cache = mounts.get(told.get("cache_dir"))
    if not cache or cache.get("readOnly") or "emptyDir" not in there.get(cache["name"], {}):
        say(f"--cache_dir={told.get('cache_dir')} is no empty directory that can be written to")
    names = {(it["kind"], it["metadata"]["name"]) for it in bundle} | set(outside)
    for volume in there.values():
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and ("PersistentVolumeClaim", claim) not in names:
            say(f"no claim is named {claim}")
        config = volume.get("configMap", {}).get("name")
        if config and ("ConfigMap", config) not in names:
            say(f"no ConfigMap is named {config}")
    if "model_config_file" in told:
        folder, _, file = told["model_config_file"].rpartition("/")
        mount = mounts.get(folder, {})
        config = there.get(mount.get("name"), {}).get("configMap", {}).get("name")
        data = [it["data"] for it in of_kind(bundle, "ConfigMap") if it["metadata"]["name"] == config]
        if not data or file not in data[0]:
            say(f"--model_config_file={told['model_config_file']} is in no ConfigMap")
        elif not all(
            any(path == it or path.startswith(it + "/") for it in mounts)
            for path in re.findall(r'base_path:\s*"([^"]+)"', data[0][file])
        ):
            say("a base path of the models' configuration is on no volume")
    elif told.get("model_base_path") != "/mnt/models":
        say("no model is named")


def secured(resource, pod, container, say):
    runs = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    wanted = {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for field, value in wanted.items():
        if runs.get(field) != value:
            say(f"securityContext: {field} is {runs.get(field)!r}, and not {value!r}")
    if resource["kind"] == "Deployment" and pod.get("automountServiceAccountToken") is not False:
        say("the server needs no token of the cluster")
    if not container.get("resources", {}).get("requests") or not container["resources"].get("limits"):
        say("no resources are asked for")


def drained(grace, told, say):
    """SIGKILL comes after `grace`: the server must have ended by itself before."""
    delay, drain = int(told.get("drain_delay_seconds", 0)), int(told.get("drain_seconds", 10))
    if delay < 5:
        say("--drain_delay_seconds is too short for endpoints to be taken away")
    if grace is None or grace < delay + drain + AFTER_DRAIN:
        say(
            f"terminationGracePeriodSeconds is {grace}, and the end may take "
            f"{delay} + {drain} + {AFTER_DRAIN} s"
        )


def scraped(resource, told, say):
    annotations = resource["spec"]["template"]["metadata"].get("annotations", {})
    if "prometheus.io/scrape" in annotations:
        there = annotations.get("prometheus.io/port"), annotations.get("prometheus.io/path")
        if there != (told["rest_api_port"], METRICS):
            say(f"metrics are not at {there}")


def selected(bundle):
    """Selectors find what they are for."""
    found = []
    pods = of_kind(bundle, "Deployment")
    for it in pods:
        if not within(it["spec"]["selector"]["matchLabels"], it["spec"]["template"]["metadata"]["labels"]):
            found.append(f"{name(it)}: its selector does not find its own pods")
    for it in of_kind(bundle, "Service", "PodDisruptionBudget"):
        selector = it["spec"]["selector"]
        selector = selector.get("matchLabels", selector)
        hit = [pod for pod in pods if within(selector, pod["spec"]["template"]["metadata"]["labels"])]
        if len(hit) != 1:
            found.append(f"{name(it)}: its selector finds {[name(pod) for pod in hit]}")
            continue
        (container,) = hit[0]["spec"]["template"]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        for port in it["spec"].get("ports", []):
            if port["targetPort"] not in ports:
                found.append(f"{name(it)}: no port is named {port['targetPort']}")
    services = of_kind(bundle, "Service")
    ports = {it["metadata"]["name"]: {p["name"] for p in it["spec"]["ports"]} for it in services}
    for it in of_kind(bundle, "ServiceMonitor"):
        wanted = it["spec"]["selector"]["matchLabels"]
        hit = [one for one in services if within(wanted, one["metadata"]["labels"])]
        if len(hit) != 1:
            found.append(f"{name(it)}: its selector finds {[name(one) for one in hit]}")
        for endpoint in it["spec"]["endpoints"]:
            if endpoint.get("path") != METRICS:
                found.append(f"{name(it)}: metrics are not at {endpoint.get('path')}")
            if any(endpoint["port"] not in ports[one["metadata"]["name"]] for one in hit):
                found.append(f"{name(it)}: no port is named {endpoint['port']}")
    for it in of_kind(bundle, "Ingress"):
        for rule in it["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                if service["port"]["name"] not in ports.get(service["name"], ()):
                    found.append(f"{name(it)}: no service has {service}")
    return found


def scaled(bundle, known):
    """An autoscaler's target is there, leaves it the number, and has the metric."""
    found = []
    for it in of_kind(bundle, "HorizontalPodAutoscaler"):
        spec = it["spec"]
        target = spec["scaleTargetRef"]["name"]
        hit = [
            one
            for one in of_kind(bundle, "Deployment", "SpinApp")
            if one["metadata"]["name"] == target
        ]
        if len(hit) != 1 or spec["scaleTargetRef"]["kind"] != "Deployment":
            found.append(f"{name(it)}: nothing is {spec['scaleTargetRef']}")
            continue
        if "replicas" in hit[0]["spec"]:
            found.append(f"{name(hit[0])}: has replicas and an autoscaler")
        if hit[0]["kind"] == "SpinApp" and not hit[0]["spec"].get("enableAutoscaling"):
            found.append(f"{name(hit[0])}: does not let the autoscaler scale it")
        if not spec["minReplicas"] <= spec["maxReplicas"]:
            found.append(f"{name(it)}: minReplicas is more than maxReplicas")
        for metric in spec["metrics"]:
            if metric["type"] == "Pods" and metric["pods"]["metric"]["name"] not in known["metrics"]:
                found.append(f"{name(it)}: the server has no {metric['pods']['metric']['name']}")
    return found


def inference(bundle):
    """InferenceServices and the runtime that they ask for."""
    found = []
    runtimes = {it["metadata"]["name"]: it["spec"] for it in of_kind(bundle, "ServingRuntime")}
    for it in of_kind(bundle, "InferenceService"):
        predictor = it["spec"]["predictor"]
        model = predictor["model"]
        say = lambda words, it=it: found.append(f"{name(it)}: {words}")
        runtime = runtimes.get(model.get("runtime"))
        if runtime is None:
            say(f"no runtime is named {model.get('runtime')}")
            continue
        if not any(
            model["modelFormat"].items() <= format.items()
            for format in runtime["supportedModelFormats"]
        ):
            say(f"the runtime has no {model['modelFormat']}")
        protocol = model.get("protocolVersion", "v1")
        if protocol not in runtime["protocolVersions"]:
            say(f"the runtime has no {protocol}")
        (container,) = runtime["containers"]
        told = flags(container)
        if told.get("model_name") != "{{.Name}}":
            say("the model is not served under the InferenceService's name")
        # Without ports of its own KServe calls 8080.
        port = str(model.get("ports", [{"containerPort": 8080}])[0]["containerPort"])
        if port != told[PROTOCOL_FLAG[protocol]]:
            say(f"{protocol} is answered on {told[PROTOCOL_FLAG[protocol]]}, not on {port}")
        if it["metadata"].get("annotations", {}).get("serving.kserve.io/deploymentMode") == "RawDeployment":
            drained(predictor.get("terminationGracePeriodSeconds"), told, say)
    return found
