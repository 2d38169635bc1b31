"""Names the tests that were left out, by reason; with --strict, fails if a program was missing that we install.

python .ci/left_out.py var/tests.xml [--strict]
"""

import re
import sys
from collections import Counter
from xml.etree import ElementTree

EXPECTED = re.compile(r"beside the (repository|checkout)|OUTCOME_TEST_\w+=1|^not of this platform: ")
"""Data that is not ours to ship, what only runs where somebody asks for it, and what a platform does not have."""


def main(path: str, *options: str) -> int:
    cases = ElementTree.parse(path).getroot().iter("testcase")  # noqa: S314 - our own test run wrote it
    skipped = [case.find("skipped") for case in cases]
    reasons = Counter(skip.get("message", "no reason given") for skip in skipped if skip is not None)
    for reason, count in reasons.most_common():
        sys.stdout.write(f"left out: {count} test{'s' if count > 1 else ''}: {reason}\n")
    wrong = [reason for reason in reasons if not EXPECTED.search(reason)]
    return 1 if wrong and "--strict" in options else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
