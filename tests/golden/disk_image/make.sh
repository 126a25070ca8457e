#!/bin/sh
# Makes efi-meta.raw.zst with sgdisk 1.0.9, mkfs.fat 4.2, mtools 4.0.32 and zstd 1.5: a small disk laid out as Talos does.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin:/sbin
disk=$(mktemp)
trap 'rm -f "$disk" "$disk".*' EXIT
truncate -s 80M "$disk"
sgdisk -a 2048 -U 11111111-2222-3333-4444-555555555555 \
  -n1:1M:+70M -t1:ef00 -c1:EFI -u1:66666666-7777-8888-9999-aaaaaaaaaaaa \
  -n2:0:+1M -c2:META -u2:bbbbbbbb-cccc-dddd-eeee-ffffffffffff "$disk" >/dev/null
mkfs.fat --invariant -F 32 -s 1 -n EFI --offset 2048 "$disk" 71680 >/dev/null 2>&1
yes kernel | head -c 1300000 >"$disk.kernel"
yes deleted | head -c 900000 >"$disk.deleted"
dd if=/dev/zero of="$disk.zeros" bs=1k count=300 2>/dev/null
export SOURCE_DATE_EPOCH=0
mmd -i "$disk@@1M" ::EFI ::EFI/Linux ::loader
mcopy -i "$disk@@1M" "$disk.deleted" ::deleted.txt
mcopy -i "$disk@@1M" "$disk.zeros" ::zeros.bin
mcopy -i "$disk@@1M" "$disk.kernel" ::EFI/Linux/talos.efi
mdel -i "$disk@@1M" ::deleted.txt
printf 'timeout 3\n' >"$disk.conf"
mcopy -i "$disk@@1M" "$disk.conf" ::loader/loader.conf
chmod 644 "$disk"
zstd -q -f -19 --check "$disk" -o efi-meta.raw.zst
