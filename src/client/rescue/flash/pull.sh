# talosoci pull 1
# The commands of flash.sh that take the image from where the rescue host downloads it instead of from standard input:
#   u                        -> u           starts the download
#   k BS N                   -> k BS N      passes over N blocks of BS bytes of the unpacked image
#   f BS AT N [BS AT N...]   -> f SHA256    writes its next blocks to these places of the disk, and hashes them on the way
# What goes wrong with the download is answered with a line that begins with "! pull:".
# `url`, `plain` (yes where http may be spoken), `packed` (xz, zst or raw) and `idle` (seconds) are set before this text.
# The stream comes through named pipes, so that each program's exit status can be asked for: not every sh has pipefail.
pull_fail() { fail "pull: $*"; }

have() { command -v "$1" >/dev/null 2>&1; }

# A wget cannot be told to refuse redirections to http. A proxy at a port where nothing listens does that.
download() {
    if have curl; then
        only='=https'
        [ -z "$plain" ] || only='=http,https'
        echo curl >"$dir/tool"
        exec curl -q -fsSL --proto "$only" --proto-redir "$only" --max-redirs 5 --connect-timeout 15 -Y 1 -y "$idle" "$url"
    fi
    have wget || { echo 'neither curl nor wget is there' >&2; exit 127; }
    echo wget >"$dir/tool"
    [ -n "$plain" ] || export http_proxy=http://127.0.0.1:1 no_proxy=
    case $(wget --version 2>&1) in
    GNU*) exec wget -nv -t 1 --max-redirect=5 -T "$idle" -O - "$url" ;;
    esac
    # busybox: its -T crashes in the static build of Debian 12. Who waits for us is less patient than its default.
    exec wget -q -O - "$url"
}

# What does not begin as it should is shown, not unpacked: it is a page that tells what went wrong.
unpack() {
    case $packed in
    xz) set -- 5 "$(printf '\3757zXZ')" 'xz -dc' xzcat ;;
    zst) set -- 4 "$(printf '\050\265\057\375')" 'zstd -dc' zstdcat ;;
    *) exec cat ;;
    esac
    dd bs=1 count="$1" of="$dir/magic" 2>/dev/null
    if [ "$(cat "$dir/magic")" != "$2" ]; then
        { cat "$dir/magic"; dd bs=200 count=1 2>/dev/null; } | tr -cs '!-~' ' ' >"$dir/page"
        exit 1
    fi
    shift 2
    for tool; do
        have "${tool%% *}" || continue
        cat "$dir/magic" - | $tool
        exit
    done
    echo "$packed is not installed" >&2
    exit 127
}

# A download that waits for its server does not notice that whoever wanted it went away. It ends with the server process that
# started us.
watch_server() {
    server=$PPID
    while [ "$(cat "/proc/$server/comm")" = sudo ]; do
        server=$(sed 's/^.*) //' "/proc/$server/stat" | cut -d ' ' -f 2)
    done
    group=$(sed 's/^.*) //' "/proc/$$/stat" | cut -d ' ' -f 3)
    [ "${server:-1}" -gt 1 ] && [ -d "/proc/$server" ] && [ -n "$group" ] || return
    while [ -d "/proc/$server" ]; do sleep 1; done
    rm -rf "$dir"
    kill -s KILL -- "-$group"
}

pull_end() {
    kill $getting $unpacking $watching 2>/dev/null
    rm -rf "$dir"
}

pull_u() {
    for place in /run /dev/shm "${TMPDIR:-/tmp}"; do
        dir=$place/talosoci-pull-$name
        rm -rf "$dir" 2>/dev/null
        { mkdir -m 700 "$dir" && mkfifo "$dir/packed" "$dir/stream" "$dir/copy"; } 2>/dev/null && break
        dir=
    done
    [ -n "$dir" ] || pull_fail "no room for a named pipe in /run, /dev/shm or ${TMPDIR:-/tmp}"
    trap pull_end EXIT
    trap 'exit 1' HUP INT TERM
    download </dev/null >"$dir/packed" 2>"$dir/download" &
    getting=$!
    unpack <"$dir/packed" >"$dir/stream" 2>"$dir/unpack" &
    unpacking=$!
    watch_server </dev/null >/dev/null 2>&1 &
    watching=$!
    exec 4<"$dir/stream"
    echo u
}

# What a program said, in one line.
said_in() { tr -s '\n\r' '  ' 2>/dev/null <"$dir/$1" | cut -c 1-300; }

# The stream ended before the image: why? A download that is cut off from behind is not to blame.
pull_broken() {
    exec 4<&-
    wait "$unpacking"
    unpacked=$?
    kill "$getting" 2>/dev/null
    wait "$getting"
    got=$?
    tool=$(cat "$dir/tool" 2>/dev/null)
    case $tool:$got in
    *:0 | *:141 | *:143 | curl:23 | wget:3) ;;
    *) pull_fail "${tool:-the download} ended with status $got: $(said_in download)" ;;
    esac
    [ ! -e "$dir/page" ] || pull_fail "the server sent no .$packed file, but: $(said_in page)"
    [ "$unpacked" = 0 ] || pull_fail "unpacking .$packed ended with status $unpacked: $(said_in unpack)"
    pull_fail 'the image ended too early'
}

pull_k() {
    said=$(dd of=/dev/null bs="$1" count="$2" iflag=fullblock <&4 2>&1)
    wrote "$said" "$2" || pull_broken
    echo "k $*"
}

next_blocks() {
    while [ $# -ge 3 ]; do
        dd bs="$1" count="$3" iflag=fullblock <&4 2>/dev/null
        shift 3
    done
}

# Says nothing when all went well, "short" when there was too little to write, else what dd said.
place() {
    while [ $# -ge 3 ]; do
        how "$1"
        if said=$(dd of="$disk" bs="$1" seek="$2" count="$3" iflag=fullblock $way 2>&1); then
            wrote "$said" "$3" || { echo short; return; }
        else
            echo "writing $3 blocks of $1 bytes at block $2: $said"
            return
        fi
        shift 3
    done
}

pull_f() {
    $sum <"$dir/copy" >"$dir/digest" &
    hashing=$!
    said=$(next_blocks "$@" | tee "$dir/copy" 2>/dev/null | place "$@")
    wait "$hashing"
    case $said in
    '') ;;
    short) pull_broken ;;
    *) fail "$said" ;;
    esac
    digest=$(cat "$dir/digest")
    echo "f ${digest%% *}"
}
