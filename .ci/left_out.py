"""Names the tests that were left out, by reason; with --strict, fails unless only recordings were missing.

python .ci/left_out.py var/tests.xml [--strict]
"""

import sys
from collections import Counter
from xml.etree import ElementTree


def main(path: str, *options: str) -> int:
    cases = ElementTree.parse(path).getroot().iter("testcase")  # noqa: S314 - our own test run wrote it
    skipped = [case.find("skipped") for case in cases]
    reasons = Counter(skip.get("message", "no reason given") for skip in skipped if skip is not None)
    for reason, count in reasons.most_common():
        sys.stdout.write(f"left out: {count} test{'s' if count > 1 else ''}: {reason}\n")
    wrong = [reason for reason in reasons if "recordings" not in reason]
    return 1 if wrong and "--strict" in options else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
