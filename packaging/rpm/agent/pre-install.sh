# The account is made without systemd too, so that the package installs in a container or a chroot.
if ! getent group hyperverge-agent >/dev/null; then
    groupadd --system hyperverge-agent
fi
if ! getent passwd hyperverge-agent >/dev/null; then
    useradd --system --gid hyperverge-agent --home-dir /var/lib/hyperverge-agent --no-create-home \
        --shell /usr/sbin/nologin --comment "HyperVerge agent" hyperverge-agent
fi
