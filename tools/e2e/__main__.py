"""Deploys the template into emulators on loopback, and takes each permission of the function away in turn.

    tools/e2e --function BINARY|ZIP --leak BINARY [--template FILE] [--only ACTION ...]

The function is the deployed zip, started by ministack with the credentials of the template's role, whose policy
ministack enforces. An alarm invokes it, and the message is read from the topic by SQS, HTTP and HTTPS. Then the policy
is put back without one action, and the alarm comes again: the message has to say what belongs to that action
(docs/permissions.json), or nothing may go out where it is sns:Publish.

`make e2e` builds what this needs. It binds 127.0.0.1 only, stops what it started by process id, and ends within
20 minutes. Exit status: 0 if all is as it should be, 1 if not.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import gate
import losses
from scene import Scene
from stack import ROOT, Failed

MOST_SECONDS = 20 * 60
PERMISSIONS = json.loads((ROOT / "docs/permissions.json").read_text())


def arguments():
    parser = argparse.ArgumentParser(prog="tools/e2e", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--function", required=True, type=Path, help="nat-triage-lambda or its zip, for this machine")
    parser.add_argument("--leak", required=True, type=Path, help="the example `leak` of crates/insights-server")
    parser.add_argument("--template", type=Path, help="a packaged template other than that of this checkout")
    parser.add_argument("--only", nargs="+", metavar="ACTION", help="take away these actions only")
    given = parser.parse_args()
    for program in (given.function, given.leak):
        if not program.is_file():
            parser.error(f"there is no {program}")
    return given


def authorised_by(action):
    namespace = action.partition(":")[0]
    (found,) = (by for name, _, by in gate.SERVICES.values() if name == namespace)
    return gate.authoriser(action, found)


def statements_of(policies):
    return [statement for policy in policies.values() for statement in policy["Statement"]]


def actions_of(policies):
    listed = lambda value: value if isinstance(value, list) else [value]  # noqa: E731
    return {action for statement in statements_of(policies) for action in listed(statement["Action"])}


class Run:
    def __init__(self, scene):
        self.scene, self.problems, self.full = scene, [], None

    def told(self, name, problems):
        for problem in problems:
            print(f"  NOT AS IT SHOULD BE: {problem}", flush=True)
        self.problems += [f"{name}: {problem}" for problem in problems]

    def whole(self):
        """The whole policy, and once more: what all others are compared with."""
        self.full = self.scene.run(self.scene.stack.policies)
        problems = losses.whole(self.scene, self.full)
        if not problems:
            again = self.scene.repeat()
            problems += losses.same("the same alarm again", again.answer.get("reason"), "its report has gone out before")
            link = self.scene.link(self.full)
            problems += losses.same("the page's status", losses.fetched(link), 200)
            kept = {key.rsplit("/", 1)[-1] for key in self.scene.kept_of(self.full.answer["id"])}
            problems += [f"{name} is not kept" for name in {"bundle.json", "report.html"} - kept]
            print(f"under the whole policy: {self.full.envelopes[0]['Subject']}")
            print("  one message by SQS, HTTP and HTTPS (chat); its page opens; the same alarm again is not reported again")
        self.told("the whole policy", problems + self.full.unknown)
        return not problems

    def without(self, action, policies, where=""):
        one = losses.loss(action)
        outcome = one.run(self.scene, policies)
        seen, problems = one.seen(self.scene, outcome, self.full)
        if not outcome.refused[action]:
            problems.insert(0, f"the call was not refused; calls: {dict(outcome.calls)}")
        others = [other for other in outcome.refused if other != action]
        problems += [f"{other} was refused as well" for other in others]
        print(f"  {action:55}{authorised_by(action).partition(',')[0]:11}{seen}{where}", flush=True)
        self.told(action, problems + outcome.unknown)
        return outcome

    def each(self, only):
        known = {permission["action"] for permission in PERMISSIONS}
        granted = actions_of(self.scene.stack.policies)
        self.told("the policy", [f"{action} is not in docs/permissions.json" for action in sorted(granted - known)])
        shown = sorted(known - set(losses.NOT_SHOWN))
        self.told("the policy", [f"{action} is not granted" for action in shown if action not in granted])
        # What is read by HTTP comes first: its reader ends by itself after ten minutes.
        shown = sorted(shown, key=lambda action: not action.startswith("s3:"))
        print("enforced and seen, without (refused by):")
        for action in shown:
            if only and action not in only:
                continue
            outcome = self.without(action, self.scene.stack.without(action))
            if action == "sns:Publish" and not losses.whole(self.scene, outcome):
                self.told(action, ["a run without it passes for a whole one: this check proves nothing"])
            resources = losses.elsewhere(action, self.scene.stack)
            if resources:
                policies = self.scene.stack.elsewhere(action, resources)
                self.without(action, policies, " (allowed elsewhere only)")
        print("not enforced by the emulators, so not shown:")
        for action, why in losses.NOT_SHOWN.items():
            print(f"  {action:55}{why}")


def main():
    given = arguments()
    for name in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(name, lambda *_: sys.exit("tools/e2e: stopped, or it took too long"))
    signal.alarm(MOST_SECONDS)
    with tempfile.TemporaryDirectory(prefix="nat-triage-e2e-") as folder:
        kept = Path(folder)
        template = given.template
        if not template:
            template = kept / "template.yaml"
            subprocess.run([sys.executable, str(ROOT / "tools/package/template.py"), str(template)], check=True)
        try:
            with Scene(kept, given.function.resolve(), given.leak.resolve(), template.resolve()) as scene:
                policies = scene.stack.policies
                size = scene.code.stat().st_size
                print(f"deployed: {scene.stack.resources} resources, a zip of {size / 1e6:.1f} MB ({scene.stack.architecture})")
                print(f"  its role: {len(statements_of(policies))} statements, {len(actions_of(policies))} actions", flush=True)
                run = Run(scene)
                if run.whole():
                    run.each(given.only)
        except Failed as failed:
            sys.exit(f"tools/e2e: {failed}")
    if run.problems:
        sys.exit("tools/e2e:\n" + "\n".join(run.problems))
    print("as it should be")


if __name__ == "__main__":
    main()
