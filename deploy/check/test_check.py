"""Every mistake that the check is for is found: each is made here, and must be told of."""

import copy
import importlib.util
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

# By its file: `__main__` is unittest here.
spec = importlib.util.spec_from_file_location(
    "deploy_check", pathlib.Path(__file__).with_name("__main__.py")
)
main = importlib.util.module_from_spec(spec)
spec.loader.exec_module(main)

import chart  # noqa: E402
import helm_python  # noqa: E402
import kustomize  # noqa: E402
import resources  # noqa: E402
import rules  # noqa: E402

BUNDLES = main.bundles()


def well():
    """What a server would say that has all that the manifests name."""
    flags = {
        flag
        for them, _ in BUNDLES.values()
        for _, _, container in rules.servers(them)
        for flag in rules.flags(container)
    }
    return {"flags": flags, "metrics": {"tensorgate_requests_in_flight"}}


def at(place, path):
    """What is at a path, and its last step."""
    *steps, last = path
    for step in steps:
        place = place[step]
    return place, last


POD = ("spec", "template", "spec")
SERVER = (*POD, "containers", 0)

# The bundle, the resource, where in it, what is there then (None: nothing), and words of the problem.
MISTAKES = [
    ("kubernetes/base", "Deployment", (*SERVER, "livenesProbe"), {}, "livenesProbe"),
    ("kubernetes/base", "Deployment", (*SERVER, "image"), 7, "is not of type"),
    ("kubernetes/base", "Deployment", (*SERVER, "args", 0), "--port=1", "wants `serve` first"),
    ("kubernetes/base", "Deployment", (*SERVER, "args", 1), "--porrt=8500", "no flag --porrt"),
    ("kubernetes/base", "Deployment", (*SERVER, "args", 2), "--rest_api_port=1", "the port http is"),
    ("kubernetes/base", "Deployment", (*SERVER, "args", 3), "--x=y", "no model is named"),
    (
        "kubernetes/base",
        "Deployment",
        (*SERVER, "args", 3),
        "--model_config_file=/etc/tensorgate/other.config",
        "is in no ConfigMap",
    ),
    ("kubernetes/base", "ConfigMap", ("data", "models.config"), 'base_path: "/m/a"', "on no volume"),
    ("kubernetes/base", "Deployment", (*SERVER, "args", 5), "--cache_dir=/tmp", "--cache_dir=/tmp"),
    ("kubernetes/base", "Deployment", (*SERVER, "args", 6), "--drain_delay_seconds=0", "too short"),
    ("kubernetes/base", "Deployment", (*SERVER, "args", 7), "--drain_seconds=300", "the end may take"),
    ("kubernetes/base", "Deployment", (*POD, "terminationGracePeriodSeconds"), 30, "the end may take"),
    ("kubernetes/base", "Deployment", (*POD, "terminationGracePeriodSeconds"), None, "is None"),
    (
        "kubernetes/base",
        "Deployment",
        (*SERVER, "readinessProbe", "httpGet", "path"),
        "/healthz",
        "readinessProbe asks",
    ),
    (
        "kubernetes/base",
        "Deployment",
        (*SERVER, "livenessProbe", "httpGet", "port"),
        "grpc",
        "livenessProbe asks",
    ),
    ("kubernetes/base", "Deployment", (*SERVER, "volumeMounts", 2, "readOnly"), True, "--cache_dir"),
    ("kubernetes/base", "Deployment", (*POD, "volumes", 0, "name"), "conf", "nothing is the volume"),
    (
        "kubernetes/base",
        "Deployment",
        (*POD, "volumes", 1, "persistentVolumeClaim", "claimName"),
        "x",
        "no claim is named x",
    ),
    ("kubernetes/base", "Deployment", (*POD, "securityContext", "runAsUser"), 0, "runAsUser is 0"),
    (
        "kubernetes/base",
        "Deployment",
        (*SERVER, "securityContext", "readOnlyRootFilesystem"),
        None,
        "readOnlyRootFilesystem is None",
    ),
    ("kubernetes/base", "Deployment", (*SERVER, "resources", "limits"), None, "no resources"),
    ("kubernetes/base", "Deployment", ("spec", "replicas"), 3, "replicas and an autoscaler"),
    (
        "kubernetes/base",
        "Deployment",
        ("spec", "template", "metadata", "labels", "app.kubernetes.io/component"),
        "x",
        "does not find its own pods",
    ),
    (
        "kubernetes/base",
        "Deployment",
        ("spec", "template", "metadata", "annotations", "prometheus.io/path"),
        "/metrics",
        "metrics are not at",
    ),
    ("kubernetes/base", "Service", ("spec", "selector"), {"a": "b"}, "its selector finds []"),
    ("kubernetes/base", "Service", ("spec", "ports", 0, "targetPort"), "web", "no port is named web"),
    ("kubernetes/base", "PodDisruptionBudget", ("spec", "minUnavailable"), 1, "minUnavailable"),
    (
        "kubernetes/base",
        "HorizontalPodAutoscaler",
        ("spec", "scaleTargetRef", "name"),
        "x",
        "nothing is",
    ),
    (
        "kubernetes/base",
        "HorizontalPodAutoscaler",
        ("spec", "metrics", 0, "pods", "metric", "name"),
        "tensorgate_load",
        "the server has no tensorgate_load",
    ),
    ("kubernetes/base", "HorizontalPodAutoscaler", ("spec", "minReplicas"), 99, "is more than"),
    (
        "kubernetes/prometheus-operator",
        "ServiceMonitor",
        ("spec", "endpoints", 0, "port"),
        "web",
        "no port is named web",
    ),
    (
        "kubernetes/prometheus-operator",
        "ServiceMonitor",
        ("spec", "endpoints", 0, "portt"),
        "http",
        "'portt' was unexpected",
    ),
    (
        "kubernetes/prometheus-operator",
        "ServiceMonitor",
        ("spec", "selector", "matchLabels"),
        {"app.kubernetes.io/name": "tensorgate"},
        "its selector finds",
    ),
    ("kserve", "ServingRuntime", ("spec", "protocolVersions"), ["v1"], "the runtime has no"),
    ("kserve", "ServingRuntime", ("spec", "protocols"), ["v1"], "'protocols' was unexpected"),
    ("kserve", "ServingRuntime", ("spec", "containers", 0, "arg"), [], "'arg' was unexpected"),
    ("kserve", "ServingRuntime", ("spec", "containers", 0, "args", 1), "--model_name=m", "under the"),
    ("kserve", "ServingRuntime", ("spec", "containers", 0, "args", 3), "--rest_api_port=1", "on 1"),
    ("kserve", "ServingRuntime", ("metadata", "name"), "other", "no runtime is named tensorgate"),
    (
        "kserve",
        "InferenceService/half-plus-two-grpc",
        ("spec", "predictor", "model", "ports"),
        None,
        "grpc-v2 is answered on 9000, not on 8080",
    ),
    (
        "kserve",
        "InferenceService/half-plus-two",
        ("spec", "predictor", "model", "modelFormat", "version"),
        "3",
        "the runtime has no",
    ),
    (
        "kserve",
        "InferenceService/half-plus-two",
        ("spec", "predictor", "model", "storageUri"),
        "models",
        "does not match",
    ),
    (
        "kserve",
        "InferenceService/half-plus-two",
        ("spec", "predictor", "terminationGracePeriodSeconds"),
        None,
        "the end may take",
    ),
    ("spinkube", "SpinApp", ("spec", "replicas"), 2, "replicas and an autoscaler"),
    ("spinkube", "SpinApp", ("spec", "enableAutoscaling"), False, "does not let the autoscaler"),
    ("spinkube", "SpinApp", ("spec", "variable"), [], "'variable' was unexpected"),
    ("spinkube", "SpinApp", ("spec", "image"), None, "'image' is a required property"),
    (
        "spinkube",
        "SpinAppExecutor",
        ("spec", "deploymentConfig", "spinImage"),
        "x",
        "is valid under each of",
    ),
    (
        "helm/everything-values.yaml",
        "Ingress",
        ("spec", "rules", 0, "http", "paths", 0, "backend", "service", "port", "name"),
        "web",
        "no service has",
    ),
    (
        "helm/everything-values.yaml",
        "Deployment",
        (*POD, "volumes", 1, "persistentVolumeClaim", "claimName"),
        "other",
        "no claim is named other",
    ),
]


