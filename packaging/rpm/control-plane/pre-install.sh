# The account is made without systemd too, so that the package installs in a container or a chroot.
if ! getent group hyperverge >/dev/null; then
    groupadd --system hyperverge
fi
if ! getent passwd hyperverge >/dev/null; then
    useradd --system --gid hyperverge --home-dir /var/lib/hyperverge --no-create-home \
        --shell /usr/sbin/nologin --comment "HyperVerge control plane" hyperverge
fi
