#!/usr/bin/env bash
# Set-up of `pytest -m deploy`: a container engine and a base image, made on this machine from the
# package sources that it already uses. Everything but installed packages stays below the directory
# given. Ends with an error, and the reason as its last line, where that cannot be had.
set -euo pipefail
home=$1
mkdir -p "$home"

need=()
for pair in podman:podman runc:runc mmdebstrap:mmdebstrap iptables:iptables newuidmap:uidmap; do
  command -v "${pair%%:*}" >/dev/null || need+=("${pair##*:}")
done
for helper in netavark aardvark-dns; do
  [ -x "/usr/lib/podman/$helper" ] || need+=("$helper")
done
if [ "$(id -u)" != 0 ]; then
  echo "needs root: rootless engines are set up differently" >&2
  exit 1
fi
if [ ${#need[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "needs ${need[*]}, or apt-get" >&2; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update >/dev/null
  apt-get -y -q install --no-install-recommends "${need[@]}" >/dev/null
fi

if [ ! -x "$home/tools/bin/kubernetes-validate" ]; then
  python3 -m venv "$home/tools"
  "$home/tools/bin/pip" install -q podman-compose kubernetes-validate
fi

# No registry of images is asked: the base is Debian with Python, and this machine's way to reach
# package indexes (its certificates and pip's configuration).
if [ ! -f "$home/base.tar" ]; then
  sources=()
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources; do
    if [ -s "$file" ] && grep -Eq '^(deb |Types:.*deb( |$))' "$file"; then sources+=("$file"); fi
  done
  [ ${#sources[@]} -gt 0 ] || { echo "apt has no package sources here" >&2; exit 1; }
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
  mmdebstrap --quiet --variant=apt --include=python3-minimal,python3-venv,ca-certificates \
    "$suite" "$home/base.new.tar" "${sources[@]}"
  tar --delete -f "$home/base.new.tar" ./etc/ssl/certs/ca-certificates.crt
  over=$(mktemp -d)
  mkdir -p "$over/etc/ssl/certs"
  cp -L /etc/ssl/certs/ca-certificates.crt "$over/etc/ssl/certs/"
  if [ -f /etc/pip.conf ]; then cp -L /etc/pip.conf "$over/etc/"; fi
  # Files alone: podman takes no archive that names a directory twice.
  (cd "$over" && find . -type f -print0 |
    tar --owner=0 --group=0 --append -f "$home/base.new.tar" --null --files-from=-)
  rm -r "$over"
  mv "$home/base.new.tar" "$home/base.tar"
fi

cat > "$home/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
END
cat > "$home/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$home/store"
runroot = "$home/run"
END
export CONTAINERS_CONF=$home/containers.conf CONTAINERS_STORAGE_CONF=$home/storage.conf
if ! podman image exists localhost/cyxmake-base:1; then
  podman import --quiet "$home/base.tar" localhost/cyxmake-base:1 >/dev/null
fi
podman run --rm --network none localhost/cyxmake-base:1 python3 -c 'import venv'
