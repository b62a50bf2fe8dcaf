# Runs inside a task of another role: it knows the path of the first task's credentials and asks for them.
path=$(cat /data/credentials-uri-of-us-east-1a)
python3 - "$path" <<'PY'
import sys, urllib.error, urllib.request
try:
    print("got them:", urllib.request.urlopen("http://169.254.170.2" + sys.argv[1]).read().decode())
    sys.exit(1)
except urllib.error.HTTPError as error:
    print("asked for another task's credentials:", error.code, error.read().decode())
PY
