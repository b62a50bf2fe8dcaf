# Runs inside the task while the daemon is killed: a thousand lines, each written, synced and read back. Any error ends it, but on
# kernels before 6.9: they can't send again what the daemon was at when it died, so that fails with EIO and is tried again here.
set -e
python3 - <<'PY'
import errno, os, re, time
path = "/data/journal"
resends = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) >= (6, 9)
longest, failed = 0.0, 0

def insist(operation):
    global failed
    while True:
        try:
            return operation()
        except OSError as error:
            if resends or error.errno != errno.EIO:
                raise
            failed += 1

def replace(path, text):
    with open(path, "wb") as part:
        part.write(text)

with open(path, "w+b", buffering=0) as journal:
    for number in range(1000):
        begun = time.monotonic()
        insist(lambda: os.pwrite(journal.fileno(), b"%06d\n" % number, 7 * number))
        insist(lambda: os.fsync(journal.fileno()))
        insist(lambda: os.stat("/data"))
        insist(lambda: replace(f"/data/.part-{number % 7}", b"%06d" % number))
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.004)
lines = insist(lambda: open(path, "rb").read()).splitlines()
assert lines == [b"%06d" % number for number in range(1000)], "a line is missing"
errors = "no error" if failed == 0 else f"{failed} operations in flight failed with EIO and were tried again"
print(f"1000 lines written and read back, {errors}; the longest pause was {longest * 1000:.0f} ms")
PY
