#!/bin/busybox sh
# Process 1 of the guest: the host's files below a tmpfs, the command in there, its exit code to the host.
# Changes when the guest's surroundings do. /job sets $modules (the host's path of /lib/modules/RELEASE) and
# $output (1 where /out is shared), and the arguments: directory, command, its arguments.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in /modules/*.ko; do insmod "$module" || echo "tg-vm: cannot load $module"; done
. /job
# Powering off without a result is what tells the host that there is none.
lost() {
  echo "tg-vm: cannot mount $1"
  poweroff -f
}
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host || lost "the host's files"
mount -t tmpfs rw /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /root || lost "the overlay"

release=$(uname -r)
mkdir -p /root/dev /root/proc /root/sys /root/run /root/tmp "/root/lib/modules/$release"
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/pts /root/dev/shm
# Made by udev, elsewhere.
ln -s /proc/self/fd /root/dev/fd
for n in 0/stdin 1/stdout 2/stderr; do ln -s "/proc/self/fd/${n%/*}" "/root/dev/${n#*/}"; done
mount -t devpts devpts /root/dev/pts
mount -t tmpfs shm /root/dev/shm
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t cgroup2 cgroup /root/sys/fs/cgroup
mount -t tracefs tracefs /root/sys/kernel/tracing
mount -t debugfs debugfs /root/sys/kernel/debug
mount -t bpf bpf /root/sys/fs/bpf
mount -t tmpfs run /root/run
mount -o bind "/host$modules" "/root/lib/modules/$release"
if [ "$output" = 1 ]; then
  mkdir -p /root/out
  mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 output /root/out || lost /out
fi
# The kernel loads modules by /sbin/modprobe of this root, not of the command's.
printf '#!/bin/sh\nexec /bin/chroot /root /sbin/modprobe "$@"\n' >/sbin/modprobe
chmod +x /sbin/modprobe
ip link set lo up
hostname tg-vm

port() {
  while :; do
    for found in /sys/class/virtio-ports/*; do
      if [ "$(cat "$found/name" 2>/dev/null)" = "$1" ]; then
        echo "/dev/${found##*/}"
        return
      fi
    done
    sleep 0.02
  done
}
# A port can be opened only once, and programs open /dev/stderr again: so pipes between.
mkfifo /stdout /stderr
cat </stdout >"$(port stdout)" &
stdout=$!
cat </stderr >"$(port stderr)" &
stderr=$!
result=$(port result)

env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  chroot /root /bin/sh -c 'cd "$1" && shift && exec "$@"' tg-vm "$@" </dev/null >/stdout 2>/stderr
code=$?

# What the command left running holds the pipes open.
for process in /proc/[0-9]*; do
  case ${process#/proc/} in
    1 | "$stdout" | "$stderr") ;;
    *) kill -KILL "${process#/proc/}" 2>/dev/null ;;
  esac
done
wait "$stdout" "$stderr"
sync
echo "$code" >"$result"
poweroff -f
