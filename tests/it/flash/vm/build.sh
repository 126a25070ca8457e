#!/bin/sh
# Builds a small Linux that runs from ext4 on its own disk, out of the programs of this machine and an unpacked Debian kernel
# package: OUT/kernel, OUT/initrd, OUT/disk. Its root logs in by SSH with the keys in KEYS (host_ed25519, authorized_keys).
# It never comes to rest: something writes to its disk all the time, and nothing of it stays in memory for long.
#   build.sh OUT KERNEL KEYS
set -eu
out=$1 kernel=$2 keys=$3
root=$out/root
modules=$(echo "$kernel"/lib/modules/*)
cp "$kernel"/boot/vmlinuz-* "$out/kernel"

# Programs with their libraries, at the places where they are here.
add() {
    for tool; do
        # A shell may have it built in.
        for path in "$tool" "/usr/bin/$tool" "/usr/sbin/$tool" "/bin/$tool" "/sbin/$tool"; do
            case $path in /*) [ ! -x "$path" ] || break ;; esac
        done
        [ -x "$path" ] || { echo "no $tool" >&2; exit 1; }
        mkdir -p "$root${path%/*}"
        cp -L "$path" "$root$path"
        for word in $(ldd "$path" 2>/dev/null); do
            case $word in
            /*) mkdir -p "$root${word%/*}"; [ -e "$root$word" ] || cp -L "$word" "$root$word" ;;
            esac
        done
    done
}
mkdir -p "$root"
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; mkdir -p "$root/usr/$folder"; done
for folder in proc sys dev run tmp etc root var/empty var/log run/sshd; do mkdir -p "$root/$folder"; done
add bash cat chmod cp cut dash dd env grep head id ldd ln ls mkdir mkfifo mount mv od readlink rm sed setsid sha256sum \
    sleep sort swapoff sync tail tee touch tr umount uname wc sshd blockdev
for more in /usr/lib/openssh/sshd-session /usr/lib/openssh/sshd-auth; do [ ! -e "$more" ] || add "$more"; done
ln -s dash "$root/usr/bin/sh"
# Not where it would be found: the tools of this system are to prove themselves.
mkdir -p "$root/opt"
cp "$(command -v busybox)" "$root/opt/busybox"
cp "$keys/host_ed25519" "$root/etc/host_key"
cp "$keys/authorized_keys" "$root/etc/authorized_keys"
chmod 600 "$root/etc/host_key"
printf 'root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'HostKey /etc/host_key\nAuthorizedKeysFile /etc/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n' \
    >"$root/etc/sshd_config"
cat >"$root/sbin/init" <<'INIT'
#!/bin/sh
PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -o remount,rw /
mkdir -p /run/sshd
ln -s vda /dev/victim
/opt/busybox ip link set lo up
/opt/busybox ip addr add 10.0.2.15/24 dev eth0
/opt/busybox ip link set eth0 up
# The page cache is emptied all the time: a program that is started from an overwritten disk does not start.
cp /opt/busybox /run/busybox
/run/busybox sh -c 'while :; do echo 3 >/proc/sys/vm/drop_caches; /run/busybox sleep 0.2; done' &
(while :; do dd if=/dev/urandom bs=64k count=16 2>/dev/null >>/var/log/noise; sleep 0.2; done) &
/usr/sbin/sshd -f /etc/sshd_config
echo "the system is up"
while :; do sleep 1000; done
INIT
chmod 755 "$root/sbin/init"

first=$out/first
mkdir -p "$first/bin" "$first/new" "$first/proc" "$first/dev"
cp "$(command -v busybox)" "$first/bin/busybox"
for name in crc32c_generic libcrc32c virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover net_failover virtio_net; do
    find "$modules/kernel" -name "$name.ko" -exec cp {} "$first/" \;
done
cat >"$first/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
# They need each other, in an order that changes with the kernel.
for round in 1 2 3 4; do for module in /*.ko; do /bin/busybox insmod "$module" 2>/dev/null; done; done
until [ -b /dev/vda1 ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda1 /new
/bin/busybox umount /dev
exec /bin/busybox switch_root /new /sbin/init
INIT
chmod 755 "$first/init"
(cd "$first" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$out/initrd"

# 200 MiB of system on a disk of 256 MiB.
truncate -s 256M "$out/disk"
printf 'label: gpt\nstart=2048, size=409600, type=L\n' | sfdisk -q "$out/disk"
truncate -s 200M "$out/ext4"
mke2fs -q -F -t ext4 -d "$root" "$out/ext4"
dd if="$out/ext4" of="$out/disk" bs=1M seek=1 conv=notrunc,sparse status=none
rm -rf "$out/ext4" "$root" "$first"
