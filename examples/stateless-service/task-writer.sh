# Runs inside the task while the daemon is killed: a thousand lines, each written, synced and read back. Any error ends it.
set -e
python3 - <<'PY'
import os, time
path = "/data/journal"
longest = 0.0
with open(path, "w+b", buffering=0) as journal:
    for number in range(1000):
        begun = time.monotonic()
        journal.write(b"%06d\n" % number)
        os.fsync(journal.fileno())
        os.stat("/data")
        with open(f"/data/.part-{number % 7}", "wb") as part:
            part.write(b"%06d" % number)
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.004)
lines = open(path, "rb").read().splitlines()
assert lines == [b"%06d" % number for number in range(1000)], "a line is missing"
print(f"1000 lines written and read back, no error; the longest pause was {longest * 1000:.0f} ms")
PY
