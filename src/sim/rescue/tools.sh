#!/bin/sh
# The tools of the pretend rescue host that cannot be the real ones; the name it is called by says which.
say() { echo "$*" >>"$SIM/run/control"; }
admin() { [ "$SIM_ADMIN" = 1 ] || { echo "${0##*/}: $1: Permission denied" >&2; exit 1; }; }
fact() { cat "$SIM/run/facts/$1"; }
case ${0##*/} in
sudo)
  [ -e "$SIM/run/facts/sudo" ] || { echo "sudo: a password is required" >&2; exit 1; }
  while :; do
    case $1 in
    -n | -E | -H | -S) shift ;;
    -u) shift 2 ;;
    -v | -l) exit 0 ;;
    --) shift; break ;;
    -*) shift ;;
    *=*) export "$1"; shift ;;
    *) break ;;
    esac
  done
  SIM_ADMIN=1 exec "$@"
  ;;
id)
  if [ "$SIM_ADMIN" = 1 ]; then uid=0 name=root; else uid=1000 name=$SIM_USER; fi
  case "$*" in
  *-*u*n* | *-*n*u*) echo "$name" ;;
  *-u*) echo "$uid" ;;
  *-g*) echo "$uid" ;;
  *) echo "uid=$uid($name) gid=$uid($name) groups=$uid($name)" ;;
  esac
  ;;
whoami) if [ "$SIM_ADMIN" = 1 ]; then echo root; else echo "$SIM_USER"; fi ;;
uname)
  case "$*" in
  *-m* | *-p* | *-i*) fact machine ;;
  *-r*) fact kernel ;;
  *-n*) fact hostname ;;
  *-a*) echo "Linux $(fact hostname) $(fact kernel) #1 SMP $(fact machine) GNU/Linux" ;;
  *) echo Linux ;;
  esac
  ;;
arch) fact machine ;;
hostname) fact hostname ;;
nproc) echo 4 ;;
reboot | halt | poweroff | shutdown | init | telinit | systemctl)
  admin "Failed to talk to init"
  case "${0##*/} $*" in
  *poweroff* | *halt* | "shutdown -h"* | "shutdown -P"* | "shutdown now" | "init 0" | "telinit 0") say poweroff "${0##*/} $*" ;;
  reboot* | "systemctl reboot"* | "systemctl "*" reboot" | "shutdown -r"* | "init 6" | "telinit 6") say reboot "${0##*/} $*" ;;
  esac
  ;;
dd)
  left=$# out= conv=
  while [ "$left" -gt 0 ]; do
    word=$1
    shift
    left=$((left - 1))
    case $word in
    of="$SIM"/dev/*) out=${word#of=} ;;
    iflag=* | oflag=*)
      # A file in a memory file system cannot be opened with O_DIRECT, a block device always can.
      if [ -e "$SIM/run/facts/no-direct" ]; then
        word=$(printf '%s' "$word" | sed 's/direct,//; s/,direct//; s/=direct$/=/')
        case $word in *=) continue ;; esac
      fi
      ;;
    conv=*) conv=,${word#conv=}; continue ;;
    esac
    set -- "$@" "$word"
  done
  if [ -z "$out" ] || [ ! -k "$out" ]; then
    [ -z "$conv" ] || set -- "$@" "conv=${conv#,}"
    PATH=$SIM/real exec dd "$@"
  fi
  name=${out##*/}
  admin "failed to open '/dev/$name'"
  if [ "$(cat "$SIM/sys/class/block/$name/ro")" = 1 ]; then
    echo "dd: failed to open '/dev/$name': Read-only file system" >&2
    exit 1
  fi
  say write "$*"
  # A block device neither shrinks nor grows: keep what stands behind, and stop at its end.
  limit=$(cat "$SIM/run/facts/limit-$name" 2>/dev/null || cat "$SIM/sys/class/block/$name/size")
  trap '' XFSZ
  ulimit -f "$limit"
  exec 3>&1
  words=$(PATH=$SIM/real && exec dd "$@" "conv=notrunc$conv" 2>&1 >&3 3>&-)
  status=$?
  [ -z "$words" ] || printf '%s\n' "$words" | sed "s#$SIM##g; s#File too large#No space left on device#" >&2
  if [ -e "$SIM/run/facts/flip-$name" ]; then
    printf '\245' | "$SIM/real/dd" of="$out" bs=1 seek="$(fact "flip-$name")" conv=notrunc 2>/dev/null
  fi
  exit "$status"
  ;;
