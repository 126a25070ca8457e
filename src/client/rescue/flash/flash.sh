# talosoci flash 1
# Takes commands on standard input, one a line, and answers each with one line, in order:
#   i                      -> i NUMBER SECTORS ...    what the disk is; the rest is another after it was attached anew, or a reboot
#   w BS AT N, then data   -> w BS AT N               writes N blocks of BS bytes at block AT
#   z BS AT N              -> z BS AT N               writes zeros
#   d AT LEN               -> d AT LEN                lets the disk forget LEN bytes from byte AT on, if it can
#   e BS AT N [BS AT N...] -> e yes, or e no          whether the pieces are empty: zeros, as the disk returns them
#   h BS AT N [BS AT N...] -> h SHA256                hashes the pieces, one after the other, as the disk returns them
#   s                      -> s                       waits until all is on the disk
#   q                      -> q, and ends             lets the kernel read the partition table
#   u, k, f                                           see pull.sh, which stands before this text when they are used
# A failure is answered with a line that begins with "!", and ends the script with status 1, as does the end of the input.
# POSIX sh; tested with dash, bash and busybox ash. `disk` and `sum` are set by the line before this text.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
set -f
name=$(printf %s "${disk#/dev/}" | tr / !)
sys=/sys/class/block/$name
block=
[ -b "$disk" ] && block=yes
out='oflag=direct conv=notrunc'
in=iflag=direct
nl=$(printf '\n.')
nl=${nl%.}

fail() {
    printf '! %s\n' "$(printf %s "$*" | tr '\n\r' '  ')"
    exit 1
}

# A flash whose connection broke may still be at work, if its server did not notice yet: it is ended, with its dd.
end_another() {
    note=/run/talosoci-flash-$name
    [ -w /run ] || return
    mine=$(sed 's/^.*) //' "/proc/$$/stat" 2>/dev/null | cut -d ' ' -f 3)
    old=$(cat "$note" 2>/dev/null)
    if [ -n "$old" ] && [ "$old" != "$mine" ] && tr '\0' ' ' 2>/dev/null <"/proc/$old/cmdline" | grep -q 'talosoci flash'; then
        kill -s KILL -- "-$old" 2>/dev/null
        tries=0
        while kill -s 0 -- "-$old" 2>/dev/null; do
            tries=$((tries + 1))
            [ "$tries" -lt 20 ] || fail "an earlier flash of $disk does not end (process group $old)"
            sleep 1
        done
    fi
    printf '%s\n' "$mine" >"$note"
}

# Whether dd's report $1 counts $2 blocks out. A report is all there is: a short write is no failure to dd.
# Here and in what is said for each MiB, every process counts: one takes as long as the disk takes for the data.
wrote() {
    case $nl$1 in *"$nl$2+0 records out"*) return 0 ;; esac
    return 1
}

# Sets `way`, in which blocks of $1 bytes are written. Single sectors at the ends of ranges go through the page cache: not
# everything takes them directly, nor are they slow.
how() {
    way=$out
    [ "$1" != 512 ] || way=conv=notrunc,fsync
}

put() {
    how "$1"
    said=$(dd of="$disk" bs="$1" seek="$2" count="$3" iflag=fullblock $way 2>&1) && wrote "$said" "$3" ||
        fail "writing $3 blocks of $1 bytes at block $2: $said"
}

zero() {
    if [ -n "$block" ] && [ "$(cat "$sys/queue/write_zeroes_max_bytes" 2>/dev/null || echo 0)" != 0 ] &&
        blkdiscard -z -o $(($1 * $2)) -l $(($1 * $3)) "$disk" 2>/dev/null; then
        return
    fi
    how "$1"
    said=$(dd if=/dev/zero of="$disk" bs="$1" seek="$2" count="$3" $way 2>&1) && wrote "$said" "$3" ||
        fail "writing $3 blocks of $1 zero bytes at block $2: $said"
}

forget() {
    [ -z "$block" ] || blkdiscard -o "$1" -l "$2" "$disk" 2>/dev/null
}

settle() {
    sync || fail "sync failed"
    [ -n "$block" ] && blockdev --flushbufs "$disk" 2>/dev/null
    if [ -z "$in" ] && [ -w /proc/sys/vm/drop_caches ]; then echo 1 2>/dev/null >/proc/sys/vm/drop_caches; fi
}

pieces() {
    while [ $# -ge 3 ]; do
        from=$in
        [ "$1" != 512 ] || from=
        dd if="$disk" bs="$1" skip="$2" count="$3" $from 2>/dev/null || echo "reading $3 blocks of $1 bytes at block $2 failed" >&3
        shift 3
    done
}

hash() {
    said=$({ pieces "$@" | $sum; } 3>&1)
    case $said in *failed*) fail "$(printf %s "$said" | tr '\n' ' ')" ;; esac
    said=${said%% *}
    printf 'h %s\n' "$said"
}

# Counting what is no zero costs a fraction of hashing. dd's report says that all was read.
empty() {
    verdict=yes
    while [ $# -ge 3 ]; do
        from=$in
        [ "$1" != 512 ] || from=
        said=$({ dd if="$disk" bs="$1" skip="$2" count="$3" $from | echo "left $(($(tr -d '\000' | wc -c)))."; } 2>&1)
        case $nl$said in *"$nl$3+0 records in"*) ;; *) fail "reading $3 blocks of $1 bytes at block $2: $said" ;; esac
        case $said in
        *'left 0.'*) ;;
        *'left '[1-9]*) verdict=no ;;
        *) fail "counting what is no zero in $3 blocks of $1 bytes at block $2: $said" ;;
        esac
        shift 3
    done
    echo "e $verdict"
}

end_another 2>/dev/null

# Not every file system can bypass the page cache; a disk always can.
dd if="$disk" of=/dev/null bs=4096 count=1 $in 2>/dev/null || in=
dd if=/dev/null of="$disk" count=0 $out 2>/dev/null || out=conv=notrunc,fsync

while read -r command rest; do
    case $command in
    i) printf 'i %s\n' "$(cat "$sys/dev" "$sys/size" "$sys/diskseq" /proc/sys/kernel/random/boot_id 2>/dev/null | tr '\n' ' ')" ;;
    w) put $rest && printf 'w %s\n' "$rest" ;;
    z) zero $rest && printf 'z %s\n' "$rest" ;;
    d)
        forget $rest
        echo "d $rest"
        ;;
    e) empty $rest ;;
    h) hash $rest ;;
    s) settle && echo s ;;
    u | k | f) "pull_$command" $rest ;;
    q)
        [ -n "$block" ] && blockdev --rereadpt "$disk" 2>/dev/null
        echo q
        exit 0
        ;;
    *) fail "unknown command $command" ;;
    esac
done
exit 1
