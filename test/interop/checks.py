"""Counts the checks of a program whose last line is `N passed, M failed`, as run.mjs reads it."""
import sys

passed = failed = 0


def check(label, test):
    """Runs `test`, which raises where something is wrong."""
    global passed, failed
    try:
        test()
        passed += 1
        print(f"ok   {label}")
    except Exception as error:
        failed += 1
        print(f"FAIL {label}: {type(error).__name__}: {error}")


def finish():
    """Prints the counts and ends the program: code 1 where a check failed or none was made."""
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
