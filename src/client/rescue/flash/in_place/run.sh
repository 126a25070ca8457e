# talosoci in-place 1
# Overwrites the disk below the running system. Lies in RAM with all it needs: $stage/payload (data, at the places where the
# disk will have it), $stage/plan (one range a line: d or z, SHA256, then BS AT N [BS AT N...]), $stage/head (the line of the
# first MiB), $stage/tools. Says how far it is in $stage/log, a word and numbers a line; "!" begins what ended it before it
# wrote anything, "!!" after.
# `disk`, `stage`, `trigger`, `mountinfo`, `numbers` and `parts` (of the partitions), `stop`, `swapoff`, `seal`, `end` (the last MiB, as BS AT N...), `tries` and
# `patience` (seconds) come from the environment: no path that is dangerous stands in this text.
# After "wipe" no program may be run that is not in $stage/tools.
LC_ALL=C
OPENSSL_CONF=/dev/null
export LC_ALL OPENSSL_CONF
unset LD_PRELOAD LD_LIBRARY_PATH
set -f
exec >>"$stage/log" 2>/dev/null </dev/null
trap '' HUP INT TERM PIPE
echo $$ >"$stage/pid"
. "$stage/tools"

give_up() {
    echo "! $*"
    exit 1
}
stuck() {
    echo "!! $*"
    exit 1
}

# Sets `bytes` to what pieces stand for.
measure() {
    bytes=0
    while [ $# -ge 3 ]; do
        bytes=$((bytes + $1 * $3))
        shift 3
    done
}

pieces() {
    file=$1 flag=$2
    shift 2
    while [ $# -ge 3 ]; do
        if [ "$1" = 512 ]; then small=$small_in; else small=$flag; fi
        [ -n "$flag" ] || small=
        dd if="$file" bs="$1" skip="$2" count="$3" $small 2>/dev/null
        shift 3
    done
}

# Whether FILE, read with FLAG, has SHA256 in PIECES.
same() {
    from=$1 with=$2 wanted=$3
    shift 3
    found=$(pieces "$from" "$with" "$@" | sha256sum)
    [ "${found%% *}" = "$wanted" ]
}

# Errors show when it is read back.
put() {
    source=$stage/payload
    [ "$1" = d ] || source=/dev/zero
    shift
    while [ $# -ge 3 ]; do
        skip=skip=$2
        [ "$source" != /dev/zero ] || skip=
        if [ "$1" = 512 ]; then flags=$small_out; else flags=$out; fi
        dd if="$source" of="$disk" bs="$1" $skip seek="$2" count="$3" $flags 2>/dev/null
        shift 3
    done
}

# Everything is checked once more where it lies, before anything is stopped.
[ -w "$trigger" ] || give_up 'the sysrq trigger cannot be written'
total=0 done=0 data=0
while read -r kind sum rest; do
    measure $rest
    total=$((total + bytes))
    [ "$kind" = z ] || data=$((data + bytes))
done <"$stage/plan"
[ "$total" -gt 0 ] || give_up 'there is nothing to write'
while read -r kind sum rest; do
    [ "$kind" = d ] || continue
    same "$stage/payload" '' "$sum" $rest || give_up "what was staged in RAM is damaged (at $rest)"
    measure $rest
    done=$((done + bytes))
    echo "check $done $data"
done <"$stage/plan"
read -r kind head_sum head <"$stage/head"
same "$stage/payload" '' "$head_sum" $head || give_up 'what was staged in RAM is damaged (the first MiB)'

# Every disk can be read and written past the page cache; not every file that stands for one in a test.
in='iflag=direct' out='oflag=direct conv=notrunc' small_in=$in small_out=$out
dd if="$disk" of=/dev/null bs=4096 count=1 $in 2>/dev/null || in='iflag=fullblock' small_in=$in
dd if="$disk" of=/dev/null bs=512 count=1 $small_in 2>/dev/null || small_in=iflag=fullblock
dd if=/dev/null of="$disk" bs=4096 count=0 $out 2>/dev/null || out=conv=notrunc,fsync
case $in$small_in in iflag=directiflag=direct) small_out=$out ;; *) small_out=conv=notrunc,fsync ;; esac

echo stop
$stop >/dev/null 2>&1
echo swapoff
$swapoff >/dev/null 2>&1 || give_up 'swap space cannot be given up: nothing was written; the machine has too little RAM'
sync
echo remount
echo s >>"$trigger"
sleep 1
echo u >>"$trigger"

# Whether a file system of the disk can still be written to.
writable() {
    while read -r _ _ number _ point rest; do
        ours=
        [ "$point" = / ] && ours=yes
        for each in $numbers; do [ "$each" != "$number" ] || ours=yes; done
        [ -n "$ours" ] || continue
        options=${rest##* }
        case ,$options, in *,rw,*) where=$point; return 0 ;; esac
    done <"$mountinfo"
    return 1
}
waited=0
while writable; do
    [ "$waited" -lt "$patience" ] || give_up "$where is still mounted for writing: nothing was written to the disk"
    waited=$((waited + 1))
    sleep 1
done

# A file system that finds an error notes it on its disk even when it is read-only, unless its device is read-only as well. That
# of the whole disk stays writable.
for part in $parts; do
    $seal "$part" >/dev/null 2>&1 || give_up "$part cannot be made read-only: nothing was written to the disk"
done

# Writes the ranges in FILE.
write_all() {
    done=0
    while read -r kind sum rest; do
        put "$kind" $rest
        measure $rest
        done=$((done + bytes))
        echo "write $done $total"
    done <"$1"
    sync
}

# Reads the ranges of KINDS in FILE back; those that are wrong go to $stage/wrong. Says how far it is as WORD. Sets `bad`.
verify_all() {
    word=$3 done=0 bad=0
    : >"$stage/wrong"
    while read -r kind sum rest; do
        case $1 in *"$kind"*) ;; *) continue ;; esac
        measure $rest
        if same "$disk" "$in" "$sum" $rest; then
            done=$((done + bytes))
            echo "$word $done $4"
        else
            bad=$((bad + bytes))
            echo "$kind $sum $rest" >>"$stage/wrong"
        fi
    done <"$2"
}

# From here on there is no way back. A disk that does not take this boots what it held, so it gets nothing else.
empty=30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58
echo wipe
put z 1048576 0 1
put z $end
sync
{ same "$disk" "$in" "$empty" 1048576 0 1 && same "$disk" "$in" "$empty" $end; } ||
    stuck 'the first and the last MiB could not be made empty; nothing else was written'
attempt=1 list=$stage/plan
while :; do
    write_all "$list"
    verify_all dz "$list" verify "$total"
    if [ "$bad" = 0 ]; then
        echo finish
        put d $head
        sync
        same "$disk" "$in" "$head_sum" $head || bad=1048576
        # Once more before the machine may boot from it: something else may have written in the meantime.
        [ "$bad" != 0 ] || verify_all d "$stage/plan" finish "$data"
        [ "$bad" != 0 ] || break
        put z 1048576 0 1
        sync
    fi
    [ "$attempt" -lt "$tries" ] ||
        stuck "$bad bytes were not what was written after $tries attempts; the first MiB is empty, the disk does not boot"
    attempt=$((attempt + 1))
    list=$stage/list$attempt total=$bad
    while read -r line; do echo "$line"; done <"$stage/wrong" >"$list"
done
echo reboot
sleep 1
echo b >>"$trigger"
