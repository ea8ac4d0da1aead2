"""Checks what a release adds: the template that takes a zip's place in S3, and what is told of the application.

    packaged.py TARGET.yaml          writes that template to TARGET.yaml, for the linters

Needs the environment .venv/templates. Asks nothing of the network.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]

problems = []


def check(holds, problem):
    if not holds:
        problems.append(problem)


class NoManagedPolicies:
    def load(self):
        return {}


def code_of(template):
    """Where each function's code is, after the SAM transform."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    resources = transform(template, {}, NoManagedPolicies())["Resources"].values()
    return [body["Properties"]["Code"] for body in resources if body["Type"] == "AWS::Lambda::Function"]


def check_packaged(source, packaged):
    wanted = [{"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}]
    check(code_of(yaml_parse(packaged)) == wanted, f"the code is looked for at {code_of(yaml_parse(packaged))}")
    template, before = yaml_parse(packaged), yaml_parse(source)
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = {name for group in groups["ParameterGroups"] for name in group["Parameters"]}
    check(grouped == set(groups["ParameterLabels"]) == set(template["Parameters"]), "a parameter has no group or label")
    check("Default" not in template["Parameters"]["CodeBucket"], "nobody has a bucket that could be the default")
    # All else is the template's, to the letter.
    for made in (template, before):
        function = made["Resources"]["TriageFunction"]
        function["Properties"].pop("CodeUri")
        function.pop("Metadata", None)
    check(template["Resources"] == before["Resources"], "its resources are not those of template.yaml")


def check_application(template):
    """What the Serverless Application Repository would show."""
    application = template["Metadata"]["AWS::ServerlessRepo::Application"]
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    check(application["SemanticVersion"] == version, f"SemanticVersion is not {version}, which Cargo.toml has")
    for name in ("LicenseUrl", "ReadmeUrl"):
        check((ROOT / application[name]).is_file(), f"{name} is no file of this repository")


def main():
    target = Path(sys.argv[1])
    subprocess.run([sys.executable, str(ROOT / "tools/package/template.py"), str(target)], check=True)
    source = (ROOT / "template.yaml").read_text()
    check_packaged(source, target.read_text())
    check_application(yaml_parse(source))
    if problems:
        for problem in problems:
            print(f"the template of a release: {problem}", file=sys.stderr)
        sys.exit(1)
    print("the template of a release: takes a zip's place in S3, and is template.yaml otherwise")


if __name__ == "__main__":
    main()