blockdev)
  for device in "$@"; do :; done
  name=${device##*/}
  at=$SIM/sys/class/block/$name
  # The partitions of a pretend disk are not there as devices of their own, but the kernel knows them.
  [ -k "$device" ] || [ -e "$at/partition" ] || { echo "blockdev: cannot open $device: No such file or directory" >&2; exit 1; }
  for word in "$@"; do
    case $word in
    --getsize64) echo $(($(cat "$at/size") * 512)) ;;
    --getsz | --getsize) cat "$at/size" ;;
    --getss) cat "$at/queue/logical_block_size" ;;
    --getpbsz) cat "$at/queue/physical_block_size" ;;
    --getro) cat "$at/ro" ;;
    --getbsz) echo 4096 ;;
    --setro) admin "cannot open /dev/$name" && echo 1 >"$at/ro" ;;
    --setrw) admin "cannot open /dev/$name" && echo 0 >"$at/ro" ;;
    --flushbufs | -v | -q) ;;
    --rereadpt)
      admin "cannot open /dev/$name"
      if grep -q "^$SIM/dev/$name" "$SIM/proc/mounts" "$SIM/proc/swaps"; then
        echo "blockdev: ioctl error on BLKRRPART: Device or resource busy" >&2
        exit 1
      fi
      ;;
    esac
  done
  ;;
blkdiscard)
  zero= offset=0 length=
  while [ $# -gt 1 ]; do
    case $1 in
    -z | --zeroout) zero=1 ;;
    -o | --offset) offset=$2; shift ;;
    -l | --length) length=$2; shift ;;
    esac
    shift
  done
  admin "$1: open failed"
  [ -n "$zero" ] || exit 0
  [ -n "$length" ] || length=$(($(cat "$SIM/sys/class/block/${1##*/}/size") * 512 - offset))
  exec dd if=/dev/zero of="$1" bs=512 seek=$((offset / 512)) count=$((length / 512)) 2>/dev/null
  ;;
busybox)
  # The real one would reboot the real machine.
  applet=$1
  [ -n "$applet" ] || { echo "BusyBox v1.36.1"; exit 0; }
  if [ "$(readlink "$SIM/bin/$applet")" = "$SIM/tools.sh" ] || [ -z "$SIM_REAL_BUSYBOX" ]; then shift; exec "$SIM/bin/$applet" "$@"; fi
  case " reboot halt poweroff init shutdown mount umount dd swapoff blockdev " in *" $applet "*) echo "$applet: applet not found" >&2; exit 127 ;; esac
  exec "$SIM_REAL_BUSYBOX" "$@"
  ;;
fstrim | partprobe | partx | udevadm | swapoff | modprobe | sysctl) ;;
sync) exit 0 ;;
lsblk)
  bytes=0 quiet=0 columns=NAME,SIZE,TYPE,MOUNTPOINT wanted=
  while [ $# -gt 0 ]; do
    case $1 in
    -o) columns=$2; shift ;;
    -o*) columns=${1#-o} ;;
    --output=*) columns=${1#*=} ;;
    -*) case $1 in *n*) quiet=1 ;; esac
      case $1 in *b*) bytes=1 ;; esac
      case $1 in *o) columns=$2; shift ;; esac ;;
    *) wanted=${1##*/} ;;
    esac
    shift
  done
  [ "$quiet" = 1 ] || echo "$columns" | tr , ' '
  for at in "$SIM"/sys/class/block/*; do
    name=${at##*/}
    [ -z "$wanted" ] || [ "$wanted" = "$name" ] || continue
    line=
    for column in $(echo "$columns" | tr , ' '); do
      case $column in
      NAME | KNAME) value=$name ;;
      PATH) value=/dev/$name ;;
      SIZE) value=$(($(cat "$at/size") * 512)); [ "$bytes" = 1 ] || value=$((value / 1073741824))G ;;
      TYPE) if [ -e "$at/partition" ]; then value=part; else value=disk; fi ;;
      RO) value=$(cat "$at/ro") ;;
      RM) value=$(cat "$at/removable" 2>/dev/null || echo 0) ;;
      SERIAL) value=$(cat "$at/device/serial" 2>/dev/null) ;;
      MODEL) value=$(cat "$at/device/model" 2>/dev/null) ;;
      LOG-SEC) value=$(cat "$at/queue/logical_block_size") ;;
      MOUNTPOINT | MOUNTPOINTS) value=$(sed -n "s#^$SIM/dev/$name \([^ ]*\) .*#\1#p" "$SIM/proc/mounts") ;;
      *) value= ;;
      esac
      line="$line$value "
    done
    echo "${line% }"
  done
  ;;
findmnt)
  for target in "$@"; do :; done
  sed -n "s#^\([^ ]*\) $target .*#\1#p" "$SIM/proc/mounts"
  ;;
mount) [ $# -gt 0 ] && admin "only root can do that"; [ $# -gt 0 ] || cat "$SIM/proc/mounts" ;;
umount) admin "must be superuser to unmount" ;;
dmidecode) fact dmi ;;
free) printf '%s\n' "              total        used        free" "Mem:       24576000     1024000    23552000" ;;
ip) printf '%s\n' "2: ens3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000" "    link/ether $(cat "$SIM/sys/class/net/ens3/address")" ;;
*) echo "${0##*/}: not found" >&2; exit 127 ;;
esac
