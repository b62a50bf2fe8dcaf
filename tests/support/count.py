"""Adds up the JUnit reports of a folder and prints the closing line: `N passed, N failed, N skipped`.

programs.junit in it is ctest's own report: a program that crashed or ran out of time has left none, and counts as one failed test.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def main(folder):
    cases, failed, skipped, with_failures = 0, 0, [], set()
    for report in sorted(pathlib.Path(folder).glob("*.xml")):
        for case in ElementTree.parse(report).iter("testcase"):
            cases += 1
            name = f"{case.get('classname')}.{case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                with_failures.add(report.stem)
                print(f"failed: {name}")
            elif case.find("skipped") is not None or case.get("result") == "skipped":
                skip = case.find("skipped")
                skipped.append((name, (skip.get("message") or "") if skip is not None else ""))
    programs = pathlib.Path(folder) / "programs.junit"
    for program in ElementTree.parse(programs).iter("testcase") if programs.exists() else []:
        failure = program.find("failure")
        if failure is not None and program.get("name") not in with_failures:
            cases, failed = cases + 1, failed + 1
            print(f"failed: {program.get('name')}, the program itself: its output is above")
    for name, reason in skipped:
        print(f"skipped: {name}: {reason.strip()}")
    print(f"{cases - failed - len(skipped)} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if failed or cases == 0 else 0


sys.exit(main(sys.argv[1]))
