"""Adds up the JUnit reports of a folder and prints the closing line: `N passed, N failed, N skipped`."""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def main(folder):
    cases, failed, skipped = 0, 0, []
    for report in sorted(pathlib.Path(folder).glob("*.xml")):
        for case in ElementTree.parse(report).iter("testcase"):
            cases += 1
            name = f"{case.get('classname')}.{case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"failed: {name}")
            elif case.find("skipped") is not None or case.get("result") == "skipped":
                skip = case.find("skipped")
                skipped.append((name, (skip.get("message") or "") if skip is not None else ""))
    for name, reason in skipped:
        print(f"skipped: {name}: {reason.strip()}")
    print(f"{cases - failed - len(skipped)} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if failed or cases == 0 else 0


sys.exit(main(sys.argv[1]))
