"""Holds every #include against the layering of ARCHITECTURE.md: a wrong direction fails.

For each folder: which of our folders its files may include, and which outside headers it may not see at all.
"""
import pathlib
import re
import sys

LIBRARIES = ["fuse", "credentials", "cluster_sim"]
ASIO = ["boost/asio", "boost/beast"]
JSON = ["nlohmann/"]

# folder: (may include of ours, may not include from outside). The longest folder that holds a file decides.
RULES = {
    "broker/base": ([], ASIO + JSON + ["openssl/", "sqlite3", "httplib", "fuse_"]),
    "fuse": (["broker/base"], ASIO + JSON + ["openssl/", "httplib", "sqlite3"]),
    "credentials": (["broker/base"], ASIO + ["httplib", "sqlite3", "fuse_"]),
    "cluster_sim": (["broker/base"], ASIO + JSON + ["openssl/", "httplib", "sqlite3", "fuse_"]),
    "broker/http": (["broker/base"], JSON + ["sqlite3", "fuse_"]),
    "broker/protocol": (["broker/base", "broker/http"], ASIO + ["sqlite3", "fuse_", "httplib"]),
    "broker/store": (["broker/base"], ASIO + ["fuse_", "httplib"]),
    "broker/keeper": (["broker/base", "broker/store"], ASIO + JSON + ["httplib", "fuse_"]),
    "broker/control": (["broker/base", "broker/store"] + LIBRARIES, ASIO + ["httplib", "fuse_"]),
    "broker/api": (["broker/base", "broker/http", "broker/protocol", "credentials"], ASIO + ["httplib", "fuse_"]),
    "broker/services": (["broker/base", "broker/http", "broker/api", "broker/control"] + LIBRARIES, ASIO + ["httplib", "fuse_"]),
    "broker/agent": (["broker/base", "broker/api", "broker/control", "credentials", "cluster_sim"], ASIO + ["httplib", "fuse_"]),
    "broker/launch": (["broker/base", "broker/control", "broker/runtime"] + LIBRARIES, ASIO + ["httplib", "fuse_"]),
    "broker/docker": (["broker/base", "broker/http", "broker/control", "broker/launch", "broker/runtime"] + LIBRARIES,
                      ASIO + ["httplib", "sqlite3", "fuse_"]),
    "broker/runtime": (["broker/base", "fuse", "credentials", "cluster_sim"], ["httplib", "sqlite3", "fuse_"]),
    "broker/daemon": (["broker"] + LIBRARIES, []),
    "broker/cli": (["broker/base", "broker/http", "broker/store", "credentials"], ASIO + ["sqlite3", "fuse_"]),
}
# Only these files may see the named headers: each is kept behind few files.
ONLY_IN = {"openssl/": ["credentials/crypto.cpp", "credentials/crypto.hpp", "broker/http/"]}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def rule_for(path):
    folders = [folder for folder in RULES if path.startswith(folder + "/")]
    return max(folders, key=len, default=None)


def wrong_includes(path, text):
    folder = rule_for(path)
    if folder is None:
        return [f"{path}: in no folder of the layering; add it to ARCHITECTURE.md and to {__file__}"]
    own, banned = RULES[folder]
    found = []
    for quote, name in INCLUDE.findall(text):
        if quote == '"':
            service = re.match(r"broker/services/([^/]+)/", path)
            other = re.match(r"broker/services/([^/]+)/", name)
            if name.startswith(folder + "/") and not (service and other and service[1] != other[1]):
                continue
            if not any(name.startswith(may + "/") for may in own) or (service and other):
                found.append(f"{path}: may not include {name}")
        elif any(name.startswith(head) for head in banned):
            found.append(f"{path}: may not see <{name}>")
        for head, places in ONLY_IN.items():
            if quote == "<" and name.startswith(head) and not any(path.startswith(place) for place in places):
                found.append(f"{path}: <{name}> belongs in {places[0]} only")
    return found


def main(root):
    root = pathlib.Path(root)
    wrong, files = [], 0
    for top in ["broker", *LIBRARIES]:
        for path in sorted([*root.glob(f"{top}/**/*.cpp"), *root.glob(f"{top}/**/*.hpp")]):
            files += 1
            wrong += wrong_includes(path.relative_to(root).as_posix(), path.read_text())
    print("\n".join(wrong) if wrong else f"{files} files keep to the layering")
    return 1 if wrong or files == 0 else 0


sys.exit(main(sys.argv[1]))
