# SPDX-License-Identifier: BSD-3-Clause
# For scripts that want a Debian of their own in a folder: source it. Root only; package debootstrap.

debian_mirror() { # the one that apt uses here
  local found
  found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    awk '$1 == "deb" { for (i = 2; i <= NF; ++i) if ($i ~ /^https?:/) { print $i; exit } } $1 == "URIs:" { print $2; exit }') || true
  echo "${found:-http://deb.debian.org/debian}"
}

make_debian_root() { # ROOT RELEASE LOG: a minimal one that reaches the network as this machine does
  debootstrap --variant=minbase --include=ca-certificates "$2" "$1" "$(debian_mirror)" >"$3" 2>&1 || { tail -5 "$3" >&2; return 1; }
  cp -r /etc/apt/apt.conf.d/. "$1/etc/apt/apt.conf.d/"
  cp /etc/resolv.conf "$1/etc/resolv.conf"
  cp -r /etc/ssl/certs /usr/local/share/ca-certificates "$1/etc/ssl/" 2>/dev/null || true
}

in_debian_root() { # ROOT COMMAND...: with nothing of this shell's environment
  chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "${@:2}"
}
