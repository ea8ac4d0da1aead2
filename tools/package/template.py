"""Makes the template of a release: template.yaml, with the zip's place in S3 where it is built otherwise.

    template.py TARGET

SAM takes for CodeUri either a folder, which it builds, or a bucket and a key: no condition chooses between the two.
Hence two templates, which differ in that one property and in the two parameters for it.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PARAMETERS = """\
  CodeBucket:
    Type: String
    Description: The bucket of this Region that the zip of the release was uploaded to.
    AllowedPattern: ^[a-z0-9.-]{3,63}$
    ConstraintDescription: is the name of a bucket
  CodeKey:
    Type: String
    Default: nat-triage-lambda-arm64.zip
    Description: The zip's key in that bucket. It has to be the zip for the processor that Architecture names.
    AllowedPattern: ^.{1,1024}$
    ConstraintDescription: is the key of an object
"""
LABELS = """\
      CodeBucket: {default: Bucket of the zip}
      CodeKey: {default: Key of the zip}
"""


def replaced(text, pattern, replacement):
    """`text` with what the pattern finds, which has to be found once, replaced."""
    made, times = re.subn(pattern, lambda found: found.expand(replacement), text, flags=re.MULTILINE)
    if times != 1:
        sys.exit(f"tools/package/template.py: template.yaml has {times} places that look like {pattern!r}, not one")
    return made


def packaged(text):
    text = replaced(text, r"^      CodeUri: \.$", "      CodeUri:\n        Bucket: !Ref CodeBucket\n        Key: !Ref CodeKey")
    text = replaced(
        text,
        r"^    Metadata:\n      BuildMethod: rust-cargolambda\n      BuildProperties:\n        Binary: nat-triage-lambda\n",
        "",
    )
    # Two files that are not in a release, of which only `sam publish` wants to know.
    text = replaced(text, r"^  # For `sam publish`.*\n  AWS::ServerlessRepo::Application:\n(    .*\n)+", "")
    text = replaced(text, r"^Parameters:\n", r"Parameters:\n" + PARAMETERS)
    text = replaced(text, r"^    ParameterLabels:\n", r"    ParameterLabels:\n" + LABELS)
    return replaced(
        text,
        r"^    ParameterGroups:\n",
        "    ParameterGroups:\n"
        "      - Label:\n          default: Where the function's code is\n"
        "        Parameters: [CodeBucket, CodeKey]\n",
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(packaged((ROOT / "template.yaml").read_text()))
