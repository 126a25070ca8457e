# talosoci ground 1
# Whether the system that runs can be overwritten below its feet. Reads, and writes nothing. Says one fact a line, as
# key=value; the last line is end=1. POSIX sh. `disk` (without symbolic links), `stage`, `trigger`, `mountinfo` and `meminfo`
# are set by the line before this text.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
set -f

say() { printf '%s=%s\n' "$1" "$(printf %s "$2" | tr '\n\r\t' '   ')"; }
have() { command -v "$1" >/dev/null 2>&1; }

echo ground=1
say available "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' "$meminfo" 2>/dev/null)"
[ -w "$trigger" ] && say trigger yes
for tool in sh dd sha256sum sleep sync cp mkdir rm mount swapoff setsid tail blockdev ldd; do
    have "$tool" && say tool "$tool"
done
if have busybox && ! ldd "$(command -v busybox)" 2>/dev/null | grep -q /ld-; then say tool static-busybox; fi

# Opens the disk for writing, and writes nothing: a kernel may refuse that while file systems on it are mounted.
if said=$(dd if=/dev/null of="$disk" count=0 conv=notrunc 2>&1); then say writable yes; else say writable "$said"; fi

# What stands between the root file system and the disk.
beneath() {
    case $1 in
    md*) say stack raid ;;
    nbd* | rbd* | drbd*) say stack network ;;
    bcache*) say stack bcache ;;
    dm-*)
        kind=$(cat "/sys/class/block/$1/dm/uuid" 2>/dev/null)
        say stack "dm-${kind%%-*}"
        ;;
    esac
    case $(readlink -f "/sys/class/block/$1" 2>/dev/null) in */session[0-9]*) say stack iscsi ;; esac
    for lower in $(ls "/sys/class/block/$1/slaves" 2>/dev/null); do beneath "$lower"; done
}
root=
while read -r _ _ number _ point rest; do
    [ "$point" = / ] || continue
    case ,${rest##* }, in *,errors=panic,*) say stack panic ;; esac
    kind=${rest#* - }
    source=${kind#* }
    source=${source%% *}
    kind=${kind%% *}
    root=$(readlink -f "/sys/dev/block/$number" 2>/dev/null)
    [ -e "$root/dev" ] || case $source in /*) root=$(readlink -f "$source" 2>/dev/null) ;; *) root= ;; esac
done <"$mountinfo"
say root_kind "$kind"
[ -z "$root" ] || beneath "${root##*/}"
name=$(printf %s "${disk#/dev/}" | tr / !)
[ ! -e "/sys/class/block/$name" ] || beneath "$name"

# An earlier overwrite: still at work, or ended after it had begun to write.
if [ -s "$stage/pid" ]; then
    pid=$(cat "$stage/pid")
    state=$(sed 's/^.*) //' "/proc/$pid/stat" 2>/dev/null)
    if kill -s 0 "$pid" 2>/dev/null && [ "${state%% *}" != Z ]; then
        say running "$pid"
    elif grep -q '^wipe' "$stage/log" 2>/dev/null; then
        say half "$(tail -n 1 "$stage/log")"
    fi
fi
# What a run that was killed left in RAM goes before anything new comes.
left=$(du -sk "$stage" 2>/dev/null)
say left "${left%%[!0-9]*}"
echo end=1
