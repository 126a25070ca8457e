# talosoci probe 1
# Reads, and writes nothing. Says one fact a line, as key=value; the last line is end=1.
# POSIX sh; tested with dash, bash and busybox ash. `disk` and `imds` are set by the line before this text.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
set -f

odd=$(printf '\n\r\t.')
odd=${odd%.}
say() {
    value=$2
    case $value in *[$odd]*) value=$(printf %s "$value" | tr '\n\r\t' '   ') ;; esac
    printf '%s=%s\n' "$1" "$value"
}
have() { command -v "$1" >/dev/null 2>&1; }
first() { [ -r "$1" ] && head -n 1 "$1" 2>/dev/null; }

echo probe=1
uid=$(id -u)
say uid "$uid"
[ "$uid" = 0 ] || say sudo "$(sudo -n true 2>&1 || :)"
say arch "$(uname -m)"
say kernel "$(uname -r)"
say system "$( (. /etc/os-release && printf %s "$PRETTY_NAME") 2>/dev/null)"
say memory "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null)"
for tool in dd sync sha256sum openssl blockdev blkdiscard curl wget xz xzcat zstd zstdcat tee mkfifo; do
    have "$tool" && say tool "$tool"
done
[ "$(printf abc | dd bs=3 count=1 iflag=fullblock 2>/dev/null)" = abc ] && say fullblock yes
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
# openssl uses what the processor has for it; not every sha256sum does, and takes five times as long then.
for sum in 'openssl dgst -sha256 -r' 'sha256sum' 'busybox sha256sum'; do
    case $($sum </dev/null 2>/dev/null) in "$empty"*) say hash "$sum"; break ;; esac
done
if [ -d /sys/firmware/efi ]; then
    say efi yes
    set +f
    for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
        [ -r "$variable" ] && say secure_boot "$(od -An -t u1 -j 4 -N 1 "$variable" 2>/dev/null | tr -d ' ')"
    done
    set -f
fi

device=$(readlink -f "$disk" 2>/dev/null)
[ -n "$device" ] || device=$disk
say device "$device"
name=$(printf %s "${device#/dev/}" | tr / !)
sys=/sys/class/block/$name
ours=$name
if [ -b "$disk" ]; then
    say kind block
    say number "$(first "$sys/dev")"
    say sectors "$(first "$sys/size")"
    say sector_size "$(first "$sys/queue/logical_block_size")"
    say read_only "$(first "$sys/ro")"
    say write_zeroes "$(first "$sys/queue/write_zeroes_max_bytes")"
    [ -e "$sys/partition" ] && { whole=$(readlink -f "$sys"); whole=${whole%/*}; say partition_of "${whole##*/}"; }
    say model "$(first "$sys/device/model")"
    serial=$(first "$sys/serial" || first "$sys/device/serial")
    [ -n "$serial" ] || serial=$(udevadm info -q property -n "$device" 2>/dev/null | sed -n 's/^ID_SERIAL_SHORT=//p')
    say serial "$serial"
    set +f
    for link in /dev/oracleoci/* /dev/disk/by-id/* /dev/disk/by-path/*; do
        [ "$(readlink -f "$link" 2>/dev/null)" = "$device" ] && say alias "$link"
    done
    for part in "$sys"/*/partition; do
        [ -e "$part" ] || continue
        part=${part%/partition}
        label=$(sed -n 's/^PARTNAME=//p' "$part/uevent" 2>/dev/null)
        part=${part##*/}
        ours="$ours $part"
        say partition "$part $label"
    done
    for each in $ours; do
        for holder in /sys/class/block/"$each"/holders/*; do
            [ -e "$holder" ] && say holder "${holder##*/}"
        done
    done
    set -f
elif [ -f "$disk" ]; then
    say kind file
    say bytes "$(wc -c <"$disk" | tr -d ' ')"
elif [ -e "$disk" ]; then
    say kind other
else
    say kind missing
fi

# Whether device $1 is our disk, or stands on it (LVM, RAID, LUKS).
stands_on_it() {
    for candidate in $ours; do [ "$1" = "$candidate" ] && return 0; done
    for lower in $(ls "/sys/class/block/$1/slaves" 2>/dev/null); do stands_on_it "$lower" && return 0; done
    return 1
}

# The kernel name of the device behind a mount: by its number, or (btrfs and others have none) by its source.
device_of() {
    found=$(readlink -f "/sys/dev/block/$1" 2>/dev/null)
    [ -n "$found" ] && [ -e "$found/dev" ] && { printf %s "${found##*/}"; return; }
    case $2 in /*) found=$(readlink -f "$2" 2>/dev/null); printf %s "${found##*/}" ;; esac
}

while read -r _ _ number _ point rest; do
    source=${rest#* - }
    kind=${source%% *}
    source=${source#* }
    source=${source%% *}
    behind=$(device_of "$number" "$source")
    [ "$point" = / ] && { say root "$behind"; say root_kind "$kind"; }
    [ -n "$behind" ] && stands_on_it "$behind" || continue
    say mount "$behind $point"
    [ "$point" = / ] && say root_disk yes
done </proc/self/mountinfo
while read -r path _; do
    case $path in
    /*)
        behind=$(readlink -f "$path")
        stands_on_it "${behind##*/}" && say swap "$path"
        ;;
    esac
done </proc/swaps

# Processes that have the disk open. udev opens new disks for a moment, so they are asked for twice.
openers() {
    set +f
    ls -l /proc/[0-9]*/fd 2>/dev/null | while read -r line; do
        case $line in
        /proc/*:) process=${line#/proc/}; process=${process%%/*} ;;
        *"-> $device" | *"-> $device"[0-9]* | *"-> $device"p[0-9]*) printf '%s\n' "$process" ;;
        esac
    done | sort -u
    set -f
}
if [ "$uid" = 0 ] && [ -b "$disk" ] && [ -n "$(openers)" ]; then
    sleep 1
    for process in $(openers); do
        say opener "$process $(first "/proc/$process/comm")"
    done
fi

# The metadata service of Oracle Cloud: who this machine is, and what Talos would take for its configuration.
ask() {
    if have curl; then
        curl -s -f --noproxy '*' -m 3 -H 'Authorization: Bearer Oracle' "$imds/$1" 2>/dev/null
    else
        wget -q -T 3 -O - --header 'Authorization: Bearer Oracle' "$imds/$1" 2>/dev/null
    fi
}
if [ -n "$imds" ] && { have curl || have wget; }; then
    if instance=$(http_proxy='' ask instance/id) && [ -n "$instance" ]; then
        say imds yes
        say instance "$instance"
        say shape "$(ask instance/shape)"
        data=$(ask instance/metadata/user_data | tr -d ' \n\r')
        case $data in H4sI*)
            plain=$(printf %s "$data" | base64 -d 2>/dev/null | gzip -dc 2>/dev/null | base64 2>/dev/null | tr -d '\n')
            data=${plain:-$data}
            ;;
        esac
        [ -n "$data" ] && say user_data "$data"
    else
        say imds silent
    fi
fi
echo end=1