class Mistakes(unittest.TestCase):
    def test_there_are_none_to_begin_with(self):
        _, found = main.check(well())
        self.assertEqual(found, [])

    def test_each_is_told_of(self):
        for bundle, which, path, value, words in MISTAKES:
            with self.subTest(bundle=bundle, resource=which, path=path):
                them, outside = copy.deepcopy(BUNDLES[bundle])
                kind, _, wanted = which.partition("/")
                hit = next(
                    it
                    for it in them
                    if it["kind"] == kind and wanted in ("", it["metadata"]["name"])
                )
                place, last = at(hit, path)
                if value is None:
                    del place[last]
                else:
                    place[last] = value
                found = resources.problems(hit)
                # What has no schema's form is not looked at any further by `kubectl` either.
                if not found or value is None:
                    found += rules.check(them, well(), outside)
                self.assertTrue([it for it in found if words in it], found)

    def test_a_resource_that_comes_twice(self):
        them, outside = BUNDLES["kubernetes/base"]
        found = rules.check([*them, them[0]], well(), outside)
        self.assertTrue(any("comes twice" in it for it in found), found)

    def test_a_kind_that_nobody_knows(self):
        (problem,) = set(
            resources.problems({"apiVersion": "v1", "kind": "Pood", "metadata": {"name": "x"}})
        )
        self.assertIn("no schema for v1 Pood", problem)

    def test_a_key_that_comes_twice(self):
        with self.assertRaisesRegex(Exception, "the key 'a' comes twice"):
            resources.load("x: {a: 1, a: 2}")

    def test_another_version_of_the_image(self):
        them = copy.deepcopy(BUNDLES["kubernetes/base"][0])
        (container,) = [it for _, _, it in rules.servers(them)]
        container["image"] = "tensorgate:0.0.1"
        (problem,) = main.versions({"b": (them, ())})
        self.assertIn("0.0.1 is not", problem)


