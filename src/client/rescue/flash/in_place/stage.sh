# talosoci stage 1
# Makes room in RAM, and puts there what is needed when nothing on the disk can be read any more: a shell and a few tools, with
# their libraries. Tries them out from there. Answers "staged", or a line that begins with "!". Nothing else is changed.
# `disk`, `stage`, `mount`, `mountinfo`, `size` (bytes) and `owner` (a word of this run) are set by the line before this text.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
set -f

fail() {
    printf '! %s\n' "$(printf %s "$*" | tr '\n\r' '  ')"
    exit 1
}

# Another run may have started one since this one looked.
pid=$(cat "$stage/pid" 2>/dev/null)
if [ -n "$pid" ] && grep -q "$stage/run" "/proc/$pid/cmdline" 2>/dev/null; then
    fail "another overwrite is at work (process $pid): run again to follow it"
fi

# What an earlier attempt left: who still reads its log must not keep the RAM, nor the place.
rm -rf "$stage" 2>/dev/null
grep -q " $stage " "$mountinfo" && umount -l "$stage" 2>/dev/null
rm -rf "$stage"
mkdir -m 700 "$stage" || fail "$stage cannot be made"
said=$($mount -t tmpfs -o "size=$size,mode=700" talosoci "$stage" 2>&1) || fail "mounting a tmpfs of $size bytes: $said"
mkdir "$stage/bin" "$stage/lib" && echo "$owner" >"$stage/owner" || fail "$stage cannot be written"

find_tool() {
    IFS=:
    for folder in $PATH; do
        [ -x "$folder/$1" ] && { echo "$folder/$1"; return; }
    done
    return 1
}

# The system's own tools, each run by its own loader with its own libraries, so that no path on the disk is looked at.
own_tools() {
    for tool in sh dd sha256sum sleep sync; do
        path=$(find_tool "$tool") && cp -L "$path" "$stage/bin/$tool" || return 1
        loader=
        for word in $(ldd "$path" 2>/dev/null); do
            case $word in
            /*)
                cp -L "$word" "$stage/lib/" || return 1
                case ${word##*/} in ld-* | ld64* | ld.so*) loader="$stage/lib/${word##*/} --library-path $stage/lib" ;; esac
                ;;
            esac
        done
        if [ "$tool" = sh ]; then
            echo "$loader $stage/bin/sh" >"$stage/start"
        else
            echo "$tool() { $loader $stage/bin/$tool \"\$@\"; }" >>"$stage/tools"
        fi
    done
}

static_busybox() {
    path=$(find_tool busybox) && cp -L "$path" "$stage/bin/busybox" || return 1
    echo "$stage/bin/busybox sh" >"$stage/start"
    for tool in dd sha256sum sleep sync; do
        echo "$tool() { $stage/bin/busybox $tool \"\$@\"; }" >>"$stage/tools"
    done
}

# The hash of "abc" proves that the pieces work together; dd's own map of memory proves where it was loaded from.
try_out() {
    [ -s "$stage/tools" ] || return 1
    said=$($(cat "$stage/start") -c ". $stage/tools; sync; sleep 0
        dd if=/proc/self/maps of=$stage/maps 2>/dev/null
        dd if=$disk of=$stage/first bs=4096 count=1 2>/dev/null && printf abc | sha256sum" 2>&1)
    case $said in
    ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad*) ;;
    *) return 1 ;;
    esac
    ! grep ' /' "$stage/maps" 2>/dev/null | grep -qv " $stage/"
}

if ! { own_tools && try_out; }; then
    first=$said
    rm -f "$stage/tools" "$stage/start"
    said=
    { static_busybox && try_out; } || fail "the tools do not work from RAM (own: $first; busybox: $said)"
fi
echo staged
