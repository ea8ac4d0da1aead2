"""Writes the bill of materials of one program, in CycloneDX 1.6, from what Cargo resolved.

    sbom.py TARGET.cdx.json PROGRAM TRIPLE SECONDS [cargo's options for features]

It lists each crate that is linked into the program, or that made a part of its code (procedural macros), with its
version, licence and checksum. Build scripts and tests are left out. Checked against the schema before it is written.
"""

import datetime
import json
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "nat-triage"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "nat-triage.invalid")


def metadata(triple, options):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", triple, *options]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked(found):
    """The ids of the package and all that it needs by normal dependencies, each with the ids that it needs itself."""
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    (root,) = (package["id"] for package in found["packages"] if package["name"] == PACKAGE)
    needs, open_ids = {}, [root]
    while open_ids:
        one = open_ids.pop()
        if one in needs:
            continue
        dependencies = nodes[one]["deps"]
        normal = [d["pkg"] for d in dependencies if any(kind["kind"] is None for kind in d["dep_kinds"])]
        needs[one] = sorted(normal)
        open_ids += normal
    return root, needs


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}


def component(package, sums, kind="library"):
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    made = {"type": kind, "bom-ref": purl, "name": package["name"], "version": package["version"], "purl": purl}
    if package["license"]:
        # Older crates write the choice with a slash.
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return made


def bill(program, triple, seconds, options):
    found = metadata(triple, options)
    packages = {package["id"]: package for package in found["packages"]}
    root, needs = linked(found)
    sums = checksums()
    main = component(packages[root], sums, "application")
    main["name"] = program
    references = {one: f"pkg:cargo/{packages[one]['name']}@{packages[one]['version']}" for one in needs}
    parts = sorted((component(packages[one], sums) for one in needs if one != root), key=lambda part: part["bom-ref"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, f'{program} {triple} {seconds}')}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": main,
            "properties": [{"name": "cargo:target", "value": triple}],
        },
        "components": parts,
        "dependencies": [
            {"ref": references[one], "dependsOn": sorted(references[need] for need in needs[one])} for one in sorted(needs)
        ],
    }


def main(target, program, triple, seconds, *options):
    made = bill(program, triple, int(seconds), options)
    text = json.dumps(made, indent=1, sort_keys=True) + "\n"
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        sys.exit(f"tools/package/sbom.py: {target} is no CycloneDX: {problem}")
    unlicensed = [part["name"] for part in made["components"] if "licenses" not in part]
    if unlicensed:
        sys.exit(f"tools/package/sbom.py: no licence of {', '.join(unlicensed)}")
    Path(target).write_text(text)
    print(f"{target}: {len(made['components'])} crates")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