class Kustomize(unittest.TestCase):
    def build(self, kustomization, **files):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
            (folder / "kustomization.yaml").write_text(head + kustomization)
            for file, text in files.items():
                (folder / f"{file}.yaml").write_text(text)
            return kustomize.build(folder)

    def test_what_is_not_there_is_an_error(self):
        thing = "kind: K\nmetadata: {name: n}\nspec: {a: 1}\n"
        patch = "patches: [{path: p.yaml, target: {kind: K, name: n}}]\n"
        for kustomization, files, words in [
            ("resource: [a.yaml]", {}, "unknown fields"),
            ("resources: [a.yaml]", {}, "a.yaml is not there"),
            ("images: [{name: x, newName: x, newTag: '1'}]", {}, "no container has the image x"),
            (
                "resources: [a.yaml]\n" + patch.replace("n}", "o}"),
                {"a": thing, "p": "[]"},
                "nothing here is the K o",
            ),
            (
                "resources: [a.yaml]\n" + patch,
                {"a": thing, "p": "- {op: replace, path: /spec/b, value: 1}"},
                "is not there to be replaced",
            ),
            (
                "resources: [a.yaml]\n" + patch,
                {"a": thing, "p": "- {op: add, path: /spec/a, value: 1}"},
                "is there already",
            ),
            (
                "resources: [a.yaml]\n" + patch,
                {"a": thing, "p": "- {op: add, path: /spek/a, value: 1}"},
                "there is no /spek/a",
            ),
        ]:
            with self.subTest(words), self.assertRaisesRegex(kustomize.Wrong, words):
                self.build(kustomization, **files)

    def test_gpus_are_asked_for(self):
        them, _ = BUNDLES["kubernetes/gpu"]
        ((_, pod, container),) = rules.servers(them)
        self.assertEqual(container["resources"]["limits"]["nvidia.com/gpu"], "1")
        self.assertEqual(container["image"].rpartition("-")[2], "gpu")
        self.assertTrue(pod["tolerations"])


class Chart(unittest.TestCase):
    def test_values_that_mean_nothing_are_errors(self):
        for given, words in [
            ({"flag": {}}, "'flag' not allowed"),
            ({"gpu": {"count": 0}}, "minimum"),
            ({"flags": {"port": 1}}, "the chart sets --port itself"),
            ({"models": {"claim": {"create": False}}}, "/models comes from nowhere"),
            ({"models": {"volume": {"nfs": {}}, "initContainers": [{"name": "x"}]}}, "both set"),
        ]:
            with self.subTest(words), self.assertRaisesRegex(helm_python.HelmError, words):
                chart.render(main.CHART, given)

    def test_numbers_stay_as_they_are_written(self):
        them, _ = BUNDLES["helm/everything-values.yaml"]
        ((_, _, container),) = rules.servers(them)
        self.assertIn("--max_body_bytes=1000000", container["args"])

    def test_what_is_not_wanted_is_not_there(self):
        kinds = {it["kind"] for it in BUNDLES["helm/fetched-values.yaml"][0]}
        self.assertEqual(kinds, {"ConfigMap", "Deployment", "Service"})
        kinds = {it["kind"] for it in BUNDLES["helm/everything-values.yaml"][0]}
        self.assertEqual(
            kinds,
            {
                "ConfigMap",
                "Deployment",
                "HorizontalPodAutoscaler",
                "Ingress",
                "PodDisruptionBudget",
                "Service",
                "ServiceMonitor",
            },
        )


if __name__ == "__main__":
    unittest.main()
